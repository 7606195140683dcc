# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What host_health_info collects: one function for each thing, all of them at the same time.

A function returns what it saw. If it cannot it raises; the caller then gets {"error": why}.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Mapping

from ansible_collections.airflowops.cluster.plugins.module_utils.airflow.patches import patches_not_on
from ansible_collections.airflowops.cluster.plugins.module_utils.health.certificates import certificates
from ansible_collections.airflowops.cluster.plugins.module_utils.health.machine import (
    airflow_installed,
    disks,
    host,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.health.metastore import (
    backups,
    etcd,
    patroni,
    postgres,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.health.redis import redis_nodes
from ansible_collections.airflowops.cluster.plugins.module_utils.health.services import haproxy, units
from ansible_collections.airflowops.cluster.plugins.module_utils.health.web import urls


def collect(request: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    """Everything that is asked for, at the same time. What cannot be collected is {"error": why}."""
    wanted: dict[str, Callable[[], Any]] = {
        "host": host,
        "systemd": lambda: units(request["units"], timeout),
        "urls": lambda: urls(request["urls"], timeout, request.get("logins")),
        "certificates": lambda: certificates(request["certificates"], timeout),
        "disks": lambda: disks(request["disks"]),
    }
    optional: dict[str, Callable[[], Any]] = {
        "haproxy": lambda: haproxy(request["haproxy_socket"], timeout),
        "redis": lambda: redis_nodes(request["redis"], timeout),
        "postgres": lambda: postgres(request["postgres"], timeout),
        "patroni": lambda: patroni(request["patroni"], timeout),
        "etcd": lambda: etcd(request["etcd"], timeout),
        "backups": lambda: backups(request["backups"], timeout),
        "airflow_installed": lambda: airflow_installed(request["airflow_link"]),
        "airflow_patches": patches_not_on,
    }
    needs = {
        "haproxy": "haproxy_socket",
        "airflow_installed": "airflow_link",
        "airflow_patches": "airflow_link",
    }
    wanted.update((name, call) for name, call in optional.items() if request.get(needs.get(name, name)))
    with ThreadPoolExecutor(len(wanted)) as pool:
        futures = {name: pool.submit(guarded, call) for name, call in wanted.items()}
        return {name: future.result() for name, future in futures.items()}


def guarded(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        # Of whatever kind: what is left of the host is worth being reported.
        text = str(getattr(error, "strerror", None) or error) or type(error).__name__
        return {"error": text}
