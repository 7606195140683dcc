# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the options of airflow.cfg in airflow_config, and in AIRFLOW__SECTION__OPTION.

They are compared with what the very version of Airflow and its providers know. The cluster's description is
that of `preflight`.
"""

from __future__ import annotations

import json
import re
from typing import Any, Iterator, Mapping

from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight import option_data
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.kinds import (
    number_of,
    shown,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import (
    HIGHEST_PORT,
    Problems,
    known_hosts,
    nearest,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import RUNS_AIRFLOW
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.types import kind_of

OWN_LOCKS = "/airflow_common/files/locks/"
# Airflow and Celery hand on what stands there, whatever its name.
FREE_SECTIONS = ("celery_broker_transport_options", "celery_result_backend_transport_options", "sentry")
SUFFIXES = ("_cmd", "_secret")
# Options that inputs of the collection set. The first ones are secrets.
SET_BY = {
    "api.secret_key": "airflow_api_secret_key",
    "api_auth.jwt_secret": "airflow_jwt_secret",
    "celery.broker_url": "airflow_broker_url",
    "celery.flower_basic_auth": "flower_user and flower_password",
    "celery.result_backend": "airflow_result_backend_url",
    "celery_broker_transport_options.sentinel_kwargs": "airflow_broker_transport_options",
    "core.fernet_key": "airflow_fernet_key",
    "database.sql_alchemy_conn": "airflow_database_url",
    "database.sql_alchemy_conn_async": "airflow_database_url",
    "api.base_url": "airflow_base_url",
    "api.port": "airflow_master_api_port",
    "api.ssl_cert": "airflow_base_url with https://, for nginx speaks HTTPS",
    "api.ssl_key": "airflow_base_url with https://, for nginx speaks HTTPS",
    "celery.celery_config_options": "airflow_celery_config",
    "celery.flower_port": "flower_port",
    "celery.worker_autoscale": "airflow_workers",
    "celery.worker_concurrency": "airflow_workers",
    "celery_broker_transport_options.global_keyprefix": "airflow_broker_prefix",
    "celery_broker_transport_options.visibility_timeout": "airflow_visibility_timeout",
    "core.dags_folder": "airflow_dags_path",
    "core.execution_api_server_url": "service_endpoints_execution_port",
    "dag_processor.dag_bundle_config_list": "airflow_dag_bundles",
    "logging.trigger_log_server_port": "airflow_master_triggerer_log_port",
    "logging.worker_log_server_port": "airflow_worker_log_port",
    "scheduler.scheduler_health_check_server_port": "airflow_master_scheduler_health_port",
}
# Judged beside the inputs that set them, in `airflow_options` and `structure`.
ELSEWHERE = (
    "celery.extra_celery_config",
    "secrets.backend",
    "secrets.backend_kwargs",
    "workers.secrets_backend",
    "workers.secrets_backend_kwargs",
)
# As Airflow reads them.
TRUTHS = ("t", "true", "1", "f", "false", "0")
VARIABLE = re.compile(r"AIRFLOW__([A-Z0-9_]+?)__([A-Z0-9_]+)")


class Known:
    """What a release knows: the collection's data of its version, as far as the lock file agrees with it."""

    def __init__(self, data: Mapping[str, Any], lock_file: str) -> None:
        self.version = data["airflow"]
        self.options: Mapping[str, dict[str, Any]] = data["options"]
        self.renamed: Mapping[str, str] = data["renamed"]
        self.own_lock = OWN_LOCKS in lock_file
        pinned = {} if self.own_lock else option_data.pinned(lock_file)
        # A provider of another version may know other options.
        self.changed = {
            name for name, version in data["providers"].items() if pinned.get(name, version) != version
        }
        self.sections = {name.rpartition(".")[0] for name in self.options}

    def unsure(self, section: str) -> bool:
        """Whether options that the data lacks may exist in a section."""
        owners = {
            entry.get("of") for name, entry in self.options.items() if name.rpartition(".")[0] == section
        }
        return bool(owners & self.changed) or section in FREE_SECTIONS


def known_options(release: Mapping[str, Any]) -> Known | None:
    data = option_data.load("airflow", str(release.get("wanted")))
    return Known(data, str(release.get("lock_file"))) if data else None


def versions_without_data(cluster: dict[str, Any]) -> list[str]:
    """Versions of Airflow whose options only the hosts can check, once they have the release."""
    releases = [cluster["hosts"][host].get("release") or {} for host in known_hosts(cluster, *RUNS_AIRFLOW)]
    wanted = {str(release["wanted"]) for release in releases if isinstance(release.get("wanted"), str)}
    return sorted(wanted - {*option_data.versions("airflow")})


def check_airflow_config(cluster: dict[str, Any], problems: Problems) -> None:
    for host, entry in cluster["hosts"].items():
        known = known_options(entry.get("release") or {})
        given = {**entry.get("values", {}), **entry.get("given", {})}
        for label, section, option, value in configured(given, known):
            in_file = label.startswith("[")
            problem = option_problem(section, option, value, known, in_file)
            if problem:
                what, fix = problem
                where = "airflow_config" if in_file else "airflow_environment"
                problems.add(f"{where} has {label}{what} on {{hosts}}: {fix}", host)


def configured(given: Mapping[str, Any], known: Known | None) -> Iterator[tuple[str, str, str, Any]]:
    """(as it is to be read, section, option, value) of each option that an inventory sets."""
    config = given.get("airflow_config")
    for section, options in config.items() if isinstance(config, Mapping) else ():
        for option, value in options.items() if isinstance(options, Mapping) else ():
            yield f"[{section}] {option}", str(section), str(option).lower(), value
    environment = given.get("airflow_environment")
    # In a variable's name a section such as common.io is COMMON_IO.
    sections = {name.upper().replace(".", "_"): name for name in (known.sections if known else ())}
    for name, value in environment.items() if isinstance(environment, Mapping) else ():
        found = VARIABLE.fullmatch(str(name))
        if found:
            section, option = found.groups()
            yield str(name), sections.get(section, section.lower()), option.lower(), value


def option_problem(
    section: str, option: str, value: Any, known: Known | None, in_file: bool
) -> tuple[str, str] | None:
    """What is wrong with an option, and the fix; none if nothing is. A secret's value is not shown.

    in_file: whether it goes to airflow.cfg, which everyone can read. Others are encrypted on the hosts.
    """
    name = f"{section}.{option}"
    bare = re.sub(f"({'|'.join(SUFFIXES)})$", "", option)
    if name in ELSEWHERE:
        return None
    for ours in (name, f"{section}.{bare}"):
        if ours in SET_BY:
            return ", which the collection sets", f"remove it, and use {SET_BY[ours]}"
    if name == "core.executor":
        if value == "CeleryExecutor" or not kind_of(value):
            return None
        return f" = {shown(value)}", "remove it, as this collection runs CeleryExecutor alone"
    entry = known.options.get(name) if known else None
    if entry and entry.get("sensitive"):
        variable = f"AIRFLOW__{section.replace('.', '_')}__{option}".upper()
        return (
            (
                ", which may hold a secret, and everyone can read airflow.cfg",
                f"set {variable} in airflow_environment, which is encrypted on the hosts",
            )
            if in_file
            else None
        )
    if entry:
        problem = value_problem(entry, option, value)
    else:
        problem = unknown_problem(section, option, bare, known) if known else None
    return problem or (line_problem(value) if in_file else None)


def unknown_problem(section: str, option: str, bare: str, known: Known) -> tuple[str, str] | None:
    release = f"Airflow {known.version}"
    if section not in known.sections:
        hint = nearest(section, known.sections)
        if known.own_lock or hint:
            return f", but {release} has no section {section}{hint}", "correct or remove it"
        # A provider in a lock file of the user's may bring it.
        return None
    entry = known.options.get(f"{section}.{bare}")
    if entry and bare != option:
        if entry.get("sensitive"):
            return None
        return ", which Airflow reads for secrets only", f"set {bare} itself"
    if known.unsure(section):
        return None
    renamed = known.renamed.get(f"{section}.{option}")
    elsewhere = sorted(name for name in known.options if name.rpartition(".")[2] == option)
    moved = renamed or (elsewhere[0] if elsewhere else "")
    if moved:
        there, _, name = moved.rpartition(".")
        hint = f" (did you mean [{there}] {name}?)"
    else:
        names = [name.rpartition(".")[2] for name in known.options if name.rpartition(".")[0] == section]
        hint = nearest(option, names)
    return f", which {release} does not know{hint}", "correct or remove it"


def value_problem(entry: Mapping[str, Any], option: str, value: Any) -> tuple[str, str] | None:
    kind = kind_of(value)
    # What is empty or not yet evaluated is judged elsewhere.
    if not kind or value is None:
        return None
    text = str(value).strip()
    if text == "" and (entry.get("empty") or entry["type"] == "string"):
        return None
    if entry["type"] == "boolean":
        if kind != "a truth value" and text.lower() not in TRUTHS:
            return f" = {shown(value)}", "set it to true or false"
    elif entry["type"] in ("integer", "float"):
        return number_problem(entry, option, value)
    elif "choices" in entry:
        if text not in entry["choices"] and text.upper() not in entry["choices"]:
            return f" = {shown(value)}", f"use {' or '.join(filter(None, entry['choices']))}"
    elif entry.get("json") and kind == "text":
        try:
            json.loads(text)
        except ValueError:
            return ", which is no JSON", "write it as a dictionary or list of YAML, or as JSON on one line"
    return None


def number_problem(entry: Mapping[str, Any], option: str, value: Any) -> tuple[str, str] | None:
    number = number_of(str(value).strip()) if not isinstance(value, bool) else None
    whole = entry["type"] == "integer"
    wanted = "a whole number" if whole else "a number"
    least = entry.get("min")
    if number is None or (whole and number != int(number)):
        return f" = {shown(value)}", f"set it to {wanted}"
    if least is not None and number < least:
        return f" = {shown(value)}", f"set it to {wanted} from {least} on"
    if re.search(r"(^|_)port$", option) and number > HIGHEST_PORT:
        return f" = {shown(value)}", f"set it to a port, up to {HIGHEST_PORT}"
    return None


def line_problem(value: Any) -> tuple[str, str] | None:
    """What airflow.cfg cannot hold, or would hold otherwise than it is meant."""
    if not isinstance(value, str):
        return None
    if "\n" in value.strip() or "\r" in value.strip():
        return ", which has a line break in it", "write it on one line"
    if "%%(" in value:
        return (
            ", which has %%( in it, as airflow.cfg writes it",
            "write % once, for the collection doubles it",
        )
    return None
