# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which members of etcd are added and removed."""

from __future__ import annotations

import time
from typing import Any

import pytest
from ansible_collections.airflowops.cluster.plugins.module_utils.etcd.members import (
    EtcdError,
    Gateway,
    initial_cluster,
    plan_join,
    plan_prune,
)


def url(number: int) -> str:
    return f"https://192.0.2.{number}:2380"


def member(number: int, *, started: bool = True, name: str | None = None) -> dict:
    """As etcd's gateway gives it: what is empty is left out."""
    entry = {"ID": str(1000 + number), "peerURLs": [url(number)], "clientURLs": [url(number)]}
    return {**entry, "name": name or f"db{number}"} if started else entry


THREE = [member(1), member(2), member(3)]


def test_new_machine_is_added() -> None:
    assert plan_join(THREE, "db4", url(4)) == [{"action": "add", "peer_url": url(4)}]


def test_replaced_machine_takes_its_predecessors_place() -> None:
    assert plan_join(THREE, "db3", url(3)) == [
        {"action": "remove", "id": "1003", "name": "db3"},
        {"action": "add", "peer_url": url(3)},
    ]


def test_replaced_machine_under_a_new_address() -> None:
    assert plan_join(THREE, "db3", url(9)) == [
        {"action": "remove", "id": "1003", "name": "db3"},
        {"action": "add", "peer_url": url(9)},
    ]


def test_another_name_at_the_same_address_is_a_predecessor() -> None:
    members = [member(1), member(2), member(3, name="old")]
    assert plan_join(members, "db3", url(3))[0] == {"action": "remove", "id": "1003", "name": "old"}


def test_what_an_interrupted_run_announced_is_used() -> None:
    assert plan_join([*THREE, member(4, started=False)], "db4", url(4)) == []


def test_who_is_not_kept_is_removed() -> None:
    assert plan_prune(THREE, [url(1), url(2)]) == [{"action": "remove", "id": "1003", "name": "db3"}]
    assert plan_prune(THREE, [url(1), url(2), url(3), url(4)]) == []


def test_one_that_never_started_is_removed_too() -> None:
    members = [member(1), member(4, started=False)]
    assert plan_prune(members, [url(1)]) == [{"action": "remove", "id": "1004", "name": ""}]


def test_nobody_left() -> None:
    with pytest.raises(EtcdError, match="lists none of those"):
        plan_prune(THREE, [url(7)])


def test_initial_cluster_names_the_one_that_has_not_started() -> None:
    text = initial_cluster([*THREE, member(4, started=False)], "db4", url(4))
    assert text == f"db1={url(1)},db2={url(2)},db3={url(3)},db4={url(4)}"


def test_a_change_waits_for_a_member_that_has_just_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["etcdserver: unhealthy cluster", "etcdserver: unhealthy cluster", ""])
    asked: list[str] = []

    def call(_: Gateway, path: str, __: dict[str, Any]) -> dict[str, Any]:
        asked.append(path)
        if problem := next(answers):
            raise EtcdError(problem)
        return {}

    monkeypatch.setattr(Gateway, "call", call)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    gateway = Gateway([], {"ca_cert": "", "client_cert": "", "client_key": ""}, 1)
    gateway.apply({"action": "add", "peer_url": "https://192.0.2.4:2380"})
    assert asked == ["/v3/cluster/member/add"] * 3


def test_a_refusal_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def call(_: Gateway, __: str, ___: dict[str, Any]) -> dict[str, Any]:
        raise EtcdError("etcdserver: member not found")

    monkeypatch.setattr(Gateway, "call", call)
    gateway = Gateway([], {"ca_cert": "", "client_cert": "", "client_key": ""}, 1)
    with pytest.raises(EtcdError, match="member not found"):
        gateway.apply({"action": "remove", "id": "1"})
