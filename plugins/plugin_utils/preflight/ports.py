# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ports that hosts will listen on: given twice, or taken by somebody else. See `checks`."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import Any, Iterable

from ansible_collections.airflowops.cluster.plugins.module_utils.redis.model import BUS_OFFSET
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.broker import redis_ports
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.ingress import (
    HTTPS_PORT,
    uses_https,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.metastore import (
    PATRONI_PORTS,
    uses_patroni,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.observability import (
    exporter_ports,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import (
    HIGHEST_PORT,
    Problems,
    as_integer,
    hosts_of,
    known_hosts,
    values_of,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import (
    RUNS_AIRFLOW,
)

OUR_UNITS = (
    "redis-cluster@*",
    "postgresql*",
    "patroni*",
    "etcd*",
    "airflow*",
    "flower*",
    "haproxy*",
    "service-endpoints*",
    "nginx*",
    "prometheus*",
    "collectd*",
)
# Flower asks the broker, so it needs the way to it as well.
USES_ENDPOINTS = (*RUNS_AIRFLOW, "flower")
# Which role listens on the port that a variable names. The ports of Redis are a list.
PORTS = {
    "postgres_metastore_port": ("postgres_metastore",),
    **{name: ("postgres_metastore",) for name in PATRONI_PORTS},
    "airflow_master_api_port": ("airflow_master",),
    "airflow_master_execution_port": ("airflow_master",),
    "airflow_master_scheduler_health_port": ("airflow_master",),
    "airflow_master_triggerer_log_port": ("airflow_master",),
    "airflow_worker_log_port": ("airflow_worker",),
    "service_endpoints_broker_port": USES_ENDPOINTS,
    "service_endpoints_metastore_port": USES_ENDPOINTS,
    "service_endpoints_execution_port": USES_ENDPOINTS,
    "flower_port": ("flower",),
    "nginx_lb_http_port": ("nginx_lb",),
    HTTPS_PORT: ("nginx_lb",),
}


def planned_ports(cluster: dict[str, Any], host: str, problems: Problems) -> list[tuple[int, str]]:
    """The ports that a host will listen on, each with the variable it comes from."""
    values = values_of(cluster, host)
    roles = {role for role in cluster["roles"] if host in hosts_of(cluster, role)}
    ports: list[tuple[int, str]] = []
    if "redis_cluster" in roles:
        for port in redis_ports(cluster, host) or []:
            ports += [
                (port, "redis_cluster_ports"),
                (port + BUS_OFFSET, "the cluster bus of redis_cluster_ports"),
            ]
    for name, users in PORTS.items():
        if (
            roles.intersection(users)
            and (name not in PATRONI_PORTS or uses_patroni(cluster))
            and (name != HTTPS_PORT or uses_https(cluster, host))
        ):
            ports += checked_port(name, values.get(name), host, problems)
    for name, value in exporter_ports(cluster, host).items():
        ports += checked_port(name, value, host, problems)
    return ports


def checked_port(name: str, value: Any, host: str, problems: Problems) -> list[tuple[int, str]]:
    port = as_integer(value)
    if port is None or not 1 <= port <= HIGHEST_PORT:
        problems.add(f"{name} is not a port on {{hosts}}: set it to a number from 1 to {HIGHEST_PORT}", host)
        return []
    return [(port, name)]


def check_ports(cluster: dict[str, Any], problems: Problems) -> None:
    for host in known_hosts(cluster, *cluster["roles"]):
        users: dict[int, list[str]] = {}
        for port, name in planned_ports(cluster, host, problems):
            users.setdefault(port, []).append(name)
        for port, names in users.items():
            if len(names) > 1:
                twice = (
                    f"{names[0]} names it {len(names)} times"
                    if len(set(names)) == 1
                    else " and ".join(sorted(set(names)))
                )
                problems.add(
                    f"Port {port} is used twice on {{hosts}}, {twice}: choose another port for one of them",
                    host,
                )
        for port, owner in foreign_listeners(cluster["hosts"][host].get("probe"), users).items():
            problems.add(
                f"Port {port} of {users[port][0]} is taken on {{hosts}} by {owner}: "
                "stop that service, or choose another port",
                host,
            )


def foreign_listeners(probe: dict[str, Any] | None, ports: Iterable[int]) -> dict[int, str]:
    """Which of the ports are held by processes that no unit of ours has started."""
    # Without root's rights the owner of a socket cannot be seen: it may well be ours.
    if not probe or not probe.get("privileged"):
        return {}
    found = {}
    for entry in probe.get("listening") or []:
        unit = entry.get("unit") or ""
        if entry["port"] in ports and not any(fnmatch(unit, pattern) for pattern in OUR_UNITS):
            process = entry.get("process") or "a process that cannot be seen from this host"
            found[entry["port"]] = f"{process} ({unit})" if unit else process
    return found
