# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every input has wrong values that are refused, and right ones that are accepted."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.checks import (
    find_problems,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.inputs import (
    BELOW,
    INPUTS,
    Elsewhere,
    Free,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import SECRETS
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.templates import NotEvaluated
from clusters import ANYTHING, single_node
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inputs_data import CHECKOUT, HOST, RIGHT, SPECS, WRONG, cluster_with, load

CASES = load("cases.yml")


def as_id(value: Any) -> str:
    return re.sub(r"[^ -~]", "?", str(value))[:60]


# --- The table is whole


def test_every_input_has_a_line() -> None:
    assert {*SPECS} == {*INPUTS}


def test_every_input_has_a_wrong_value_or_the_reason_why_there_is_none() -> None:
    wrong = {name for name, _ in WRONG} | {name for case in CASES for name in case["vars"]}
    secrets = {name for name in INPUTS if name in SECRETS}
    free = {name for name, line in INPUTS.items() if isinstance(line, Free)}
    assert {*INPUTS} - wrong - secrets == free
    assert all(line.reason for line in INPUTS.values() if isinstance(line, Free))


def test_what_judges_an_input_elsewhere_is_there() -> None:
    package = "ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight"
    for line in INPUTS.values():
        if isinstance(line, Elsewhere):
            module, _, function = line.where.partition(".")
            assert hasattr(__import__(f"{package}.{module}", fromlist=[function]), function), line


def test_what_is_free_is_a_truth_value_or_a_choice() -> None:
    for name, line in INPUTS.items():
        if isinstance(line, Free) and name != "packages_of":
            assert SPECS[name]["type"] == "bool" or SPECS[name].get("choices"), name


def test_limits_that_are_compared_are_inputs() -> None:
    assert {*BELOW, *BELOW.values()} <= {*INPUTS}


# --- Wrong values


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_case_that_was_once_accepted_is_refused(case: dict[str, Any]) -> None:
    given = dict(case["vars"])
    for name, value in given.items():
        if isinstance(value, str) and "{{" in value:
            given[name] = NotEvaluated(f"'{re.findall('[a-z_]+', value)[0]}' is undefined", value)
    found = find_problems(cluster_with(**given))
    assert len(found) == 1, found
    assert case["names"] in found[0]
    assert HOST in found[0]
    assert ": " in found[0]


@pytest.mark.parametrize(("name", "value"), WRONG, ids=as_id)
def test_a_wrong_value_is_refused_in_one_sentence_that_names_the_input(name: str, value: Any) -> None:
    found = find_problems(cluster_with(**{name: value}))
    named = [sentence for sentence in found if name in sentence]
    assert len(named) == 1, found
    assert re.search(r": \S", named[0]), named


@pytest.mark.parametrize("name", sorted({*SECRETS}))
def test_no_secret_holds_a_line_break_and_none_is_shown(name: str) -> None:
    value = "Kq81z-abc\nPlm7-defghijklmnopq-Wx92-Rt45-Yu"
    found = find_problems(cluster_with(**{name: value}))
    assert [sentence for sentence in found if sentence.startswith(name)], found
    assert not any("Kq81z" in sentence or "Plm7" in sentence for sentence in found)


@pytest.mark.parametrize("name", sorted(name for name, option in SPECS.items() if option.get("no_log")))
def test_no_sentence_shows_what_must_not_be_logged(name: str) -> None:
    entry = {"password": "Plm7\n", "port": 99999, "conn_type": "x"}
    kinds: dict[str, Any] = {"str": "Kq81z\nPlm7", "dict": {"Kq81z-name": entry}}
    value = kinds[SPECS[name]["type"]]
    assert not any("Plm7" in sentence for sentence in find_problems(cluster_with(**{name: value})))


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(sorted(INPUTS)), ANYTHING, max_size=4))
def test_no_value_of_an_input_makes_the_check_itself_fail(given: dict[str, Any]) -> None:
    cluster = single_node()
    cluster["known_variables"] = SPECS
    cluster["hosts"][HOST]["given"] = given
    assert all(isinstance(problem, str) for problem in find_problems(cluster))


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("airflow_pools", ["name", "slots", "include_deferred"]),
        ("airflow_users", ["username", "password", "email", "roles", "first_name"]),
        (
            "postgres_metastore_backup_s3",
            ["bucket", "endpoint", "region", "key", "key_secret", "uri_style", "path"],
        ),
    ],
)
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_entry_makes_the_check_itself_fail(name: str, fields: list[str], data: st.DataObject) -> None:
    entry = st.fixed_dictionaries({}, optional={field: ANYTHING for field in fields})
    value = data.draw(entry if SPECS[name]["type"] == "dict" else st.lists(entry, max_size=2))
    check = INPUTS[name]
    assert callable(check)
    assert isinstance(check(value), str)


# --- Right values


@pytest.mark.parametrize(("name", "value"), RIGHT, ids=as_id)
def test_an_unusual_value_is_accepted(name: str, value: Any) -> None:
    given = {name: value}
    if name == "health_certificate_warn_days":
        given["health_certificate_days"] = 1
    assert find_problems(cluster_with(**given)) == []


@pytest.mark.parametrize("name", sorted(SPECS))
def test_a_default_is_accepted(name: str) -> None:
    default = SPECS[name].get("default")
    # Those of a cluster of several hosts.
    if name in ("redis_cluster_ports", "redis_cluster_replicas_per_master"):
        return
    if default is not None and "{{" not in str(default):
        assert find_problems(cluster_with(**{name: default})) == []


def test_shipped_inventories_and_examples_are_accepted() -> None:
    for file in sorted(CHECKOUT.glob("inventories/*/group_vars/all/main.yml")):
        given = yaml.safe_load(file.read_text(encoding="utf-8"))
        # They speak of more hosts than one, which other tests do.
        of_several = ("airflow_required_queues", "redis_cluster_ports", "redis_cluster_replicas_per_master")
        given = {name: value for name, value in given.items() if name not in of_several}
        assert find_problems(cluster_with(**given)) == []


# --- Calendars, as systemd itself reads them
