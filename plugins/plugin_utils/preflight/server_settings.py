# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with redis_cluster_config, postgres_metastore_config and etcd_config.

Names, types, limits and enumerations are those of the server that the host's distribution ships. A server
accepts some wrong lines while it runs and refuses them at its next start. See `preflight`.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Mapping

from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight import option_data
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.kinds import (
    CONTROL,
    number_of,
    shown,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import (
    Problems,
    known_hosts,
    nearest,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.types import kind_of

Found = tuple[str, str]
# What a directive or setting is set by; empty where it is the role's own.
REDIS_SET_BY = {
    "aclfile": "",
    "cluster-announce-ip": "cluster_address",
    "cluster-config-file": "",
    "cluster-enabled": "",
    "cluster-node-timeout": "redis_cluster_node_timeout",
    "daemonize": "",
    "dir": "",
    "include": "",
    "loadmodule": "",
    "logfile": "",
    "masterauth": "redis_cluster_password",
    "masteruser": "",
    "pidfile": "",
    "port": "redis_cluster_ports",
    "primaryauth": "redis_cluster_password",
    "primaryuser": "",
    "rename-command": "",
    "replicaof": "",
    "requirepass": "redis_cluster_password",
    "slaveof": "",
    "supervised": "",
    "tls-ca-cert-file": "redis_cluster_tls_ca",
    "tls-cert-file": "redis_cluster_tls_certificate",
    "tls-cluster": "redis_cluster_tls",
    "tls-key-file": "redis_cluster_tls_private_key",
    "tls-port": "redis_cluster_tls",
    "tls-replication": "redis_cluster_tls",
    "user": "",
}
POSTGRESQL_SET_BY = {
    "archive_cleanup_command": "postgres_metastore_backup",
    "archive_command": "postgres_metastore_backup",
    "archive_library": "postgres_metastore_backup",
    "archive_mode": "postgres_metastore_backup",
    "cluster_name": "",
    "config_file": "",
    "data_directory": "",
    "external_pid_file": "",
    "hba_file": "postgres_metastore_hba_extra",
    "hot_standby": "",
    "ident_file": "",
    "max_connections": "postgres_metastore_max_connections",
    "password_encryption": "",
    "port": "postgres_metastore_port",
    "primary_conninfo": "",
    "primary_slot_name": "",
    "recovery_end_command": "",
    "restore_command": "postgres_metastore_backup",
    "ssl": "",
    "ssl_ca_file": "",
    "ssl_cert_file": "",
    "ssl_key_file": "",
    "synchronous_standby_names": "postgres_metastore_synchronous",
}
ETCD_SET_BY = {
    "ETCD_NAME": "",
    "ETCD_DATA_DIR": "",
    "ETCD_LISTEN_CLIENT_URLS": "etcd_client_port",
    "ETCD_ADVERTISE_CLIENT_URLS": "etcd_client_port",
    "ETCD_LISTEN_PEER_URLS": "etcd_peer_port",
    "ETCD_INITIAL_ADVERTISE_PEER_URLS": "etcd_peer_port",
    "ETCD_INITIAL_CLUSTER": "",
    "ETCD_INITIAL_CLUSTER_STATE": "",
    "ETCD_LISTEN_METRICS_URLS": "observability_exporter_ports",
}
REDIS_MEMORY = re.compile(r"[0-9]+(b|k|kb|m|mb|g|gb)?", re.IGNORECASE)
# Extensions that PostgreSQL loads when they are first used.
BUILT_IN_PREFIXES = ("plpgsql", "plperl", "plpython", "plpython3", "pltcl")
LIBRARIES = ("shared_preload_libraries", "session_preload_libraries", "local_preload_libraries")
TRUTHS = ("on", "off", "true", "false", "yes", "no", "1", "0")
# In bytes and in microseconds: https://www.postgresql.org/docs/17/config-setting.html
MEMORY_UNITS = {"B": 1, "kB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}
TIME_UNITS = {"us": 1, "ms": 10**3, "s": 10**6, "min": 6 * 10**7, "h": 36 * 10**8, "d": 864 * 10**8}


def check_server_settings(cluster: dict[str, Any], problems: Problems) -> None:
    judges: dict[str, tuple[str, Callable[[dict[str, Any], Mapping[str, Any]], list[Found]]]] = {
        "redis_cluster_config": ("redis_cluster", redis_problems),
        "postgres_metastore_config": ("postgres_metastore", postgresql_problems),
        "etcd_config": ("postgres_metastore", etcd_problems),
    }
    for variable, (role, judge) in judges.items():
        for host in known_hosts(cluster, role):
            entry = cluster["hosts"][host]
            config = entry.get("given", {}).get(variable)
            for what, fix in judge(entry, config) if isinstance(config, Mapping) else ():
                problems.add(f"{variable} has {what} on {{hosts}}: {fix}", host)


def system_of(entry: Mapping[str, Any]) -> tuple[str, str]:
    system = (entry.get("probe") or {}).get("os") or {}
    return str(system.get("id", "")), str(system.get("version", ""))


def common_problem(name: str, value: Any, set_by: Mapping[str, str]) -> Found | None:
    """What is wrong whatever the server: it is the role's, or the value is none that fits a line."""
    if name in set_by:
        instead = f", and use {set_by[name]}" if set_by[name] else ""
        return f"{name}, which the collection sets", f"remove it{instead}"
    if value is None or isinstance(value, (Mapping, list)):
        return f"{name}, which is {kind_of(value)}", "give it text or a number"
    if CONTROL.search(str(value)):
        return f"{name}, which has a line break in it", "write it on one line"
    return None


# --- Redis


def redis_problems(entry: dict[str, Any], config: Mapping[str, Any]) -> list[Found]:
    given = {**entry.get("values", {}), **entry.get("given", {})}
    flavor = given.get("redis_cluster_flavor") or "redis"
    server, known, _ = option_data.directives(str(flavor), system_of(entry))
    found = (directive_problem(str(name).lower(), value, server, known) for name, value in config.items())
    return [problem for problem in found if problem]


def directive_problem(name: str, value: Any, server: str, known: Mapping[str, Any]) -> Found | None:
    if not kind_of(value):
        return None
    if name not in known:
        return f"{name}, which {server} does not know{nearest(name, known)}", "correct or remove it"
    problem = common_problem(name, value, REDIS_SET_BY)
    if problem:
        return problem
    text = str(value)
    if name == "maxmemory-policy" and text.lower() != "noeviction":
        return f"{name} {shown(value)}", "remove it, as a broker must not evict a queued task"
    entry = known[name]
    wanted = directive_wanted(entry, value)
    return (f"{name} {shown(value)}", wanted) if wanted else None


def directive_wanted(entry: Mapping[str, Any], value: Any) -> str:
    """How the value has to be written; empty if it is."""
    text = str(value)
    if entry["type"] == "boolean" and text.lower() not in ("yes", "no"):
        return 'write "yes" or "no", in quotes'
    if entry["type"] == "enum" and text.lower() not in entry["choices"]:
        # `oom-score-adj` and the like take yes and no, which YAML reads as truth values.
        return f"use {' or '.join(entry['choices'])}, in quotes"
    if entry["type"] == "memory":
        percent = entry.get("percent") and re.fullmatch(r"[0-9]{1,3}%", text)
        return "" if percent or REDIS_MEMORY.fullmatch(text) else "give bytes, or a size such as 512mb or 2gb"
    if entry["type"] == "integer":
        number = number_of(value)
        least, most = entry.get("min", -(2**63)), entry.get("max", 2**63)
        if number is None or number != int(number) or not least <= number <= most:
            return f"set it to a whole number from {least} to {most}"
    return ""


def redis_memory(value: Any) -> str:
    """Of redis_cluster_maxmemory: Redis' own notation, or auto."""
    if value == "auto" or REDIS_MEMORY.fullmatch(str(value)):
        return ""
    return f"is {shown(value)}: set it to a size such as 512mb or 2gb, to 0 for no limit, or to auto"


# --- PostgreSQL


def postgresql_problems(entry: dict[str, Any], config: Mapping[str, Any]) -> list[Found]:
    server, known, _ = option_data.settings(system_of(entry))
    # The names of settings have no case.
    by_name = {name.lower(): (name, setting) for name, setting in known.items()}
    libraries = {
        library.strip().rpartition("/")[2]
        for name in LIBRARIES
        for library in str(config.get(name, "")).split(",")
    }
    found = []
    for name, value in config.items():
        if kind_of(value):
            found.append(setting_problem(str(name).lower(), value, server, by_name, libraries))
    return [problem for problem in found if problem]


def setting_problem(
    name: str, value: Any, server: str, known: Mapping[str, tuple[str, Any]], libraries: set[str]
) -> Found | None:
    problem = common_problem(name, value, POSTGRESQL_SET_BY)
    if problem:
        return problem
    prefix, dot, _ = name.partition(".")
    if dot:
        if prefix in BUILT_IN_PREFIXES or prefix in libraries:
            return None
        return (
            f"{name}, whose library is not loaded",
            f"add {prefix} to shared_preload_libraries, or remove it",
        )
    if name not in known:
        names = [listed for listed, _ in known.values()]
        return f"{name}, which {server} does not know{nearest(name, names)}", "correct or remove it"
    entry = known[name][1]
    if entry["context"] == "internal":
        return f"{name}, which PostgreSQL sets itself", "remove it"
    if name == "wal_level" and str(value).lower() not in ("replica", "logical"):
        return f"{name} = {shown(value)}", "use replica or logical, which backups and replicas need"
    wanted = setting_wanted(entry, value)
    return (f"{name} = {shown(value)}", wanted) if wanted else None


def setting_wanted(entry: Mapping[str, Any], value: Any) -> str:
    """How the value has to be written; empty if it is."""
    text = str(value).strip()
    if entry["type"] == "bool":
        return "" if text.lower() in TRUTHS else "set it to on or off"
    if entry["type"] == "enum":
        choices = entry["choices"]
        accepted = text.lower() in [choice.lower() for choice in choices]
        # Some settings take truth values besides, such as synchronous_commit.
        accepted = accepted or (text.lower() in TRUTHS and {"on", "off"} <= {*choices})
        return "" if accepted else f"use {' or '.join(choices)}"
    if entry["type"] in ("integer", "real"):
        return quantity_wanted(entry, text)
    return ""


def quantity_wanted(entry: Mapping[str, Any], text: str) -> str:
    """A number in the setting's own unit, or one with a unit of its kind."""
    unit = entry.get("unit", "")
    size, base = re.fullmatch(r"([0-9]*)(\w*)", unit).groups() if unit else ("", "")  # type: ignore[union-attr]
    units = next((units for units in (MEMORY_UNITS, TIME_UNITS) if base in units), {})
    found = re.fullmatch(r"([+-]?[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?|0[xX][0-9a-fA-F]+)\s*([A-Za-z]*)", text)
    if not found or (found.group(2) and found.group(2) not in units):
        return f"set it to a number{', or one with a unit: ' + ', '.join(units) if units else ''}"
    digits = found.group(1)
    # As in C: 0x10 and 0640.
    base_of = 16 if digits[:2].lower() == "0x" else 8 if re.fullmatch("0[0-7]+", digits) else 0
    number: float = int(digits, base_of) if base_of else float(digits)
    if found.group(2):
        number = number * units[found.group(2)] / (units[base] * int(size or 1))
    least, most = entry.get("min"), entry.get("max")
    if (least is not None and number < least) or (most is not None and number > most):
        of = f" (in units of {unit})" if unit else ""
        return f"set it to a number from {least:g} to {most:.15g}{of}"
    return ""


# --- etcd


def etcd_problems(_entry: dict[str, Any], config: Mapping[str, Any]) -> list[Found]:
    found: list[Found | None] = []
    for name, value in config.items():
        if not re.fullmatch("ETCD_[A-Z0-9_]+", str(name)):
            fix = "write names as etcd's environment has them, as in ETCD_HEARTBEAT_INTERVAL"
            found.append((f"the name {shown(name)}", fix))
        elif kind_of(value):
            of_tls = re.search("_(CERT|KEY|CA)_FILE$|_CERT_AUTH$", str(name))
            set_by = {**ETCD_SET_BY, **({str(name): ""} if of_tls else {})}
            found.append(common_problem(str(name), value, set_by))
    return [problem for problem in found if problem]
