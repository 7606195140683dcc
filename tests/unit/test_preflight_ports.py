# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports that collide, or that others hold."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.checks import (
    PORTS,
    find_problems,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.metastore import PATRONI_PORTS
from clusters import Cluster, only, put, see, single_node

# --- Ports


# Those that a single node listens on.
SINGLE_PORTS = [name for name in PORTS if name not in PATRONI_PORTS]


def test_every_port_of_a_single_node_must_differ() -> None:
    for name in SINGLE_PORTS:
        problem = only(single_node(**{name: 7001}))
        assert problem == (
            f"Port 7001 is used twice on one, {' and '.join(sorted([name, 'redis_cluster_ports']))}: "
            "choose another port for one of them"
        )


def test_a_bus_port_collides_too() -> None:
    problem = only(single_node(service_endpoints_broker_port=17000))
    assert problem.startswith("Port 17000 is used twice on one, ")
    assert "service_endpoints_broker_port and the cluster bus of redis_cluster_ports" in problem


def test_a_redis_port_listed_twice() -> None:
    problems = find_problems(single_node(redis_cluster_ports=[7000, 7001, 7002, 7002]))
    assert problems[0].startswith("Port 17002 is used twice on one")
    assert problems[1].startswith("Port 7002 is used twice on one, redis_cluster_ports names it 2 times")


def test_the_workers_of_a_host_share_one_log_port() -> None:
    workers = [{"name": name, "queues": ["q"], "concurrency": 1} for name in ("a", "b")]
    assert find_problems(single_node(airflow_workers=workers)) == []


def test_the_same_port_on_different_hosts_is_no_problem(cluster: Cluster) -> None:
    put(cluster, "airflow_master_api_port", 80)
    assert find_problems(cluster) == []


@pytest.mark.parametrize("value", [0, 65536, "http", None, [80], True])
@pytest.mark.parametrize("name", SINGLE_PORTS)
def test_a_port_that_is_none(name: str, value: Any) -> None:
    assert (
        only(single_node(**{name: value}))
        == f"{name} is not a port on one: set it to a number from 1 to 65535"
    )


def listener(port: int, unit: str | None, process: str | None = "mysqld") -> dict[str, Any]:
    return {
        "address": "0.0.0.0",
        "port": port,
        "pid": 7 if process else None,
        "process": process,
        "unit": unit,
    }


def test_a_port_taken_by_another_service(cluster: Cluster) -> None:
    see(cluster, "listening", [listener(5432, "mysql.service")], "db1")
    assert only(cluster) == (
        "Port 5432 of postgres_metastore_port is taken on db1 by mysqld (mysql.service): "
        "stop that service, or choose another port"
    )


@pytest.mark.parametrize(("process", "words"), [("nc", "by nc:"), (None, "by a process that cannot be seen")])
def test_a_port_taken_by_a_process_without_a_unit(cluster: Cluster, process: str | None, words: str) -> None:
    see(cluster, "listening", [listener(8080, None, process)], "master1", "master2")
    assert f"airflow_master_api_port is taken on master1, master2 {words}" in only(cluster)


@pytest.mark.parametrize(
    ("host", "port", "unit"),
    [
        ("redis1", 7000, "redis-cluster@7000.service"),
        ("redis1", 17000, "redis-cluster@7000.service"),
        ("db1", 5432, "postgresql@15-main.service"),
        ("master1", 8080, "airflow-api-server.service"),
        ("worker1", 16379, "haproxy.service"),
        ("front1", 5555, "airflow-flower.service"),
        ("front1", 80, "nginx.service"),
    ],
)
def test_our_own_services_may_listen(cluster: Cluster, host: str, port: int, unit: str) -> None:
    see(cluster, "listening", [listener(port, unit), listener(22, "ssh.service")], host)
    assert find_problems(cluster) == []


def test_owners_are_not_judged_where_they_cannot_be_seen(cluster: Cluster) -> None:
    see(cluster, "listening", [listener(5432, None, None)], "db1")
    see(cluster, "privileged", False)
    assert find_problems(cluster) == []
