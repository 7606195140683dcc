# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy is for what lies outside the cluster.

The environment of a service may name one, from airflow_environment, a worker's own `environment` or systemd's
DefaultEnvironment=. Tasks ask the execution API on loopback and API servers fetch logs from workers with
clients that follow these variables: no_proxy has to name the cluster's hosts.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def proxy_named() -> bool:
    """True if the environment names a proxy, in whichever spelling."""
    return any(
        value and name.lower().endswith("_proxy") and name.lower() != "no_proxy"
        for name, value in os.environ.items()
    )


def spare(hosts: Iterable[str]) -> None:
    """Adds the hosts to no_proxy in both its spellings. What a user has put there stays."""
    lower, upper = os.environ.get("no_proxy"), os.environ.get("NO_PROXY")
    for name, value in (("no_proxy", lower or upper), ("NO_PROXY", upper or lower)):
        listed = [entry.strip() for entry in (value or "").split(",") if entry.strip()]
        # With other entries beside it, `*` would not be understood.
        os.environ[name] = "*" if "*" in listed else ",".join(dict.fromkeys([*listed, *hosts]))


def own_hosts() -> list[str]:
    """Names and addresses of the cluster's hosts, as the configuration has them beside airflow.cfg."""
    file = Path(os.environ.get("AIRFLOW_CONFIG", "/etc/airflow/airflow.cfg")).with_name("own_hosts")
    try:
        return file.read_text(encoding="utf-8").split()
    except OSError:
        return []


def spare_own_hosts() -> None:
    if proxy_named():
        spare([*LOOPBACK, *own_hosts()])
