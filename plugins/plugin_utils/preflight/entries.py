# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of inputs that are lists or dictionaries of entries: users, pools, lines of pg_hba.conf.

Each returns "what is wrong: the fix", or nothing, as those of `kinds`. None shows a password.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Iterable, Mapping

from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.kinds import (
    CONTROL,
    EMAIL,
    HOST_NAME,
    Check,
    number_of,
    one_line,
    port,
    shown,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import nearest
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.types import fits, kind_of

POOL_NAME = 256
NAME_OF_OBJECT = re.compile(r"[A-Za-z0-9_.:@/ -]{1,250}")
USER_FIELDS = ("username", "password", "email", "first_name", "last_name", "roles")
POOL_FIELDS = ("name", "slots", "description", "include_deferred")
S3_FIELDS = ("bucket", "endpoint", "region", "key", "key_secret", "path", "uri_style", "ca_file")
S3_NEEDED = S3_FIELDS[:5]
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
EXPORTERS = ("node", "redis", "postgres", "nginx", "nginx_status", "haproxy", "etcd", "airflow", "statsd")
# Of Celery's own settings, what inputs of the collection set.
CELERY_SET_BY = {
    "broker_url": "airflow_broker_url",
    "broker_read_url": "airflow_broker_url",
    "broker_write_url": "airflow_broker_url",
    "broker_transport_options": "airflow_broker_transport_options",
    "result_backend": "airflow_result_backend_url",
    "worker_concurrency": "airflow_workers",
}
BROKER_SET_BY = {
    "global_keyprefix": "airflow_broker_prefix",
    "visibility_timeout": "airflow_visibility_timeout",
}
PROXY = re.compile(r"https?://[^\s/]+")
HBA_TYPES = ("local", "host", "hostssl", "hostnossl", "hostgssenc", "hostnogssenc")
HBA_METHODS = (
    *(
        "trust",
        "reject",
        "scram-sha-256",
        "md5",
        "password",
        "gss",
        "sspi",
        "ident",
        "peer",
        "ldap",
        "radius",
    ),
    *("cert", "pam", "bsd", "oauth"),
)


def twice(names: Iterable[Any]) -> list[str]:
    texts = [str(name) for name in names]
    return sorted({text for text in texts if texts.count(text) > 1})


def entry_problem(label: str, entry: Any, fields: Iterable[str], needed: Iterable[str]) -> str:
    """Whether an entry is a dictionary of these fields."""
    if not kind_of(entry):
        return ""
    if not isinstance(entry, Mapping):
        return f"has {label}, which is {kind_of(entry)}: write each as a dictionary with {', '.join(needed)}"
    for field in entry:
        if field not in fields:
            hint = nearest(str(field), fields)
            return f"has {label} with the unknown key {shown(field)}{hint}: correct or remove it"
    for field in needed:
        if entry.get(field) in (None, "", []):
            return f"has {label} without {field}: give it one"
    return ""


# --- Airflow


def users(value: Any) -> str:
    if not isinstance(value, list):
        return ""
    for number, user in enumerate(value, start=1):
        named = isinstance(user, Mapping) and isinstance(user.get("username"), str)
        label = f"the user {shown(user['username'])}" if named else f"the user number {number}"
        problem = entry_problem(label, user, USER_FIELDS, ("username", "password", "email", "roles"))
        if problem or not isinstance(user, Mapping):
            return problem
        roles = user["roles"]
        if kind_of(roles) and not (isinstance(roles, list) and all(isinstance(role, str) for role in roles)):
            return f"has {label} whose roles are {kind_of(roles)}: list their names, as in [Viewer]"
        for field in ("username", "email", "first_name", "last_name"):
            text = user.get(field, "")
            if kind_of(text) and (not fits(text, "str") or CONTROL.search(str(text))):
                return f"has {label} with a {field} that is no text on one line: correct it"
        if kind_of(user["email"]) and not EMAIL.fullmatch(str(user["email"])):
            return (
                f"has {label} with the email address {shown(user['email'])}: write it as in name@example.org"
            )
        if kind_of(user["password"]) and not fits(user["password"], "str"):
            return f"has {label} with a password that is {kind_of(user['password'])}: write it in quotes"
    for field in ("username", "email"):
        double = twice(user[field] for user in value if isinstance(user, Mapping) and field in user)
        if double:
            return f"has two users with the {field} {double[0]}: give each its own"
    return ""


def pools(value: Any) -> str:
    if not isinstance(value, list):
        return ""
    for number, pool in enumerate(value, start=1):
        named = isinstance(pool, Mapping) and isinstance(pool.get("name"), str)
        label = f"the pool {shown(pool['name'])}" if named else f"the pool number {number}"
        problem = entry_problem(label, pool, POOL_FIELDS, ("name", "slots"))
        if problem or not isinstance(pool, Mapping):
            return problem
        if kind_of(pool["name"]) and (
            CONTROL.search(str(pool["name"])) or len(str(pool["name"])) > POOL_NAME
        ):
            return f"has {label}, whose name is too long or not on one line: shorten it"
        slots = number_of(pool["slots"])
        if kind_of(pool["slots"]) and (slots is None or slots != int(slots) or slots < -1):
            fix = "give a whole number from 0 on, or -1 for no limit"
            return f"has {label} with {shown(pool['slots'])} slots: {fix}"
        if not fits(pool.get("include_deferred", False), "bool"):
            return f"has {label} with an include_deferred that is no truth value: use true or false"
    double = twice(pool["name"] for pool in value if isinstance(pool, Mapping) and "name" in pool)
    return f"has the pool {double[0]} twice: remove one of them" if double else ""


def objects(value: Any) -> str:
    """Names of variables, connections and roles."""
    for name, entry in value.items() if isinstance(value, Mapping) else ():
        if not isinstance(name, str) or not NAME_OF_OBJECT.fullmatch(name) or name != name.strip():
            return f"has the name {shown(name)}: use letters, digits and any of _ . : @ / - within it"
        problem = (
            connection_problem(name, entry) if isinstance(entry, Mapping) and "conn_type" in entry else ""
        )
        if problem:
            return problem
    return ""


def connection_problem(name: str, entry: Mapping[str, Any]) -> str:
    number = number_of(entry.get("port"))
    if number is not None and port(number):
        return f"has the connection {name} with the port {shown(entry['port'])}: use one from 1 to 65535"
    host = entry.get("host")
    if isinstance(host, str) and re.search(r"\s", host):
        return f"has the connection {name} with white space in its host: correct it"
    kind = entry["conn_type"]
    if isinstance(kind, str) and not re.fullmatch(r"[a-z][a-z0-9_.-]*", kind, re.IGNORECASE):
        return f"has the connection {name} with the conn_type {shown(kind)}: use one such as postgres or http"
    return ""


def package_environment(value: Any) -> str:
    """What is one line for the package tools; names and types are checked in `environment`."""
    for name, text in value.items() if isinstance(value, Mapping) else ():
        if not isinstance(name, str) or not fits(text, "str"):
            continue
        if one_line(text):
            return f"has {name}, whose value is no text on one line: write it as text, in quotes"
        if name.lower() in ("http_proxy", "https_proxy") and text and not PROXY.match(str(text)):
            return f"has {name} with no URL: write it as http://HOST:PORT"
    return ""


def names_of_celery(value: Any, what: str, set_by: Mapping[str, str]) -> str:
    """Names in lower case, without those that the collection sets."""
    for name in value if isinstance(value, Mapping) else ():
        if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            return f"has the name {shown(name)}: write {what} in lower case"
        if name in set_by:
            return f"has {name}, which the collection sets: remove it, and use {set_by[name]}"
    return ""


def celery_settings(value: Any) -> str:
    return names_of_celery(value, "settings of Celery, such as task_acks_late,", CELERY_SET_BY)


def broker_options(value: Any) -> str:
    return names_of_celery(value, "transport options of Celery", BROKER_SET_BY)


# --- PostgreSQL and observability


def hba_lines(value: Any) -> str:
    for line in value if isinstance(value, list) else ():
        problem = hba_problem(line) if isinstance(line, str) else ""
        if problem:
            example = "host all grafana 192.0.2.60/32 scram-sha-256"
            return f"has the line {shown(line)}, {problem}: write it as pg_hba.conf does, as in {example}"
    return ""


def hba_problem(line: str) -> str:
    fields = re.findall(r'"[^"]*"(?:,"[^"]*")*|[^\s"]+', line)
    if CONTROL.search(line.replace("\t", " ")):
        return "with a line break in it"
    if not fields or fields[0].startswith("#"):
        return ""
    if fields[0] not in HBA_TYPES:
        return f"which begins with none of {', '.join(HBA_TYPES)}"
    local = fields[0] == "local"
    if len(fields) < (4 if local else 5):
        return "which has too few fields"
    method = fields[3 if local else 4]
    if not local:
        where = fields[3]
        if re.fullmatch(r"[0-9.]+", where) and re.fullmatch(r"[0-9.]+", method):
            where, method = f"{where}/{method}", fields[5] if len(fields) > 5 else ""
        if not hba_address(where):
            return f"whose address {shown(where)} is no network, host name, all, samehost or samenet"
    return "" if method in HBA_METHODS else f"with the unknown method {shown(method)}"


def hba_address(text: str) -> bool:
    if text in ("all", "samehost", "samenet"):
        return True
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return not re.fullmatch(r"[0-9./]+", text) and HOST_NAME.fullmatch(text.lstrip(".")) is not None
    # An address alone is not accepted by PostgreSQL.
    return "/" in text


def s3_repository(value: Any) -> str:
    if not isinstance(value, Mapping) or not value:
        return ""
    problem = entry_problem("a store", value, S3_FIELDS, S3_NEEDED)
    if problem:
        return problem.replace("has a store ", "is ", 1) if " without " in problem else problem
    for field in S3_FIELDS:
        if CONTROL.search(str(value.get(field, ""))):
            return f"has a line break in {field}: write it on one line"
    if not BUCKET.fullmatch(str(value["bucket"])):
        return f"has the bucket {shown(value['bucket'])}: use lower-case letters, digits, dots and hyphens"
    endpoint = str(value["endpoint"])
    host, _, number = endpoint.partition(":")
    if (
        "/" in endpoint
        or not HOST_NAME.fullmatch(host)
        or (number and (port(number) or not number.isdigit()))
    ):
        return f"has the endpoint {shown(endpoint)}: give host or host:port, without https://"
    if value.get("uri_style", "host") not in ("host", "path"):
        return f"has the uri_style {shown(value['uri_style'])}: use host or path"
    for field in ("path", "ca_file"):
        if value.get(field) and not str(value[field]).startswith("/"):
            return f"has the {field} {shown(value[field])}: begin it with /"
    return ""


def exporter_ports(value: Any) -> str:
    """Names alone: ports are judged with all others of a host."""
    for name in value if isinstance(value, Mapping) else ():
        if name not in EXPORTERS:
            return f"has {shown(name)}{nearest(str(name), EXPORTERS)}: use {', '.join(EXPORTERS)}"
    return ""


def named_entries(*needed: str) -> Check:
    """Entries of Prometheus' files, each with a name of its own."""

    def check(value: Any) -> str:
        for number, entry in enumerate(value if isinstance(value, list) else (), start=1):
            problem = entry_problem(f"the entry {number}", entry, entry, needed)
            if problem:
                return problem
        double = (
            twice(entry[needed[0]] for entry in value if isinstance(entry, Mapping))
            if isinstance(value, list)
            else []
        )
        return f"has the {needed[0]} {double[0]} twice: give each its own" if double else ""

    return check
