# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each bad input gives one sentence that names what is wrong and how to mend it; good ones give none."""

from __future__ import annotations

import base64
import copy
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.airflowops.cluster.plugins.filter import preflight as adapter
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.checks import (
    JUDGED_BY_MEANING,
    PORTS,
    find_problems,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.metastore import PATRONI_PORTS
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.renamed_inputs import (
    FORMER_INPUTS,
    Removed,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import (
    SECRETS,
    secret_problem,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.types import type_problem
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.variables import unknown_variables
from ansible_collections.airflowops.cluster.plugins.plugin_utils.providers import provider_needs
from ansible_collections.airflowops.cluster.plugins.plugin_utils.secrets_rotation import IN_ROTATION
from hypothesis import example, given
from hypothesis import strategies as st

ROLES = Path(__file__).parents[2] / "roles"
GOOD_PROBE = {
    "clock_offset": 0.1,
    "clock_uncertainty": 0.2,
    "disk_free": 50 * 2**30,
    "listening": [],
    "memory_limit": None,
    "memory_total": 4 * 2**30,
    "os": {"id": "debian", "version": "12", "name": "Debian GNU/Linux 12 (bookworm)"},
    "privileged": True,
    "python": "3.11.2",
    "pythons": ["3.11"],
    "systemd": True,
}
WORKER_KEYS = {"name", "queues", "concurrency", "autoscale", "environment", "memory_max", "cpu_weight"}
WORKER_KEYS |= {"sandbox", "write_paths"}
GOOD_VALUES = {
    "redis_cluster_ports": [7000, 7001],
    "redis_cluster_replicas_per_master": 1,
    "postgres_metastore_port": 5432,
    "postgres_metastore_patroni_port": 8008,
    "etcd_client_port": 2379,
    "etcd_peer_port": 2380,
    "airflow_master_api_port": 8080,
    "airflow_master_execution_port": 8081,
    "airflow_master_scheduler_health_port": 8974,
    "airflow_master_triggerer_log_port": 8794,
    "airflow_workers": [{"name": "default", "queues": ["default"], "concurrency": 8}],
    "airflow_worker_log_port": 8793,
    "airflow_required_queues": {},
    "service_endpoints_broker_port": 16379,
    "service_endpoints_metastore_port": 15432,
    "service_endpoints_execution_port": 18080,
    "flower_port": 5555,
    "nginx_lb_http_port": 80,
    "nginx_lb_https_port": 443,
}
MULTI_NODE = {
    "redis_cluster": ["redis1", "redis2", "redis3"],
    "postgres_metastore": ["db1"],
    "airflow_master": ["master1", "master2"],
    "airflow_worker": ["worker1", "worker2", "worker3"],
    "flower": ["front1"],
    "nginx_lb": ["front1"],
}
SINGLE_NODE = {role: ["one"] for role in MULTI_NODE}
KNOWN = {
    **{name: {} for name in GOOD_VALUES},
    "cluster_address": {},
    "airflow_workers": {"type": "list", "options": {key: {} for key in WORKER_KEYS}},
}

Cluster = dict[str, Any]


def make_cluster(groups: dict[str, list[str]], **values: Any) -> Cluster:
    hosts = sorted({host for members in groups.values() for host in members})
    return {
        "roles": {role: {"group": role, "hosts": members} for role, members in groups.items()},
        "inventory_groups": {"all": hosts, "ungrouped": [], **groups},
        "known_variables": copy.deepcopy(KNOWN),
        "fingerprints": {name: dict.fromkeys(hosts, "digest") for name in SECRETS},
        "hosts": {
            host: {
                "values": {**copy.deepcopy(GOOD_VALUES), "cluster_address": f"{host}.example.org", **values},
                "unknown_variables": [],
                "secrets": dict.fromkeys(SECRETS, ""),
                "probe": copy.deepcopy(GOOD_PROBE),
                "release": {
                    "wanted": "3.3.2",
                    "in_use": "",
                    "change": "",
                    "lock_file": "/locks/airflow-3.3.2.txt",
                    "lock_there": True,
                },
            }
            for host in hosts
        },
    }


@pytest.fixture
def cluster() -> Cluster:
    return make_cluster(MULTI_NODE)


def single_node(**values: Any) -> Cluster:
    shape = {"redis_cluster_ports": [7000, 7001, 7002], "redis_cluster_replicas_per_master": 0}
    cluster = make_cluster(SINGLE_NODE, **{**shape, **values})
    # With HTTPS, so that it listens on every port.
    cluster["hosts"]["one"]["front"] = {
        "https": True, "given": [], "certificate": [], "names": [], "unresolved": []
    }  # fmt: skip
    return cluster


def put(cluster: Cluster, name: str, value: Any, *hosts: str) -> None:
    """Sets a variable on some hosts, or on all."""
    for host in hosts or cluster["hosts"]:
        cluster["hosts"][host]["values"][name] = value


def see(cluster: Cluster, name: str, value: Any, *hosts: str) -> None:
    """Sets what was seen of some hosts, or of all."""
    for host in hosts or cluster["hosts"]:
        cluster["hosts"][host]["probe"][name] = value


def only(cluster: Cluster) -> str:
    """The one problem of a cluster."""
    problems = find_problems(cluster)
    assert len(problems) == 1, problems
    return problems[0]


def limit(cluster: Cluster, *hosts: str) -> Cluster:
    """The cluster as a run with --limit sees it."""
    cluster["hosts"] = {host: cluster["hosts"][host] for host in hosts}
    return cluster


# --- Good inventories


def test_the_multi_node_topology_is_good(cluster: Cluster) -> None:
    assert find_problems(cluster) == []


def test_the_single_node_topology_is_good() -> None:
    assert find_problems(single_node()) == []


def test_flower_and_nginx_may_be_left_out() -> None:
    assert find_problems(make_cluster({**MULTI_NODE, "flower": [], "nginx_lb": []})) == []


def test_numbers_given_as_text_on_a_command_line_are_numbers(cluster: Cluster) -> None:
    put(cluster, "redis_cluster_ports", ["7000", "7001"])
    put(cluster, "redis_cluster_replicas_per_master", "1")
    put(cluster, "flower_port", "5556")
    assert find_problems(cluster) == []


def test_hosts_that_were_not_probed_are_judged_by_their_variables_only(cluster: Cluster) -> None:
    for entry in cluster["hosts"].values():
        entry["probe"] = None
    assert find_problems(cluster) == []


@pytest.mark.parametrize("host", ["redis1", "db1", "master1", "worker1", "front1"])
def test_a_run_limited_to_one_host_of_a_good_cluster_is_good(cluster: Cluster, host: str) -> None:
    put(cluster, "airflow_required_queues", {"default": 3})
    assert find_problems(limit(cluster, host)) == []


# --- Groups


@pytest.mark.parametrize("role", ["airflow_master", "airflow_worker"])
def test_empty_group(role: str) -> None:
    problem = only(make_cluster({**MULTI_NODE, role: []}))
    assert problem == f"The group {role} has no host: put one into it, or name another group in {role}_group"


def test_an_empty_group_is_told_by_the_name_that_the_user_gave_it(cluster: Cluster) -> None:
    cluster["roles"]["airflow_worker"] = {"group": "celery", "hosts": []}
    assert only(cluster).startswith("The group celery has no host")


def with_metastores(count: int, **values: Any) -> Cluster:
    hosts = [f"db{number}" for number in range(1, count + 1)]
    return make_cluster({**MULTI_NODE, "postgres_metastore": hosts}, **values)


def test_two_metastores() -> None:
    problem = only(with_metastores(2))
    assert "has 2 hosts (db1, db2)" in problem
    assert "no majority" in problem


@pytest.mark.parametrize("count", [1, 3, 4, 5])
def test_number_of_metastores(count: int) -> None:
    assert find_problems(with_metastores(count)) == []


def test_more_connections_than_postgresql_accepts() -> None:
    cluster = with_metastores(1)
    for host in ("worker1", "worker2", "worker3"):
        cluster["hosts"][host]["values"]["airflow_workers"] = [
            {"name": "big", "queues": ["default"], "concurrency": 60}
        ]
    problem = only(cluster)
    # Two masters: (2 + 2 + 3) pools of 15, and 8; three workers of 60 slots and themselves.
    assert problem.startswith(
        "postgres_metastore_max_connections is 400 on db1, but up to 424 connections may be open: "
        "226 of 2 masters, 183 of the workers and their slots, 15 kept free. Set it to 424 or more"
    )
    cluster["hosts"]["db1"]["given"] = {"postgres_metastore_max_connections": "424"}
    assert find_problems(cluster) == []


def test_backups_on_a_host_that_has_no_metastore() -> None:
    cluster = with_metastores(3)
    for host in ("db1", "db2", "db3"):
        cluster["hosts"][host]["given"] = {"postgres_metastore_backup_host": "backup1"}
    assert only(cluster).startswith(
        "postgres_metastore_backup_host is backup1, which is no host of the group"
    )
    for host in ("db1", "db2", "db3"):
        cluster["hosts"][host]["given"] = {"postgres_metastore_backup_host": "db2"}
    assert find_problems(cluster) == []


GOOD_SERVER = {"problem": "", "server": "db:5432", "server_version": "15.4 (Debian)", "read_only": False}


def with_database(**server: Any) -> Cluster:
    """A cluster on a database of the user's, as its masters and workers see it."""
    cluster = make_cluster({**MULTI_NODE, "postgres_metastore": []})
    for host in (*MULTI_NODE["airflow_master"], *MULTI_NODE["airflow_worker"]):
        cluster["hosts"][host]["database"] = {"airflow_database_url": {**GOOD_SERVER, **server}}
        for name in ("password", "owner_password", "results_password"):
            cluster["hosts"][host]["secrets"][f"postgres_metastore_{name}"] = "is missing"
    return cluster


def test_a_database_of_the_user_needs_no_host_and_no_secret_of_ours() -> None:
    assert find_problems(with_database()) == []


def test_no_database_at_all() -> None:
    problem = only(make_cluster({**MULTI_NODE, "postgres_metastore": []}))
    assert problem.startswith("The group postgres_metastore has no host: put one into it")
    assert "airflow_database_url" in problem


@pytest.mark.parametrize(
    ("server", "problem"),
    [
        (
            {"problem": "db:5432: password authentication failed (28P01)"},
            "airflow_database_url cannot be used from master1, master2, worker1, worker2, worker3: "
            "db:5432: password authentication failed (28P01). Correct it, or let the server accept",
        ),
        (
            {"server_version": "12.22"},
            "airflow_database_url leads to PostgreSQL 12.22, which Airflow 3 does not support: upgrade it to "
            "13 or later, or name another server",
        ),
        (
            {"read_only": True},
            "airflow_database_url leads to db:5432, which only reads: name the primary, or add "
            "target_session_attrs=read-write and all servers",
        ),
    ],
)
def test_a_database_that_does_not_serve(server: dict[str, Any], problem: str) -> None:
    assert only(with_database(**server)).startswith(problem)


def test_a_database_and_hosts_for_ours() -> None:
    cluster = with_database()
    cluster["roles"]["postgres_metastore"]["hosts"] = ["worker1"]
    assert find_problems(cluster)[0].startswith(
        "airflow_database_url names a database, but the group postgres_metastore has hosts (worker1)"
    )


def test_a_database_for_some_hosts_alone() -> None:
    cluster = with_database()
    del cluster["hosts"]["worker2"]["database"]
    assert any(
        "airflow_database_url is set on master1, master2, worker1, worker3 alone" in problem
        for problem in find_problems(cluster)
    )


def test_smaller_pools_need_fewer_connections() -> None:
    cluster = with_metastores(1)
    cluster["hosts"]["db1"]["given"] = {"postgres_metastore_max_connections": 140}
    assert only(cluster).startswith("postgres_metastore_max_connections is 140 on db1")
    for host in ("master1", "master2"):
        cluster["hosts"][host]["given"] = {"airflow_config": {"database": {"sql_alchemy_max_overflow": 0}}}
    assert find_problems(cluster) == []


def test_several_metastores_where_the_distribution_has_no_patroni() -> None:
    cluster = with_metastores(3)
    cluster["hosts"]["db2"]["probe"]["os"] = {"id": "rocky", "version": "9", "name": "Rocky Linux 9"}
    put(cluster, "preflight_allow_untested", True)
    assert "the distribution of db2 ships neither Patroni nor etcd" in only(cluster)


def test_metastore_left_alone_by_its_replicas() -> None:
    cluster = with_metastores(1)
    cluster["hosts"]["db1"]["probe"]["packages"] = ["patroni", "postgresql-15"]
    assert only(cluster).startswith("db1 is alone in the group postgres_metastore, and was one of several")


def test_ports_of_patroni_and_etcd() -> None:
    assert find_problems(with_metastores(1, etcd_client_port=5432)) == []
    problems = find_problems(with_metastores(3, etcd_client_port=5432))
    assert ["Port 5432 is used twice" in problem for problem in problems] == [True]


@pytest.mark.parametrize(
    "name", ["airflow_workers", "airflow-worker", "redis_clusters", "nginxlb", "flowers"]
)
def test_misspelt_group(cluster: Cluster, name: str) -> None:
    cluster["inventory_groups"][name] = ["lost1"]
    problem = only(cluster)
    assert problem.startswith(f"The group {name} (lost1) looks like a misspelt ")
    assert "rename it" in problem


@pytest.mark.parametrize("name", ["airflow_worker_q1", "redis_cluster_2", "old_nginx_lb", "web", "airflow"])
def test_groups_that_are_no_typos(cluster: Cluster, name: str) -> None:
    cluster["inventory_groups"][name] = ["other1"]
    assert find_problems(cluster) == []


def test_a_group_of_hosts_that_are_in_ours_as_well_is_no_typo(cluster: Cluster) -> None:
    cluster["inventory_groups"]["airflow_workers"] = ["worker1", "worker2"]
    assert find_problems(cluster) == []


def test_a_group_may_be_accepted(cluster: Cluster) -> None:
    cluster["inventory_groups"]["flowers"] = ["shop1"]
    put(cluster, "preflight_ignore_groups", ["flow*s"])
    assert find_problems(cluster) == []


# --- Addresses


def test_one_address_for_two_hosts(cluster: Cluster) -> None:
    put(cluster, "cluster_address", "192.0.2.7", "worker1", "worker2")
    assert only(cluster).startswith(
        "cluster_address is 192.0.2.7 on worker1, worker2 at once: give each host its own"
    )


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "::1"])
def test_an_address_that_others_cannot_reach(cluster: Cluster, address: str) -> None:
    put(cluster, "cluster_address", address, "db1")
    assert only(cluster).startswith(f"cluster_address is {address} on db1, where other hosts cannot reach it")


def test_a_single_node_may_use_its_loopback_address() -> None:
    assert find_problems(single_node(cluster_address="127.0.0.1")) == []


@pytest.mark.parametrize("value", [None, "", 7])
def test_no_address(cluster: Cluster, value: Any) -> None:
    put(cluster, "cluster_address", value, "db1")
    assert only(cluster).startswith("cluster_address has no value on db1")


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


# --- Workers and queues


@pytest.mark.parametrize("value", [None, [], "default", {"name": "default"}])
def test_no_list_of_workers(cluster: Cluster, value: Any) -> None:
    put(cluster, "airflow_workers", value, "worker2")
    assert only(cluster).startswith(
        "airflow_workers must be a list of at least one worker on worker2: for example [{"
    )


@pytest.mark.parametrize(
    ("worker", "words"),
    [
        ("default", "Worker 1 of airflow_workers is not a dictionary on worker1: give it name"),
        (
            {"name": "Big Box", "queues": ["q"], "concurrency": 1},
            "Worker Big Box of airflow_workers has no fit name",
        ),
        ({"name": "-a", "queues": ["q"], "concurrency": 1}, "Worker -a of airflow_workers has no fit name"),
        (
            {"queues": ["q"], "concurrency": 1},
            "Worker 1 of airflow_workers has no fit name on worker1: use lower-case",
        ),
        ({"name": 7, "queues": ["q"], "concurrency": 1}, "Worker 1 of airflow_workers has no fit name"),
        (
            {"name": "a", "queues": [], "concurrency": 1},
            "Worker a of airflow_workers has no queues on worker1: list",
        ),
        (
            {"name": "a", "queues": "q", "concurrency": 1},
            "Worker a of airflow_workers has no queues on worker1: list",
        ),
        ({"name": "a", "concurrency": 1}, "Worker a of airflow_workers has no queues on worker1"),
        (
            {"name": "a", "queues": ["q,r"], "concurrency": 1},
            "has the queue 'q,r' on worker1: use text without commas",
        ),
        (
            {"name": "a", "queues": [1], "concurrency": 1},
            "Worker a of airflow_workers has the queue 1 on worker1",
        ),
        (
            {"name": "a", "queues": ["q"], "concurrency": 0},
            "Worker a of airflow_workers has no fit concurrency",
        ),
        (
            {"name": "a", "queues": ["q"], "concurrency": "x"},
            "Worker a of airflow_workers has no fit concurrency",
        ),
        (
            {"name": "a", "queues": ["q"]},
            "Worker a of airflow_workers has no fit concurrency on worker1: set it to the",
        ),
        (
            {"name": "a", "queues": ["q"], "concurrency": 1, "queue": "q"},
            "Worker a of airflow_workers has the unknown key queue (did you mean queues?) on worker1: ",
        ),
        (
            {"name": "a", "queues": ["q"], "concurrency": 1, "autoscale": {"min": 1, "max": 2}},
            "or give it autoscale: {min: 2, max: 8} instead",
        ),
        (
            {"name": "a", "queues": ["q"], "autoscale": {"min": 8, "max": 2}},
            "Worker a of airflow_workers has no fit autoscale on worker1: give min and max",
        ),
        ({"name": "a", "queues": ["q"], "autoscale": {"max": 2}}, "has no fit autoscale"),
        ({"name": "a", "queues": ["q"], "autoscale": "8,2"}, "has no fit autoscale"),
        (
            {"name": "a", "queues": ["q"], "concurrency": 1, "environment": ["A=1"]},
            "Worker a of airflow_workers has no fit environment on worker1: map names",
        ),
        ({"name": "a", "queues": ["q"], "concurrency": 1, "environment": ["A=1"]}, "has no fit environment"),
        (
            {"name": "a", "queues": ["q"], "concurrency": 1, "memory_max": "4 GB"},
            "Worker a of airflow_workers has no fit memory_max on worker1: give bytes with a unit, as in 4G",
        ),
        ({"name": "a", "queues": ["q"], "concurrency": 1, "memory_max": 512}, "has no fit memory_max"),
        (
            {"name": "a", "queues": ["q"], "concurrency": 1, "cpu_weight": 0},
            "Worker a of airflow_workers has no fit cpu_weight on worker1: give a number from 1 to 10000",
        ),
        (
            {"name": "a", "queues": ["q"], "concurrency": 1, "sandbox": "maybe"},
            "Worker a of airflow_workers has no fit sandbox on worker1: give true or false",
        ),
        (
            {"name": "a", "queues": ["q"], "concurrency": 1, "write_paths": ["/srv", "data"]},
            "Worker a of airflow_workers has no fit write_paths on worker1: list absolute paths",
        ),
        ({"name": "a", "queues": ["q"], "concurrency": 1, "write_paths": ["/a b"]}, "has no fit write_paths"),
        ({"name": "a", "queues": ["q"], "concurrency": 1, "write_paths": "/srv"}, "has no fit write_paths"),
    ],
)
def test_bad_worker(cluster: Cluster, worker: Any, words: str) -> None:
    put(cluster, "airflow_workers", [worker], "worker1")
    assert words in only(cluster)


def test_a_worker_with_all_that_one_can_have(cluster: Cluster) -> None:
    worker = {
        "name": "a",
        "queues": ["default"],
        "autoscale": {"min": 1, "max": "4"},
        "environment": {"OMP_NUM_THREADS": "2"},
        "memory_max": "4G",
        "cpu_weight": 50,
        "sandbox": "yes",
        "write_paths": ["/srv/data"],
    }
    put(cluster, "airflow_workers", [worker])
    assert find_problems(cluster) == []


def test_two_workers_of_one_name_on_a_host(cluster: Cluster) -> None:
    put(cluster, "airflow_workers", GOOD_VALUES["airflow_workers"] * 2, "worker1")
    assert only(cluster).startswith(
        "airflow_workers names default 2 times on worker1: give each worker its own name"
    )


def test_the_same_bad_worker_on_all_hosts_is_one_problem(cluster: Cluster) -> None:
    put(cluster, "airflow_workers", [{"name": "a", "queues": ["q"], "concurrency": 0}])
    assert "on worker1, worker2, worker3:" in only(cluster)


def test_a_queue_that_no_worker_serves(cluster: Cluster) -> None:
    put(cluster, "airflow_required_queues", {"defualt": 1})
    assert only(cluster) == (
        "airflow_required_queues asks for 1 worker on the queue defualt, but none would serve it "
        "(did you mean default?): add the queue to the queues of more workers in airflow_workers, "
        "or lower the number"
    )


def test_a_queue_that_too_few_workers_serve(cluster: Cluster) -> None:
    put(
        cluster,
        "airflow_workers",
        [{"name": "big", "queues": ["default", "q1"], "concurrency": 2}],
        "worker1",
    )
    put(cluster, "airflow_required_queues", {"q1": 2, "default": 3})
    assert "asks for 2 workers on the queue q1, but only 1 (big on worker1) would serve it" in only(cluster)


def test_two_workers_of_one_host_serve_a_queue_twice(cluster: Cluster) -> None:
    workers = [{"name": name, "queues": ["q1"], "concurrency": 1} for name in ("a", "b")]
    put(cluster, "airflow_workers", workers, "worker1")
    put(cluster, "airflow_required_queues", {"q1": 2})
    assert find_problems(cluster) == []


def test_queues_required_for_one_group_only_count_as_well(cluster: Cluster) -> None:
    put(cluster, "airflow_required_queues", {"q9": 1}, "worker3")
    assert "on the queue q9, but none" in only(cluster)


@pytest.mark.parametrize("value", [["q1"], "q1", 3])
def test_required_queues_of_the_wrong_type(cluster: Cluster, value: Any) -> None:
    put(cluster, "airflow_required_queues", value)
    assert only(cluster).startswith("airflow_required_queues is not a dictionary on master1")


@pytest.mark.parametrize("value", [0, -1, "two", None, True])
def test_a_required_number_of_workers_that_is_none(cluster: Cluster, value: Any) -> None:
    put(cluster, "airflow_required_queues", {"default": value}, "master1")
    assert only(cluster).startswith(
        "airflow_required_queues has no whole number from 1 for default on master1"
    )


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


# --- Hosts


@pytest.mark.parametrize("host", ["master1", "worker3"])
@pytest.mark.parametrize(
    ("total", "limit", "shown"),
    [
        (1 << 30, None, 1024),
        (16 << 30, 1536 << 20, 1536),
        (16 << 30, (2 << 30) - 1, 2047),
        (1800 << 20, None, 1800),
    ],
)
def test_too_little_memory(cluster: Cluster, host: str, total: int, limit: int | None, shown: int) -> None:
    see(cluster, "memory_total", total, host)
    see(cluster, "memory_limit", limit, host)
    assert only(cluster).startswith(
        f"Memory is {shown} MiB on {host}, but a host that runs Airflow needs 2048 MiB: "
    )


@pytest.mark.parametrize(("total", "limit"), [(1900 << 20, None), (2 << 30, 2 << 30), (16 << 30, 2 << 30)])
def test_two_gibibytes_are_enough(cluster: Cluster, total: int, limit: int | None) -> None:
    see(cluster, "memory_total", total)
    see(cluster, "memory_limit", limit)
    assert find_problems(cluster) == []


def test_other_hosts_may_have_little_memory_and_disk(cluster: Cluster) -> None:
    for host in ("redis1", "db1", "front1"):
        see(cluster, "memory_total", 512 << 20, host)
        see(cluster, "disk_free", 512 << 20, host)
    assert find_problems(cluster) == []


def test_a_single_node_needs_the_memory_as_well() -> None:
    cluster = single_node()
    see(cluster, "memory_total", 1 << 30)
    assert "Memory is 1024 MiB on one" in only(cluster)


def test_limits_are_inputs(cluster: Cluster) -> None:
    put(cluster, "preflight_min_memory_mib", 8192)
    put(cluster, "preflight_min_disk_mib", 100 * 1024)
    problems = find_problems(cluster)
    assert [problem.split(" on ")[0] for problem in problems] == ["Free disk", "Memory is 4096 MiB"]


def test_too_little_disk(cluster: Cluster) -> None:
    see(cluster, "disk_free", 1 << 30, "worker2")
    assert only(cluster).startswith("Free disk on / is 1024 MiB on worker2, but")


def clock(cluster: Cluster, host: str, offset: float, uncertainty: float = 0.2) -> None:
    see(cluster, "clock_offset", offset, host)
    see(cluster, "clock_uncertainty", uncertainty, host)


@pytest.mark.parametrize(("offset", "shown"), [(7.24, "+7.2 s"), (-3600.0, "-3600.0 s")])
def test_a_wrong_clock(cluster: Cluster, offset: float, shown: str) -> None:
    clock(cluster, "redis2", offset)
    assert only(cluster) == (
        f"Clocks are more than 5 s apart from the controller's, redis2 by {shown}: "
        "run chrony or systemd-timesyncd on all hosts and the controller"
    )


def test_several_wrong_clocks_are_one_problem(cluster: Cluster) -> None:
    clock(cluster, "redis2", 10)
    clock(cluster, "db1", -20)
    assert "db1 by -20.0 s, redis2 by +10.0 s:" in only(cluster)


def test_clocks_that_are_near_the_controllers_but_not_one_another(cluster: Cluster) -> None:
    clock(cluster, "redis2", 4)
    clock(cluster, "db1", -4)
    assert only(cluster).startswith("The clocks of redis2 and db1 are 8.0 s apart, more than 5 s: run chrony")


def test_what_the_measurement_cannot_tell_is_granted(cluster: Cluster) -> None:
    clock(cluster, "redis2", 6, 1.5)
    assert find_problems(cluster) == []


def test_the_limit_of_clocks_is_an_input(cluster: Cluster) -> None:
    put(cluster, "preflight_max_clock_offset", 60)
    clock(cluster, "redis2", 30)
    assert find_problems(cluster) == []


def system(name: str, version: str) -> dict[str, str]:
    return {"id": name, "version": version, "name": f"{name} {version}".strip()}


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("debian", "11"),
        ("debian", ""),
        ("ubuntu", "22.04"),
        ("rocky", "8.10"),
        ("fedora", "42"),
        ("alpine", "3.20"),
    ],
)
def test_an_unsupported_system(cluster: Cluster, name: str, version: str) -> None:
    see(cluster, "os", system(name, version), "worker1")
    problem = only(cluster)
    assert problem.startswith(
        f"{name} {version}".strip() + " on worker1 is not supported: use Debian 12 or 13"
    )


@pytest.mark.parametrize(
    ("name", "version", "pythons"),
    [
        ("ubuntu", "24.04", ["3.12"]),
        ("almalinux", "9.5", ["3.9"]),
        ("rocky", "9.4", ["3.9", "3.11"]),
        ("rhel", "9.2", []),
    ],
)
def test_an_untested_system_is_for_who_asks_for_it(
    cluster: Cluster, name: str, version: str, pythons: list[str]
) -> None:
    see(cluster, "os", system(name, version), "worker1")
    see(cluster, "pythons", pythons, "worker1")
    problem = only(cluster)
    assert problem.startswith(f"{name} {version} on worker1 is not supported yet")
    assert "preflight_allow_untested: true" in problem
    put(cluster, "preflight_allow_untested", True)
    assert find_problems(cluster) == []


@pytest.mark.parametrize(("version", "pythons"), [("12", ["3.11"]), ("13", ["3.13"])])
def test_supported_systems(cluster: Cluster, version: str, pythons: list[str]) -> None:
    see(cluster, "os", system("debian", version))
    see(cluster, "pythons", pythons)
    assert find_problems(cluster) == []


@pytest.mark.parametrize(
    ("pythons", "words"), [(["3.9", "3.10"], "only Python 3.9, 3.10"), ([], "no Python 3")]
)
def test_an_unsupported_python(cluster: Cluster, pythons: list[str], words: str) -> None:
    see(cluster, "pythons", pythons, "master2")
    assert only(cluster).startswith(
        f"There is {words} on master2, but Airflow is installed for 3.11, 3.12, 3.13:"
    )


def test_another_init_system(cluster: Cluster) -> None:
    see(cluster, "systemd", False, "worker1")
    assert only(cluster).startswith("systemd is not the init system of worker1: ")


# --- Variables


def test_unknown_variable_on_six_hosts_is_one_problem(cluster: Cluster) -> None:
    for host in ("redis1", "redis2", "redis3", "worker1", "worker2", "worker3"):
        cluster["hosts"][host]["unknown_variables"] = ["redis_cluster_port"]
    assert only(cluster) == (
        "redis_cluster_port on redis1, redis2, redis3, worker1, worker2, worker3 is not a variable of this "
        "collection (did you mean redis_cluster_ports?): correct it, or list it in preflight_ignore_variables"
    )


def test_a_problem_on_all_of_many_hosts_counts_them(cluster: Cluster) -> None:
    for entry in cluster["hosts"].values():
        entry["unknown_variables"] = ["flower_prot"]
    assert only(cluster).startswith("flower_prot on all 10 hosts is not a variable")


def test_variables_may_be_accepted(cluster: Cluster) -> None:
    cluster["hosts"]["db1"]["unknown_variables"] = ["airflow_site_a", "airflow_team"]
    put(cluster, "preflight_ignore_variables", ["airflow_site_*", "airflow_team"], "redis1")
    assert find_problems(cluster) == []


@pytest.mark.parametrize(
    "name",
    [
        "redis_cluster_port",
        "postgres_metastore_prot",
        "airflow_worker",
        "flower_passwort",
        "nginx_lb_https",
        "service_endpoints_x",
        "preflight_min_memory",
        "cluster_adress",
        "cluster_addr",
        "packages_cache_valid_tiem",
    ],
)
def test_names_that_begin_like_ours_are_found(name: str) -> None:
    assert unknown_variables([name], [*KNOWN, "packages_cache_valid_time"]) == [name]


@pytest.mark.parametrize(
    "name",
    [
        "ansible_host",
        "groups",
        "cluster_name",
        "redis_password",
        "inventory_hostname",
        "__airflow_x",
        "nginx_port",
        "packages_of_mine",
    ],
)
def test_names_of_others_are_left_alone(name: str) -> None:
    assert unknown_variables([name, *KNOWN, *SECRETS], KNOWN) == []


@pytest.mark.parametrize("accepted", [[], ["airflow_*"]], ids=["alone", "within a pattern"])
def test_a_former_input_is_refused_with_its_new_name(cluster: Cluster, accepted: list[str]) -> None:
    cluster["hosts"]["master1"]["unknown_variables"] = unknown_variables(
        ["airflow_master_start_timeout"], KNOWN
    )
    put(cluster, "preflight_ignore_variables", accepted, "master1")
    assert only(cluster) == (
        "airflow_master_start_timeout on master1 is called airflow_start_timeout now: "
        "rename it in the inventory"
    )


def test_a_removed_input_is_refused_with_what_to_do_instead(cluster: Cluster) -> None:
    cluster["hosts"]["redis1"]["unknown_variables"] = unknown_variables(["redis_cluster_hosts"], KNOWN)
    assert only(cluster) == (
        "redis_cluster_hosts on redis1 is no input any more: put the hosts into the group redis_cluster, "
        "and remove the variable"
    )


def test_a_former_input_named_in_full_is_the_users_own(cluster: Cluster) -> None:
    cluster["hosts"]["redis1"]["unknown_variables"] = ["redis_cluster_hosts"]
    put(cluster, "preflight_ignore_variables", ["redis_cluster_hosts"], "redis1")
    assert find_problems(cluster) == []


@pytest.mark.parametrize("name", FORMER_INPUTS)
def test_a_former_input_is_none_today_and_leads_to_one(name: str) -> None:
    former, inputs = FORMER_INPUTS[name], {*adapter.known_variables(), *SECRETS, IN_ROTATION}
    assert unknown_variables([name], inputs) == [name]
    assert isinstance(former, Removed) or former.name in inputs


def test_known_variables_come_from_the_specs_of_all_entry_points(tmp_path: Path) -> None:
    specs = {
        "main": {"options": {"a_x": {"type": "int"}}},
        "restart": {"options": {"a_y": {"options": {"k": {}}}}},
    }
    for role, content in (("a", yaml.safe_dump({"argument_specs": specs})), ("b", "")):
        (tmp_path / role / "meta").mkdir(parents=True)
        (tmp_path / role / "meta" / "argument_specs.yml").write_text(content)
    assert adapter.known_variables(tmp_path) == {"a_x": {"type": "int"}, "a_y": {"options": {"k": {}}}}


def test_a_spec_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "a" / "meta").mkdir(parents=True)
    (tmp_path / "a" / "meta" / "argument_specs.yml").write_text("{")
    with pytest.raises(Exception, match=r"Cannot read .*argument_specs\.yml"):
        adapter.known_variables(tmp_path)


def test_the_inputs_of_the_real_roles_are_known() -> None:
    known = adapter.known_variables()
    assert set(known["airflow_workers"]["options"]) == WORKER_KEYS
    assert "preflight_min_memory_mib" in known


def test_the_role_hands_over_every_value_that_is_judged() -> None:
    role = ROLES / "preflight"
    tasks = (role / "tasks/read.yml").read_text(encoding="utf-8")
    values = yaml.safe_load((role / "vars/main.yml").read_text(encoding="utf-8"))["__preflight_values"]
    known = adapter.known_variables(ROLES)
    assert {*GOOD_VALUES, "cluster_address", *(name for name in known if name.startswith("preflight_"))} <= {
        *values
    }
    for name in SECRETS:
        assert f"{name}:" in tasks, name


# --- Types

SPECS = adapter.known_variables()


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("airflow_version", 3.1, "is a fractional number on {}: set it to text, in quotes"),
        ("airflow_base_url", None, "is empty on {}: set it to text"),
        ("airflow_config", "core", "is text on {}: set it to a dictionary"),
        ("airflow_environment", ["A=1"], "is a list on {}: set it to a dictionary"),
        ("airflow_dags_path", ["dags"], "is a list on {}: set it to a path"),
        ("airflow_manage_hosts_file", "maybe", "is text on {}: set it to true or false"),
        ("airflow_manage_hosts_file", 2, "is a whole number on {}: set it to true or false"),
        ("airflow_worker_stop_timeout", "10m", "is text on {}: set it to a whole number"),
        ("airflow_worker_stop_timeout", True, "is a truth value on {}: set it to a whole number"),
        ("redis_cluster_maxmemory", {"size": 1}, "is a dictionary on {}: set it to text"),
        ("postgres_metastore_hba_extra", "local all", "is text on {}: set it to a list"),
        ("postgres_metastore_hba_extra", [["a"]], "has an entry that is a list on {}: make each entry text"),
        ("preflight_min_memory_mib", "2 GiB", "is text on {}: set it to a whole number"),
    ],
)
def test_a_wrong_type_is_told_with_the_variable_and_the_mend(
    cluster: Cluster, name: str, value: Any, problem: str
) -> None:
    cluster["known_variables"] = SPECS
    for host in ("worker1", "worker2"):
        cluster["hosts"][host]["given"] = {name: value}
    assert only(cluster) == f"{name} {problem.format('worker1, worker2')}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("airflow_version", "3.3.2"),
        ("airflow_manage_hosts_file", False),
        ("airflow_manage_hosts_file", "no"),
        ("airflow_worker_stop_timeout", "3600"),
        ("redis_cluster_maxmemory", 536870912),
        ("postgres_metastore_hba_extra", ["local all all peer"]),
        ("airflow_config", {"core": {"parallelism": 64}}),
        # Not ours: judged, if at all, as an unknown name.
        ("site_name", None),
    ],
)
def test_values_of_the_right_type(cluster: Cluster, name: str, value: Any) -> None:
    cluster["known_variables"] = SPECS
    cluster["hosts"]["worker1"]["given"] = {name: value}
    assert find_problems(cluster) == []


@pytest.mark.parametrize("name", sorted(JUDGED_BY_MEANING))
def test_what_is_judged_by_its_meaning_is_not_told_twice(cluster: Cluster, name: str) -> None:
    cluster["known_variables"] = SPECS
    cluster["hosts"]["worker1"]["given"] = {name: {}}
    assert find_problems(cluster) == []


def test_every_default_is_of_its_type(cluster: Cluster) -> None:
    cluster["known_variables"] = SPECS
    defaults = {name: option["default"] for name, option in SPECS.items() if "default" in option}
    cluster["hosts"]["worker1"]["given"] = {
        name: value for name, value in defaults.items() if "{{" not in str(value)
    }
    assert find_problems(cluster) == []


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "an entry"])
def test_what_cannot_be_evaluated_yet_is_left_alone(cluster: Cluster, whole: bool) -> None:
    cluster["known_variables"] = SPECS
    cluster["hosts"]["worker1"]["given"] = {
        name: adapter.NOT_EVALUATED if whole else [adapter.NOT_EVALUATED]
        for name, option in SPECS.items()
        if whole or option["type"] == "list"
    }
    cluster["hosts"]["worker2"]["given"] = {"airflow_config": {"core": adapter.NOT_EVALUATED}}
    assert find_problems(cluster) == []


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (
            {"airflow_config": {"smtp": {"smtp_host": None}}},
            "airflow_config has nothing for [smtp] smtp_host on {}: give it a value, '' for an empty one, or "
            "remove it",
        ),
        (
            {"airflow_environment": {"A": "x", "OMP_NUM_THREADS": 2, "NO_PROXY": None}},
            "airflow_environment gives NO_PROXY a value that is empty on {}: set it to text, in quotes",
        ),
        (
            {"airflow_environment": {"VERSION": 1.1}},
            "airflow_environment gives VERSION a value that is a fractional number on {}: set it to "
            "text, in quotes",
        ),
        (
            {"airflow_connections": {"c": {"conn_type": "http", "port": "https"}}},
            "The connection c must have a number as port: correct airflow_connections on {}",
        ),
        (
            {"airflow_roles": {"r": ["can_read"]}},
            "The role r must map resources to lists of actions, as in {{DAGs: [can_read]}}: correct "
            "airflow_roles on {}",
        ),
    ],
)
def test_what_is_in_dictionaries_of_any_names_is_judged(
    cluster: Cluster, given: dict[str, Any], problem: str
) -> None:
    cluster["known_variables"] = SPECS
    cluster["hosts"]["master1"]["given"] = given
    assert only(cluster) == problem.format("master1")


@pytest.mark.parametrize(("seconds", "fits"), [(0, True), (45, False), ("89", False), (90, True)])
def test_a_watchdog_that_is_too_quick(cluster: Cluster, seconds: Any, fits: bool) -> None:
    cluster["known_variables"] = SPECS
    cluster["hosts"]["worker1"]["given"] = {"airflow_worker_watchdog": seconds}
    assert (find_problems(cluster) == []) is fits


def test_options_outside_a_section_are_told(cluster: Cluster) -> None:
    cluster["known_variables"] = SPECS
    cluster["hosts"]["master1"]["given"] = {"airflow_config": {"parallelism": 64, "core": {}}}
    assert only(cluster) == (
        "The section parallelism of airflow_config is a whole number on master1: "
        "give each section a dictionary, as in {core: {parallelism: 64}}"
    )


def test_a_choice_is_one_of_those_offered() -> None:
    option = {"type": "str", "choices": ["redis", "valkey"]}
    assert type_problem("valkey", option) is None
    assert type_problem("keydb", option) == ("has an unknown value", "use redis or valkey")


@given(st.sampled_from(sorted(SPECS)), st.text(min_size=12) | st.floats())
def test_no_verdict_on_a_type_fails_or_shows_the_value(name: str, value: Any) -> None:
    assert str(value) not in str(type_problem(value, SPECS[name]))


# --- Secrets

GOOD_SECRET = "Zk3vQ8sLw0pXb7nRt2yU"
GOOD_FERNET = "81HqDtbqAywKSOumSha3BhWNOdQ26slT6K0YaZeZyPs="


@pytest.mark.parametrize("name", [name for name in SECRETS if name != "airflow_fernet_key"])
def test_good_secrets(name: str) -> None:
    assert secret_problem(name, GOOD_SECRET) == ""


@given(st.binary(min_size=32, max_size=32))
def test_keys_as_openssl_makes_them_are_good(key: bytes) -> None:
    text = base64.urlsafe_b64encode(key).decode()
    if len(set(text)) >= 6:
        assert secret_problem("airflow_fernet_key", text) == ""
        assert secret_problem("airflow_fernet_key", f"{text},{GOOD_FERNET}") == ""
        assert secret_problem("redis_cluster_password", text) == ""


@pytest.mark.parametrize("length", [16, 32, 64])
def test_random_secrets_in_hexadecimal_are_good(length: int) -> None:
    for _ in range(100):
        assert secret_problem("airflow_jwt_secret", os.urandom(length).hex()) == ""


PLACEHOLDERS = """
    changeme CHANGE_ME change-me-please ChangeMe123 secret supersecretpassword password password123 example
    xxx xxxxxxxxxxxxxxxxxxxx <your-password> <...> TODO REPLACE_ME replace-this-secret-key aaaaaaaaaaaaaaaa
    abababababababab 1234567890123456 abcdefghijklmnop airflow airflow_jwt_secret redis-cluster-password admin
    default qwerty123
"""


@pytest.mark.parametrize("value", PLACEHOLDERS.split())
@pytest.mark.parametrize("name", ["redis_cluster_password", "airflow_admin_password", "airflow_fernet_key"])
def test_placeholders(name: str, value: str) -> None:
    assert secret_problem(name, value) == "is a placeholder"


@pytest.mark.parametrize(
    "value",
    [
        "correct-horse-battery-staple",
        "!@#$%^&*()1!@#$%^&",
        "8392017483920174",
        "Passage-of-Time-77",
        "tr0ub4dor&3-xkcd",
        "$Ab3dEfGh1jKlMnO",
        "{{8392017483920174",
    ],
)
def test_odd_secrets_that_are_no_placeholders(value: str) -> None:
    assert secret_problem("redis_cluster_password", value) == ""


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "is missing"),
        ("", "is missing"),
        (1234567890123456, "is not text (quote it)"),
        (True, "is not text (quote it)"),
        ([GOOD_SECRET], "is not text (quote it)"),
        (f"{GOOD_SECRET}\n", "begins or ends with white space, which files of configuration do not keep"),
        (
            f"{GOOD_SECRET}\n{GOOD_SECRET}",
            "holds a line break or another control character, which files of configuration cannot hold",
        ),
        ("é" * 400 + GOOD_SECRET * 20, "is longer than 1000 bytes"),
        ("$ANSIBLE_VAULT;1.1;AES256\n6162", "is still encrypted text of ansible-vault"),
        ("{{ lookup('file', 'x') }}", "is a template that was not rendered"),
        ("$(openssl rand -base64 32)", "is a shell expression, which nobody expands"),
        ("openssl rand -hex 32", "is a shell expression, which nobody expands"),
        ("`pwgen 32 1`", "is a shell expression, which nobody expands"),
        ("${REDIS_PASSWORD}", "is a shell expression, which nobody expands"),
        ("$REDIS_PASSWORD", "is a shell expression, which nobody expands"),
        ("Zk3vQ8sLw0pXb7n", "is shorter than 16 characters"),
    ],
)
def test_bad_secrets(value: Any, reason: str) -> None:
    assert secret_problem("redis_cluster_password", value) == reason


@pytest.mark.parametrize(
    "value",
    [
        GOOD_SECRET,
        GOOD_FERNET[:-1],
        GOOD_FERNET.replace("8", "+"),
        f"{GOOD_FERNET},",
        f"{GOOD_FERNET},{GOOD_SECRET}",
        base64.urlsafe_b64encode(bytes(range(16))).decode(),
        base64.urlsafe_b64encode(bytes(range(48))).decode(),
    ],
)
def test_fernet_keys_of_the_wrong_form(value: str) -> None:
    assert secret_problem("airflow_fernet_key", value).startswith(
        "is not a Fernet key, which is 32 bytes in url-safe"
    )


@given(
    st.one_of(
        st.text(), st.integers(), st.none(), st.lists(st.text()), st.text("openslrad0123 $({<", max_size=90)
    )
)
def test_no_verdict_fails_or_shows_the_value(value: Any) -> None:
    for name in SECRETS:
        reason = secret_problem(name, value)
        assert not isinstance(value, str) or len(value) < 12 or value not in reason


@pytest.mark.parametrize("name", SECRETS)
def test_a_missing_secret_is_told_with_the_way_to_make_one(cluster: Cluster, name: str) -> None:
    for entry in cluster["hosts"].values():
        entry["secrets"][name] = "is missing"
    needed = sorted({host for role in SECRETS[name].roles for host in MULTI_NODE[role]})
    assert only(cluster) == (
        f"{name} is missing on {', '.join(needed)}: make one with `{SECRETS[name].command}` "
        "and put it into group_vars/all/secrets.yml, encrypted with ansible-vault"
    )


def test_a_secret_that_differs_between_hosts(cluster: Cluster) -> None:
    cluster["fingerprints"]["airflow_fernet_key"]["worker2"] = "other"
    assert only(cluster) == (
        "airflow_fernet_key on worker2 is not the one of the other hosts: "
        "set it once, in group_vars/all/secrets.yml, encrypted with ansible-vault"
    )


def test_a_secret_may_differ_where_it_is_not_used(cluster: Cluster) -> None:
    cluster["fingerprints"]["flower_password"]["db1"] = "other"
    assert find_problems(cluster) == []


def test_an_unknown_secret_is_an_error_of_the_caller() -> None:
    with pytest.raises(Exception, match="knows no secret of the name x"):
        adapter.secret_problem("value", "x")


# --- All at once


def test_all_problems_are_told_at_once_sorted_and_each_once(cluster: Cluster) -> None:
    put(cluster, "redis_cluster_ports", [7000])
    see(cluster, "systemd", False, "db1")
    cluster["inventory_groups"]["airflow_workers"] = ["lost1"]
    cluster["hosts"]["front1"]["secrets"]["flower_password"] = "is a placeholder"
    problems = find_problems(cluster)
    assert len(problems) == 4
    assert problems == sorted(set(problems))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from([*GOOD_VALUES, "cluster_address", "preflight_min_memory_mib"]), ANYTHING)
)
@example({"airflow_workers": True})
def test_no_value_of_a_variable_makes_the_check_itself_fail(values: dict[str, Any]) -> None:
    assert all(isinstance(problem, str) for problem in find_problems(single_node(**values)))


class Hostvars(dict[str, Any]):
    """Variables one of which cannot be evaluated."""

    def __getitem__(self, name: str) -> Any:
        from ansible.errors import AnsibleUndefinedVariable

        if name == "flower_password":
            raise AnsibleUndefinedVariable("'nope' is undefined")
        return super().__getitem__(name)


def test_fingerprints_stand_for_secrets_and_leave_out_what_cannot_be_evaluated() -> None:
    hosts = {name: Hostvars(redis_cluster_password=GOOD_SECRET, flower_password="") for name in ("a", "b")}
    prints = adapter.fingerprints({host: adapter.given_values(hosts[host], SECRETS) for host in hosts})
    assert list(prints) == ["redis_cluster_password"]
    assert prints["redis_cluster_password"]["a"] == prints["redis_cluster_password"]["b"]
    assert GOOD_SECRET not in str(prints)


def test_each_entry_of_a_list_has_to_be_one_of_the_choices() -> None:
    option = {"type": "list", "elements": "str", "choices": ["pools", "roles"]}
    assert type_problem(["roles", "pools"], option) is None
    assert type_problem([], option) is None
    assert type_problem(["pools", "rolls"], option) == ("has an unknown value", "use pools or roles")


# --- Airflow's version


def in_use(cluster: Cluster, version: str, change: str = "", *, hosts: tuple[str, ...] = ()) -> Cluster:
    for host in hosts or cluster["hosts"]:
        cluster["hosts"][host]["release"].update(in_use=version, change=change)
    return cluster


@pytest.mark.parametrize(
    ("version", "change"),
    [
        ("3.3.2", ""),
        ("3.3.2", "upgrade"),
        ("3.3.1", "upgrade"),
        ("2.11.0", "upgrade"),
        ("3.10.0", "rollback"),
    ],
)
def test_versions_that_are_accepted(cluster: Cluster, version: str, change: str) -> None:
    assert find_problems(in_use(cluster, version, change)) == []


@pytest.mark.parametrize(
    ("version", "change", "playbook"),
    [
        ("3.3.1", "", "airflow_upgrade"),
        ("3.3.1", "rollback", "airflow_upgrade"),
        ("3.10.0", "", "airflow_rollback"),
        ("3.3.3", "upgrade", "airflow_rollback"),
        ("3.3.2rc1", "rollback", "airflow_upgrade"),
        ("main", "", "airflow_"),
    ],
)
def test_a_version_that_is_changed_in_another_way(
    cluster: Cluster, version: str, change: str, playbook: str
) -> None:
    (problem,) = find_problems(in_use(cluster, version, change, hosts=("worker1", "master2")))
    assert f"airflow_version is 3.3.2, but Airflow {version} is in use on master2, worker1" in problem
    assert f"airflowops.cluster.{playbook}" in problem
    assert f'set airflow_version to "{version}"' in problem


def test_an_upgrade_that_was_cut_off_goes_on(cluster: Cluster) -> None:
    in_use(cluster, "3.3.2", "upgrade")
    assert find_problems(in_use(cluster, "3.3.1", "upgrade", hosts=("worker1",))) == []


def test_a_lock_file_without_what_the_inventory_asks_for(cluster: Cluster) -> None:
    needs = provider_needs(
        [
            {"name": "pond", "s3": "s3://dags"},
            {"name": "sea", "classpath": "airflow.providers.common.sql.Bundle"},
            {"name": "own", "classpath": "own.Bundle"},
            "none",
        ],
        {},
        {"backend": "airflow.providers.amazon.aws.secrets.X", "worker_backend": "own.Backend"},
    )
    common = ["apache-airflow-providers-common-sql", "amazon"]
    for host in cluster["hosts"].values():
        host["release"].update(needs=needs, packages=["apache-airflow-providers-amazon", *common])
    assert find_problems(cluster) == []
    for host in cluster["hosts"].values():
        host["release"].update(packages=common)
    of_bundles, of_secrets = find_problems(cluster)
    assert "airflow_dag_bundles needs airflow.providers.amazon.aws.bundles.s3.S3DagBundle" in of_bundles
    assert "add its package, apache-airflow-providers-amazon" in of_bundles
    assert "airflow_secrets_backend needs airflow.providers.amazon.aws.secrets.X" in of_secrets
    for host in cluster["hosts"].values():
        host["release"].update(needs=provider_needs([], {"s3": "s3://logs"}, {}))
    assert only(cluster).startswith("airflow_remote_logs needs airflow.providers.amazon.aws.log")


OAUTH_PROVIDER = {
    "name": "company",
    "remote_app": {
        "client_id": "airflow",
        "server_metadata_url": "https://id.example.org/openid-configuration",
    },
}


def test_a_login_that_takes_a_package_which_is_not_locked(cluster: Cluster) -> None:
    config = {"AUTH_TYPE": "AUTH_OAUTH", "OAUTH_PROVIDERS": [OAUTH_PROVIDER]}
    for host in cluster["hosts"].values():
        host["given"] = {"airflow_auth_config": config}
        host["release"].update(packages=["apache-airflow", "authlib-extra"])
    assert "needs the package authlib, and nothing in /locks/airflow-3.3.2.txt has it" in only(cluster)
    for host in cluster["hosts"].values():
        host["release"]["packages"].append("authlib")
    assert find_problems(cluster) == []


def test_a_lock_file_that_is_not_there(cluster: Cluster) -> None:
    for host in cluster["hosts"].values():
        host["release"].update(lock_file="/locks/airflow-3.3.2.txt", lock_there=False)
    (problem,) = find_problems(cluster)
    assert "airflow_lock_file names /locks/airflow-3.3.2.txt" in problem
