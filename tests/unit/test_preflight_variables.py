# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and types of variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.airflowops.cluster.plugins.filter import preflight as adapter
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.checks import (
    JUDGED_BY_MEANING,
    find_problems,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.renamed_inputs import (
    FORMER_INPUTS,
    Removed,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import (
    SECRETS,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.types import type_problem
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.variables import unknown_variables
from ansible_collections.airflowops.cluster.plugins.plugin_utils.secrets_rotation import IN_ROTATION
from clusters import GOOD_VALUES, KNOWN, ROLES, WORKER_KEYS, Cluster, only, put
from hypothesis import given
from hypothesis import strategies as st

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
