# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups, addresses and inventories that are good."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.airflowops.cluster.plugins.filter import preflight as adapter
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.checks import (
    find_problems,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import (
    SECRETS,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.types import type_problem
from clusters import (
    ANYTHING,
    GOOD_SECRET,
    GOOD_VALUES,
    MULTI_NODE,
    Cluster,
    limit,
    make_cluster,
    only,
    put,
    see,
    single_node,
)
from hypothesis import example, given
from hypothesis import strategies as st

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


# --- All at once


def test_all_problems_are_told_at_once_sorted_and_each_once(cluster: Cluster) -> None:
    put(cluster, "redis_cluster_ports", [7000])
    see(cluster, "systemd", False, "db1")
    cluster["inventory_groups"]["airflow_workers"] = ["lost1"]
    cluster["hosts"]["front1"]["secrets"]["flower_password"] = "is a placeholder"
    problems = find_problems(cluster)
    assert len(problems) == 4
    assert problems == sorted(set(problems))


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
