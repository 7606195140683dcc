# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Places in object stores that speak S3, as `airflow_dag_bundles` and `airflow_remote_logs` name them.

Pure functions. A place is {s3: s3://BUCKET/PREFIX, endpoint, region, access_key, secret_key, ca_file}.
"""

from __future__ import annotations

import json
import re
from typing import Any, Mapping
from urllib.parse import urlsplit

from ansible.module_utils.parsing.convert_bool import BOOLEANS, boolean
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import nearest

OF_S3 = ("s3", "endpoint", "region", "access_key", "secret_key", "ca_file")
OF_LOGS = (*OF_S3, "delete_local")
# No bundle's connection is called so.
LOGS_CONNECTION = "airflow_task_logs"
URL = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?P<prefix>(?:/[^?#\s]*)?)")
PORTS = {"https": 443, "http": 80}
# boto's own give a store that swallows packets five minutes, for which a task's slot is held.
PATIENCE = {
    "connect_timeout": 5,
    "read_timeout": 10,
    "retries": {"mode": "standard", "total_max_attempts": 2},
}
# Checksums that stores other than Amazon's may not know, and boto sends with every object.
OTHER_STORES = {
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
}


def bucket_and_prefix(place: Mapping[str, Any]) -> tuple[str, str]:
    """The prefix without slashes around it; empty where the whole bucket is meant."""
    match = URL.fullmatch(str(place["s3"]))
    return (match["bucket"], match["prefix"].strip("/")) if match else ("", "")


def connection(place: Mapping[str, Any]) -> dict[str, Any]:
    """The Airflow connection. Without keys boto asks the machine for the role that it has."""
    extra: dict[str, Any] = {"config_kwargs": {**PATIENCE}}
    if place.get("endpoint"):
        extra["endpoint_url"] = str(place["endpoint"])
        extra["config_kwargs"].update(OTHER_STORES)
    if place.get("region"):
        extra["region_name"] = str(place["region"])
    if place.get("ca_file"):
        extra["verify"] = str(place["ca_file"])
    found: dict[str, Any] = {"conn_type": "aws", "extra": extra}
    if place.get("access_key"):
        found.update(login=str(place["access_key"]), password=str(place["secret_key"]))
    return found


def server_of(place: Mapping[str, Any]) -> tuple[str, int] | None:
    """Host and port of the endpoint, if one is named: the ways to Amazon's cannot be seen from here."""
    try:
        parts = urlsplit(str(place.get("endpoint") or ""))
        if parts.scheme in PORTS and parts.hostname:
            return parts.hostname, parts.port or PORTS[parts.scheme]
    except ValueError:
        pass
    return None


def place_problems(place: Mapping[str, Any]) -> list[str]:
    """What is wrong with the place, in words without its secrets, each with its fix after a colon."""
    problems = []
    if not URL.fullmatch(str(place["s3"])):
        problems.append("has an s3 that names no place: write s3://BUCKET or s3://BUCKET/PREFIX")
    endpoint = str(place.get("endpoint") or "")
    if endpoint and server_of(place) is None:
        problems.append("has an endpoint that is no URL: write https://HOST or https://HOST:PORT")
    elif "@" in endpoint:
        problems.append("has a login in its endpoint: put it into access_key and secret_key")
    if bool(place.get("access_key")) != bool(place.get("secret_key")):
        problems.append(
            "has one of access_key and secret_key: give both, or none where the machine has a role"
        )
    ca_file = str(place.get("ca_file") or "")
    if ca_file and not ca_file.startswith("/"):
        problems.append("has a ca_file that is no path on the hosts: begin it with /")
    elif ca_file and not endpoint.startswith("https://"):
        problems.append(
            "has a ca_file, which only an endpoint with https uses: remove it, or change the endpoint"
        )
    return problems


# --- The logs of tasks


def remote_log_options(place: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the section `logging` of airflow.cfg."""
    if not place:
        return {}
    return {
        "remote_logging": True,
        "remote_base_log_folder": "s3://" + "/".join(filter(None, bucket_and_prefix(place))),
        "remote_log_conn_id": LOGS_CONNECTION,
        "delete_local_logs": boolean(place.get("delete_local", False)),
        "logging_config_class": "airflowops_runtime.remote_logs.LOGGING_CONFIG",
    }


def remote_log_secrets(place: Mapping[str, Any]) -> dict[str, str]:
    """{name of a credential: its content}"""
    return {f"AIRFLOW_CONN_{LOGS_CONNECTION.upper()}": json.dumps(connection(place))} if place else {}


def remote_log_problems(place: Any) -> list[str]:
    """What is wrong with airflow_remote_logs, without its secrets, each with its fix after a colon."""
    if not isinstance(place, Mapping) or not place:
        # Of another type is reported where types are checked.
        return []
    problems = []
    for option in place:
        if option not in OF_LOGS:
            problems.append(f"has an option {option} that there is none of{nearest(str(option), OF_LOGS)}")
    if str(place.get("delete_local", False)).lower() not in BOOLEANS:
        problems.append("has a delete_local that is no truth value: give true or false")
    return problems + (place_problems(place) if "s3" in place else ["has no s3: give it s3://BUCKET/PREFIX"])
