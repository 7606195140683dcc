# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with what looks after the cluster: exporters, Prometheus, Alertmanager. See `preflight`."""

from __future__ import annotations

from typing import Any

from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import (
    Problems,
    hosts_of,
    listing,
)

OBSERVABILITY_PORTS = (
    "observability_port",
    "observability_prometheus_port",
    "observability_alertmanager_port",
)
# Who listens on which of them.
LISTENERS = {
    "redis": ("redis_cluster",),
    "postgres": ("postgres_metastore",),
    "nginx": ("nginx_lb",),
    "nginx_status": ("nginx_lb",),
    "haproxy": ("airflow_master", "airflow_worker", "flower", "nginx_lb"),
    "airflow": ("airflow_master", "airflow_worker", "flower"),
    # StatsD is UDP: no other listens there.
    "statsd": (),
}
ONLY_ON = ("debian", "ubuntu")


def exporter_ports(cluster: dict[str, Any], host: str) -> dict[str, Any]:
    """{input: port} of what looks after the cluster on that host."""
    metrics = cluster["hosts"][host].get("metrics") or {}
    found = {}
    for name, port in (metrics.get("ports") or {}).items():
        if name in OBSERVABILITY_PORTS:
            if name == "observability_port" or host in hosts_of(cluster, "observability"):
                found[name] = port
        elif name == "etcd":
            if host in etcd_hosts(cluster):
                found[f"observability_exporter_ports.{name}"] = port
        elif name not in LISTENERS or host in hosts_of(cluster, *LISTENERS[name]):
            found[f"observability_exporter_ports.{name}"] = port
    return found


def etcd_hosts(cluster: dict[str, Any]) -> list[str]:
    hosts = cluster["roles"].get("postgres_metastore", {}).get("hosts", [])
    return list(hosts[: 5 if len(hosts) >= 5 else 3]) if len(hosts) > 1 else []


def check_observability(cluster: dict[str, Any], problems: Problems) -> None:
    monitoring = cluster["roles"].get("observability", {"group": "", "hosts": []})
    if len(monitoring["hosts"]) > 1:
        problems.add(
            f"The group {monitoring['group']} has {len(monitoring['hosts'])} hosts "
            f"({listing(monitoring['hosts'])}): put one into it, as each would send every alert"
        )
    for host, entry in cluster["hosts"].items():
        metrics = entry.get("metrics") or {}
        for problem in metrics.get("problems", []):
            what, _, fix = problem.partition(": ")
            problems.add(f"{what} on {{hosts}}: {fix}", host)
        system = (entry.get("probe") or {}).get("os", {}).get("id", "debian")
        if metrics.get("ports") and system not in ONLY_ON:
            problems.add(
                "There are no packages for observability on {hosts}: use Debian or Ubuntu, "
                "or leave the group monitoring empty and observability_exporters false",
                host,
            )
