# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes, ports and replicas of Redis."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.checks import (
    find_problems,
)
from clusters import MULTI_NODE, Cluster, make_cluster, only, put, single_node
from hypothesis import given
from hypothesis import strategies as st

# --- Redis


@pytest.mark.parametrize(("ports", "replicas"), [([7000], 0), ([7000, 7001], 0)])
def test_fewer_than_three_nodes(ports: list[int], replicas: int) -> None:
    problem = only(single_node(redis_cluster_ports=ports, redis_cluster_replicas_per_master=replicas))
    assert f"has {len(ports)} node" in problem
    assert "at least 3 masters are needed, that is 3 nodes: add hosts" in problem


def test_too_few_nodes_for_the_replicas(cluster: Cluster) -> None:
    put(cluster, "redis_cluster_ports", [7000])
    assert only(cluster) == (
        "The Redis Cluster has 3 nodes on 3 hosts (redis1, redis2, redis3), but at least 3 masters are "
        "needed, that is 6 nodes with 1 replica for each master: add hosts to the group or ports to "
        "redis_cluster_ports"
    )


@pytest.mark.parametrize("ports", [[7000, 7001], [7000, 7001, 7002], [7000, 7001, 7002, 7003]])
def test_two_hosts_with_replicas(ports: list[int]) -> None:
    cluster = make_cluster({**MULTI_NODE, "redis_cluster": ["redis1", "redis2"]}, redis_cluster_ports=ports)
    problem = only(cluster)
    assert "on 2 hosts (redis1, redis2) with 1 replica for each master, which cannot be placed" in problem
    assert "use at least 3 hosts, or set redis_cluster_replicas_per_master to 0" in problem


def test_two_hosts_without_replicas_are_accepted() -> None:
    groups = {**MULTI_NODE, "redis_cluster": ["redis1", "redis2"]}
    assert find_problems(make_cluster(groups, redis_cluster_replicas_per_master=0)) == []


def test_replicas_on_a_single_node() -> None:
    assert "use at least 3 hosts" in only(single_node(redis_cluster_replicas_per_master=1))


def test_more_replicas_than_other_hosts(cluster: Cluster) -> None:
    put(cluster, "redis_cluster_replicas_per_master", 3)
    put(cluster, "redis_cluster_ports", [7000, 7001, 7002, 7003])
    assert "use at least 4 hosts" in only(cluster)


def test_a_host_that_would_hold_half_of_the_masters(cluster: Cluster) -> None:
    put(cluster, "redis_cluster_ports", [7000, 7001, 7002])
    problem = only(cluster)
    assert "of which 4 are masters, and one host would hold half of these or more" in problem


def test_a_host_with_too_many_nodes_to_place_replicas_apart(cluster: Cluster) -> None:
    groups = {**MULTI_NODE, "redis_cluster": ["redis1", "redis2", "redis3", "redis4"]}
    cluster = make_cluster(groups, redis_cluster_ports=[7000, 7001])
    put(cluster, "redis_cluster_ports", list(range(7000, 7009)), "redis1")
    assert "too many of them on one host" in only(cluster)


@given(hosts=st.integers(3, 9), ports=st.sampled_from([1, 2, 4]), replicas=st.sampled_from([0, 1]))
def test_equal_hosts_with_an_even_number_of_nodes_are_good(hosts: int, ports: int, replicas: int) -> None:
    if replicas and hosts * ports < 6:
        return
    if replicas and ports == 1 and hosts < 6:
        return
    names = [f"redis{number}" for number in range(hosts)]
    cluster = make_cluster(
        {**MULTI_NODE, "redis_cluster": names},
        redis_cluster_ports=list(range(7000, 7000 + ports)),
        redis_cluster_replicas_per_master=replicas,
    )
    assert find_problems(cluster) == []


def test_different_numbers_of_replicas(cluster: Cluster) -> None:
    put(cluster, "redis_cluster_replicas_per_master", 0, "redis3")
    assert only(cluster).startswith(
        "redis_cluster_replicas_per_master differs between redis1, redis2, redis3"
    )


@pytest.mark.parametrize("value", [-1, "many", None, True, 1.5])
def test_replicas_that_are_no_number(cluster: Cluster, value: Any) -> None:
    put(cluster, "redis_cluster_replicas_per_master", value)
    assert only(cluster).startswith(
        "redis_cluster_replicas_per_master is no whole number on redis1, redis2, redis3"
    )


@pytest.mark.parametrize("value", [[], None, "7000", 7000, ["a"], [7000, None], {"port": 7000}])
def test_redis_ports_of_the_wrong_type(cluster: Cluster, value: Any) -> None:
    put(cluster, "redis_cluster_ports", value)
    assert only(cluster).startswith(
        "redis_cluster_ports is no list of ports on redis1, redis2, redis3: use one like"
    )


def test_a_bus_port_above_the_highest_port(cluster: Cluster) -> None:
    put(cluster, "redis_cluster_ports", [7000, 55536])
    assert only(cluster) == (
        "redis_cluster_ports has 55536 on redis1, redis2, redis3: use ports from 1 to 55535, "
        "for the cluster bus of each is 10000 above it"
    )
