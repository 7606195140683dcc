# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with bundles of DAGs, and which of their servers cannot be reached. See `preflight`."""

from __future__ import annotations

from typing import Any

from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import Problems


def check_bundles(cluster: dict[str, Any], problems: Problems) -> None:
    for host, entry in cluster["hosts"].items():
        for problem in entry.get("bundles", []):
            what, _, fix = problem.partition(": ")
            problems.add(f"{what} on {{hosts}}{': ' if fix else ''}{fix}", host)
        if entry.get("dags_path"):
            problems.add(
                f"airflow_dags_path names {entry['dags_path']}, which is no folder on the controller: "
                'correct it, or set it to "" where DAGs come from airflow_dag_bundles alone',
                host,
            )
        for server, error in entry.get("bundle_servers", {}).items():
            if error:
                problems.add(
                    f"{server}, which airflow_dag_bundles names, cannot be reached from {{hosts}}: correct "
                    "its URL, or let these hosts connect to it",
                    host,
                )
