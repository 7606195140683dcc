# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Slots, the parsing of replies, and what is said about a cluster that is not whole."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.cluster import parse_nodes
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.model import (
    Address,
    Member,
    Node,
    State,
    count_slots,
    expand_slots,
    find_problems,
    key_slot,
    make_slots,
)
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("key", "slot"),
    [
        (
            "123456789",
            12739,
        ),  # 0x31C3, the check value of CRC16/XMODEM and of the Redis Cluster specification.
        ("", 0),
        ("foo", 12182),
        ("{foo}bar", 12182),
        ("x{foo}{bar}", 12182),
    ],
)
def test_key_slot(key: str, slot: int) -> None:
    assert key_slot(key) == slot


def test_hash_tag_must_be_closed_and_not_empty() -> None:
    assert key_slot("{}foo") != key_slot("foo")
    assert key_slot("{}foo") == key_slot("{}foo")
    assert key_slot("{foo") != key_slot("foo")
    assert key_slot("foo{}{bar}") != key_slot("bar")
    assert key_slot("a}{foo}") == key_slot("foo")


@given(st.sets(st.integers(0, 16383)))
def test_slots_are_sorted_ranges_that_do_not_touch(numbers: set[int]) -> None:
    slots = make_slots(numbers)
    assert expand_slots(slots) == numbers
    assert count_slots(slots) == len(numbers)
    assert all(left[1] + 1 < right[0] for left, right in zip(slots, slots[1:]))


def test_parse_nodes_of_all_versions() -> None:
    members = parse_nodes(
        "a1 10.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-99 100-200 300 [300->-b2] [301-<-b2]\n"
        "b2 10.0.0.2:7000@17500,redis2 master,fail? - 0 1426238317239 2 disconnected\n"
        "c3 2001:db8::3:7001@17001,redis3,shard-id=abc slave a1 0 1426238317741 1 connected\n"
        "d4 :0@0 master,noaddr - 0 0 0 disconnected\n"
    )
    assert members[0] == Member(
        "a1",
        "10.0.0.1",
        7000,
        17000,
        frozenset({"myself", "master"}),
        None,
        1,
        True,
        ((0, 200), (300, 300)),
        migrating=((300, "b2"),),
        importing=((301, "b2"),),
    )
    assert (members[1].bus_port, members[1].connected, "fail?" in members[1].flags) == (17500, False, True)
    assert (members[2].ip, members[2].port, members[2].master_id) == ("2001:db8::3", 7001, "a1")
    assert (members[3].ip, members[3].port) == ("", 0)


def test_problems_are_told_in_words() -> None:
    members = (
        Member("a", slots=((0, 9000),)),
        Member("b", slots=((9001, 16383),)),
        Member("c", master_id="a"),
    )
    nodes = [Node(Address(m.id, 1, m.id), m.id, members) for m in members]
    assert find_problems(State(tuple(nodes))) == []
    stale = replace(nodes[1], members=(*members[:2], Member("c")))
    assert find_problems(State((nodes[0], stale, nodes[2]))) == [
        "b:1 is not up to date about the role or slots of c:1"
    ]
    behind = replace(nodes[2], link_up=False, cluster_ok=False)
    assert [text.split(" (")[0] for text in find_problems(State((*nodes[:2], behind)))] == [
        "c:1 reports the cluster state as not ok",
        "c:1 is not in step with its master",
    ]
    alone = replace(nodes[0], members=members[:1])
    assert "a:1 does not know b:1" in find_problems(State((alone, *nodes[1:])))
    failed = replace(
        nodes[0], members=(members[0], replace(members[1], flags=frozenset({"fail"})), members[2])
    )
    assert find_problems(State((failed, *nodes[1:]))) == ["a:1 holds b:1 for failed"]
