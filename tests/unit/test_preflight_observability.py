# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of exporters, Prometheus and Alertmanager is judged before anything is changed."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.checks import find_problems
from clusters import MULTI_NODE, Cluster, make_cluster, only, see

PORTS = {
    "node": 9100, "redis": 9121, "postgres": 9187, "nginx": 9113, "nginx_status": 8089, "haproxy": 8405,
    "etcd": 2381, "airflow": 9103, "statsd": 9125, "observability_port": 9999,
    "observability_prometheus_port": 9090,
    "observability_alertmanager_port": 9093,
}  # fmt: skip


def watched(*monitoring: str, problems: tuple[str, ...] = (), **ports: Any) -> Cluster:
    cluster = make_cluster({**MULTI_NODE, "observability": list(monitoring or ["monitor1"])})
    cluster["roles"]["observability"]["group"] = "monitoring"
    for entry in cluster["hosts"].values():
        entry["metrics"] = {"ports": {**PORTS, **ports}, "problems": list(problems)}
    return cluster


def test_a_host_for_prometheus_is_good() -> None:
    assert find_problems(watched()) == []
    assert find_problems(watched("redis1")) == []


def test_two_hosts_would_send_every_alert_twice() -> None:
    assert "The group monitoring has 2 hosts (front1, monitor1): put one into it" in only(
        watched("monitor1", "front1")
    )


@pytest.mark.parametrize(
    ("port", "words"),
    [
        ({"observability_port": 9100}, "Port 9100 is used twice on"),
        (
            {"nginx": 80},
            "Port 80 is used twice on front1, nginx_lb_http_port and observability_exporter_ports.nginx",
        ),
        ({"redis": 7000}, "Port 7000 is used twice on redis1, redis2, redis3"),
        ({"observability_prometheus_port": 9093}, "Port 9093 is used twice on monitor1"),
    ],
)
def test_a_port_asked_for_twice(port: dict[str, int], words: str) -> None:
    assert words in only(watched(**port))


@pytest.mark.parametrize(
    "port",
    [
        {"nginx": 7000},
        {"statsd": 9999},
        {"observability_prometheus_port": 80},
        {"etcd": 8080},
        {"haproxy": 7000},
    ],
)
def test_ports_of_other_hosts_or_of_udp_do_not_count(port: dict[str, int]) -> None:
    assert find_problems(watched(**port)) == []


@pytest.mark.parametrize("value", [0, 65536, "none", None])
def test_a_port_that_is_none(value: Any) -> None:
    assert "observability_exporter_ports.node is not a port on" in only(watched(node=value))


def test_a_port_taken_by_another_service() -> None:
    cluster = watched()
    see(cluster, "listening", [{"port": 9100, "process": "other", "unit": "other.service"}], "redis1")
    assert "Port 9100 of observability_exporter_ports.node is taken on redis1 by other" in only(cluster)
    see(
        cluster,
        "listening",
        [{"port": 9100, "process": "p", "unit": "prometheus-node-exporter.service"}],
        "redis1",
    )
    assert find_problems(cluster) == []


def test_problems_of_the_inputs_are_told_once() -> None:
    problem = "observability_allow names x, which is no address or network: write it as 10.0.0.5"
    assert "names x, which is no address or network on all 11 hosts: write it" in only(
        watched(problems=(problem,))
    )


def test_enterprise_linux_has_no_exporters() -> None:
    cluster = watched()
    see(cluster, "os", {"id": "rocky", "version": "9.4", "name": "Rocky Linux 9.4"}, "redis1")
    cluster["hosts"]["redis1"]["values"]["preflight_allow_untested"] = True
    assert "There are no packages for observability on redis1" in only(cluster)


def test_without_it_nothing_is_judged() -> None:
    cluster = watched()
    cluster["roles"]["observability"]["hosts"] = []
    for entry in cluster["hosts"].values():
        entry["metrics"] = {}
    assert find_problems(cluster) == []
