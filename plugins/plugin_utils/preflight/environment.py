# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with environment variables. Their values may be secrets and are never shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import (
    Problems,
    known_hosts,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.types import fits, kind_of

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# systemd and Airflow's own start depend on these.
OURS = frozenset({"AIRFLOW_HOME", "AIRFLOW_CONFIG", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "PYTHONHOME"})
# Names of an earlier state of the collection, and what took their place.
RENAMED = {
    "AIRFLOWOPS_SPEED": "airflow_patches_off: [speed]",
    "AIRFLOWOPS_QUEUED": "airflow_patches_off: [queued-tasks]",
}
# Tabs and line breaks may be in a value, as in a certificate.
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def faults(environment: Any) -> Iterator[str]:
    """What is wrong with one dictionary of variables, with the fix."""
    # What is no dictionary is reported by the check of types.
    for name, value in environment.items() if isinstance(environment, Mapping) else ():
        if not isinstance(name, str) or not NAME.fullmatch(name):
            yield f"names {name!r} on {{hosts}}: use letters, digits and _, and begin with no digit"
        elif name in OURS:
            yield f"sets {name} on {{hosts}}, which the services need as it is: remove it"
        elif name in RENAMED:
            yield f"sets {name} on {{hosts}}, which is not read any more: write {RENAMED[name]}"
        elif not fits(value, "str"):
            yield f"gives {name} a value that is {kind_of(value)} on {{hosts}}: set it to text, in quotes"
        elif CONTROL.search(str(value)):
            yield f"has a control character in {name} on {{hosts}}: only tabs and line breaks may be there"


def check_environment(cluster: dict[str, Any], problems: Problems) -> None:
    for host, entry in cluster["hosts"].items():
        values = {**entry.get("values", {}), **entry.get("given", {})}
        given = {name: values.get(name) for name in ("airflow_environment", "cluster_package_environment")}
        if host in known_hosts(cluster, "airflow_worker") and isinstance(values.get("airflow_workers"), list):
            for worker in values["airflow_workers"]:
                if isinstance(worker, Mapping):
                    given[f"environment of {worker.get('name')} in airflow_workers"] = worker.get(
                        "environment"
                    )
        for what, environment in given.items():
            for fault in faults(environment):
                problems.add(f"{what} {fault}", host)
