# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with inputs that options of airflow.cfg are made of, and which of those are set beside them.

The cluster's description is that of `preflight`.
"""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import (
    Problems,
    as_integer,
)

# Of the section `logging`.
OF_REMOTE_LOGS = (
    "remote_logging",
    "remote_base_log_folder",
    "remote_log_conn_id",
    "delete_local_logs",
    "logging_config_class",
)
# Seconds. A worker looks every 15 s, as long as a broker that is away holds its connections, 30 s each.
LEAST_WATCHDOG = 90
OF_SECRETS_BACKEND = {
    "secrets": ("backend", "backend_kwargs"),
    "workers": ("secrets_backend", "secrets_backend_kwargs"),
}


def check_options(cluster: dict[str, Any], problems: Problems) -> None:
    for host, entry in cluster["hosts"].items():
        for key in ("remote_logs", "secrets_backend"):
            for problem in entry.get(key, []):
                what, _, fix = problem.partition(": ")
                problems.add(f"airflow_{key} {what} on {{hosts}}: {fix}", host)
        given = {**entry.get("values", {}), **entry.get("given", {})}
        watchdog = as_integer(given.get("airflow_worker_watchdog", 0))
        if watchdog is not None and 0 < watchdog < LEAST_WATCHDOG:
            problems.add(
                f"airflow_worker_watchdog is {watchdog} on {{hosts}}, too short for a look at a broker that "
                f"is away: set it to {LEAST_WATCHDOG} or more, or to 0 for none",
                host,
            )
        config = given.get("airflow_config")
        if given.get("airflow_remote_logs") and set_there(config, "logging", OF_REMOTE_LOGS):
            problems.add(
                f"airflow_config has {set_there(config, 'logging', OF_REMOTE_LOGS)} on {{hosts}}, beside "
                "airflow_remote_logs, which sets it: remove one of the two",
                host,
            )
        for section, names in OF_SECRETS_BACKEND.items():
            if set_there(config, section, names):
                problems.add(
                    f"airflow_config has {set_there(config, section, names)} on {{hosts}}, where everyone "
                    "can read what is secret in it: put it into airflow_secrets_backend, which seals it",
                    host,
                )


def set_there(config: Any, section: str, names: Iterable[str]) -> str:
    """Those of the options that are set, as they are to be read; empty if none is."""
    options = config.get(section) if isinstance(config, Mapping) else None
    found = [name for name in names if isinstance(options, Mapping) and name in options]
    return f"[{section}] {' and '.join(found)}" if found else ""
