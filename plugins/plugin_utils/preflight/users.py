# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A user named airflow that was on a host before: a person, or another installation."""

from __future__ import annotations

from typing import Any

from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import (
    Problems,
    known_hosts,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import RUNS_AIRFLOW

HOME = "/var/lib/airflow"


def check_users(cluster: dict[str, Any], problems: Problems) -> None:
    """By its home alone: a shell that somebody gave to the service's user is set back by the run."""
    for host in known_hosts(cluster, *RUNS_AIRFLOW, "flower"):
        user = (cluster["hosts"][host].get("probe") or {}).get("airflow_user")
        if not user:
            continue
        if not user["local"]:
            problems.add(
                "The user airflow on {hosts} comes from a directory service (LDAP, sssd), and Airflow runs "
                "as a local user of this name: keep that one from the host (in sssd.conf filter_users and "
                "filter_groups = airflow), or name it otherwise in the directory",
                host,
            )
        elif user["home"].rstrip("/") != HOME:
            problems.add(
                f"The user airflow on {{hosts}} is somebody else's (home {user['home']}, shell "
                f"{user['shell']}), and Airflow runs as a user of this name with the home {HOME}: "
                "rename that one (`usermod --login NEW airflow`, then `groupmod --new-name NEW airflow`) or "
                "remove it; if Ansible logs in as airflow, set ansible_user to another user first",
                host,
            )
        elif not user["group"]:
            problems.add(
                "The user airflow on {hosts} has no group airflow, as which Airflow runs: add it with "
                "`groupadd --system airflow`",
                host,
            )
