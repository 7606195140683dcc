# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan for what is declared in Airflow, without Airflow."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.airflowops.cluster.plugins.module_utils.airflow import objects as ao
from hypothesis import given
from hypothesis import strategies as st

NOTHING: dict[str, Any] = {
    "pools": None, "variables": None, "connections": None, "roles": None, "users": None,
}  # fmt: skip
EMPTY: dict[str, dict[str, Any]] = {kind: {} for kind in ao.KINDS}


def test_nothing_declared_is_nothing_to_do() -> None:
    found = {**EMPTY, "pools": {"other": {"slots": 1}}}
    assert ao.plan(ao.declared(NOTHING), found, []) == []


def test_creates_changes_and_removes_in_the_order_of_need() -> None:
    wanted: dict[str, Any] = {
        "pools": {"a": {"slots": 2}},
        "roles": {"r": {"permissions": ["can_read on DAGs"]}},
        "users": {"u": {"roles": ["r"], "password": "x"}},
    }
    found = {
        **EMPTY,
        "pools": {"default_pool": {"slots": 128}, "a": {"slots": 1}, "b": {"slots": 3}},
        "roles": {"Admin": {"permissions": []}, "old": {"permissions": []}},
        "users": {"admin": {}, "gone": {}},
    }
    assert ao.plan(wanted, found, ["pools", "roles", "users"], ["admin"]) == [
        ao.Step("change", "pools", "a", ("slots",)),
        ao.Step("create", "roles", "r"),
        ao.Step("create", "users", "u"),
        ao.Step("remove", "users", "gone"),
        ao.Step("remove", "roles", "old"),
        ao.Step("remove", "pools", "b"),
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(JSON)
def test_what_a_plan_has_made_needs_no_second_one(value: Any) -> None:
    wanted = ao.declared({**NOTHING, "variables": {"k": value}})
    # As the collection writes it, and as Airflow's export gives it back: see its variables_export.
    stored = ao.Airflow._body("variables", "k", wanted["variables"]["k"])["value"]
    exported = ao.canonical(stored)
    if isinstance(exported, dict) and "value" in exported:
        exported = {"value": exported, "description": None}
    found = {**EMPTY, "variables": {"k": {"value": ao.exported_variable(exported)}}}
    assert ao.plan(wanted, found, []) == []


@pytest.mark.parametrize("text", ["1.10", "1e5", "0.1234567890123456789", "NaN", '{"a":1}', "plain", ""])
def test_a_text_is_stored_as_it_was_written(text: str) -> None:
    wanted = ao.declared({**NOTHING, "variables": {"k": text}})
    assert ao.Airflow._body("variables", "k", wanted["variables"]["k"])["value"] == text
    found = {**EMPTY, "variables": {"k": {"value": ao.exported_variable(ao.canonical(text))}}}
    assert ao.plan(wanted, found, []) == []


def test_true_is_not_one() -> None:
    wanted = ao.declared({**NOTHING, "variables": {"k": True}})
    found = {**EMPTY, "variables": {"k": {"value": 1}}}
    assert ao.plan(wanted, found, []) == [ao.Step("change", "variables", "k", ("value",))]


def test_of_airflows_own_pool_only_what_can_be_changed_is_compared() -> None:
    pool = {"name": "default_pool", "slots": 128, "description": "", "include_deferred": False}
    wanted = ao.declared({**NOTHING, "pools": [pool]})
    there = {"slots": 128, "description": "Default pool", "include_deferred": False}
    assert ao.plan(wanted, {**EMPTY, "pools": {"default_pool": there}}, []) == []
    there["slots"] = 64
    assert ao.plan(wanted, {**EMPTY, "pools": {"default_pool": there}}, []) == [
        ao.Step("change", "pools", "default_pool", ("slots",))
    ]


def test_a_connections_numbers_become_text() -> None:
    given = {"conn_type": "http", "login": 1001, "password": 12345, "port": 80}
    made = ao.declared({**NOTHING, "connections": {"c": given}})["connections"]["c"]
    assert (made["login"], made["password"], made["port"]) == ("1001", "12345", 80)


def test_connections_are_compared_field_by_field_and_empty_is_none() -> None:
    given = {"conn_type": "http", "host": "h", "port": "80", "extra": {"a": 1}, "password": ""}
    wanted = ao.declared({**NOTHING, "connections": {"c": given}})
    same = {"conn_type": "http", "host": "h", "port": 80, "extra": '{"a": 1}', "login": "", "schema": None}
    other = {**same, "password": "secret"}
    assert ao.plan(wanted, {**EMPTY, "connections": {"c": ao.connection(same)}}, []) == []
    assert ao.plan(wanted, {**EMPTY, "connections": {"c": ao.connection(other)}}, []) == [
        ao.Step("change", "connections", "c", ("password",))
    ]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"connections": {"c": {"host": "h"}}}, "The connection c must have conn_type"),
        ({"connections": {"c": {"conn_type": "http", "hots": "h"}}}, "but not hots"),
        ({"connections": {"c": "http://h"}}, "The connection c must have conn_type"),
        ({"connections": {"c": {"conn_type": "http", "port": "https"}}}, "c must have a number as port"),
        ({"connections": {"c": {"conn_type": "http", "login": ["me"]}}}, "c must have text as login"),
        ({"roles": {"Admin": {}}}, "The role Admin is Airflow's own"),
        ({"roles": {"r": ["can_read"]}}, "The role r must map resources to lists of actions"),
        ({"roles": {"r": {"DAGs": "can_read"}}}, "The role r must map resources to lists of actions"),
        (
            {"pools": [{"name": "p", "slots": 1, "description": "", "include_deferred": False}] * 2},
            "p stands 2 times in pools",
        ),
    ],
)
def test_what_cannot_be_is_named(params: dict[str, Any], words: str) -> None:
    with pytest.raises(ao.ObjectsError, match=words):
        ao.declared({**NOTHING, **params})
