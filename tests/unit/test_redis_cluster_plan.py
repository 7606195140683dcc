# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The planner on new servers and on clusters whose creation was cut short, without a server."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

import pytest
from ansible_collections.airflowops.cluster.plugins.module_utils.redis import model, steps
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.checks import check_addresses
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.reshard_plan import fill_up
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.steps import (
    predict_state,
)
from hypothesis import assume, given
from hypothesis import strategies as st
from redis_states import SIX, actions, carry_out, change_node, created, fresh, plan_for, roles, state_of


def host_of(nodes: list[model.Node]) -> dict[str, str]:
    return {node.id: node.address.ip for node in nodes}


# --------------------------------------------------------------------- placement
def test_three_hosts_get_a_master_and_a_replica_each() -> None:
    nodes = created("a", "a", "b", "b", "c", "c")
    assert roles(nodes) == {
        "a:7000": "master",
        "a:7001": "c:7000",
        "b:7000": "master",
        "b:7001": "a:7000",
        "c:7000": "master",
        "c:7001": "b:7000",
    }
    assert [node.me.slots for node in nodes if node.me.slots] == [
        ((0, 5461),),
        ((5462, 10922),),
        ((10923, 16383),),
    ]


def test_single_host_without_replicas() -> None:
    nodes = created("a", "a", "a", replicas=0)
    assert set(roles(nodes).values()) == {"master"}
    assert len(model.collect_slots(node.me for node in nodes)) == 16384


def test_leftover_becomes_a_further_replica() -> None:
    nodes = created("a", "a", "b", "b", "c", "c", "d")
    assert Counter(role == "master" for role in roles(nodes).values()) == {True: 3, False: 4}


def test_load_of_a_dead_host_is_shared() -> None:
    nodes = created(*"aaaabbbbcccc")
    backs = Counter(host_of(nodes)[n.me.master_id] for n in nodes if n.me.master_id and n.address.ip == "a")
    assert backs == {"b": 1, "c": 1}


def test_plan_says_what_it_does() -> None:
    plan = plan_for(fresh("a", "a", "b", "b", "c", "c"), 1)
    actions = [key for key, _ in itertools.groupby(step["action"] for step in plan.as_dicts())]
    assert actions == ["set_epoch", "add_slots", "meet", "replicate"]
    assert plan.as_dicts()[-1] == {
        "action": "replicate",
        "node": "c:7001",
        "master": "b:7000",
        "description": "Make c:7001 a replica of b:7000",
    }
    epochs = [step.epoch for step in plan.steps if isinstance(step, steps.SetEpoch)]
    assert len(set(epochs)) == 6 and min(epochs) > 0


def masters_can_be_placed(count: dict[str, int], replicas: int) -> bool:
    """By trying everything: is there a number of masters per host with which all replicas find another
    host?
    """
    total = sum(count.values())
    masters = total // (replicas + 1)
    for split in itertools.product(*(range(number + 1) for number in count.values())):
        if sum(split) != masters:
            continue
        if all(
            # Hall's condition for one host; a set of two hosts can be served from everywhere.
            replicas * mine <= (total - masters) - (number - mine)
            for mine, number in zip(split, count.values())
            if mine
        ) and (
            replicas == 0
            or all(number == mine or masters > mine for mine, number in zip(split, count.values()))
        ):
            return True
    return False


hosts_strategy = st.lists(st.sampled_from("abcde"), min_size=3, max_size=14)


@given(hosts_strategy, st.integers(0, 3))
def test_any_list_ends_whole_and_apart_wherever_that_is_possible(hosts: list[str], replicas: int) -> None:
    assume(len(hosts) >= 3 * (replicas + 1))
    nodes = fresh(*hosts)
    possible = masters_can_be_placed(Counter(hosts), replicas)
    try:
        plan = plan_for(nodes, replicas)
    except model.PlacementImpossible:
        assert not possible
        return
    assert possible
    done = carry_out(nodes, plan)
    assert model.find_problems(state_of(done)) == []
    assert set(actions(plan)) <= {"set_epoch", "add_slots", "meet", "replicate"}
    assert plan_for(done, replicas).steps == ()
    where = host_of(done)
    followers = Counter(node.me.master_id for node in done if node.me.master_id)
    owners = [node for node in done if node.me.slots]
    assert len(owners) == len(hosts) // (replicas + 1)
    assert all(followers[node.id] >= replicas for node in owners)
    assert all(where[node.id] != where[node.me.master_id] for node in done if node.me.master_id)
    sizes = [model.count_slots(node.me.slots) for node in owners]
    assert max(sizes) - min(sizes) <= 1
    assert plan_for(nodes, replicas) == plan


@given(hosts_strategy, st.integers(0, 2), st.data())
def test_interrupted_anywhere_the_next_run_finishes(
    hosts: list[str], replicas: int, data: st.DataObject
) -> None:
    assume(len(hosts) >= 3 * (replicas + 1) and masters_can_be_placed(Counter(hosts), replicas))
    state = state_of(fresh(*hosts))
    plan = plan_for(list(state.nodes), replicas)
    # Steps of one kind run at the same time: any subset of the kind in progress may have been done.
    for _, group in itertools.groupby(plan.steps, key=type):
        kind = list(group)
        done = data.draw(st.lists(st.sampled_from(kind), unique=True)) if data.draw(st.booleans()) else kind
        state = predict_state(state, done)
        if len(done) < len(kind):
            break
    nodes = list(state.nodes)
    end = carry_out(nodes, plan_for(nodes, replicas))
    assert model.find_problems(state_of(end)) == []
    assert plan_for(end, replicas).steps == ()
    where = host_of(end)
    assert all(where[node.id] != where[node.me.master_id] for node in end if node.me.master_id)


@given(st.lists(st.integers(0, 6000), min_size=1, max_size=9), st.integers(0, 16384))
def test_slots_without_owner_go_to_those_who_own_the_fewest(owned: list[int], free: int) -> None:
    counts = {str(number): count for number, count in enumerate(owned)}
    shares = fill_up(counts, free)
    assert sum(shares.values()) == free
    ends = {name: count + shares.get(name, 0) for name, count in counts.items()}
    assert all(ends[taker] <= end + 1 for taker in shares for end in ends.values())


def test_introduction_that_was_cut_short_is_finished() -> None:
    """Two pairs know each other, each with slots; two nodes know nobody."""
    plan = plan_for(fresh(*SIX))
    state = predict_state(
        state_of(fresh(*SIX)), [step for step in plan.steps if isinstance(step, steps.AddSlots)]
    )
    ids = [node.id for node in state.nodes]
    for pair in ((ids[0], ids[1]), (ids[2], ids[3])):
        state = predict_state(state, [steps.Meet(pair, pair)])
    end = carry_out(list(state.nodes), plan_for(list(state.nodes)))
    assert model.find_problems(state_of(end)) == []
    assert roles(end) == roles(created(*SIX))


# --------------------------------------------------------------------- what is left alone
def test_failover_is_not_undone_where_none_is_wanted() -> None:
    nodes = created(*SIX)
    slots = nodes[0].me.slots
    nodes = change_node(nodes, 0, slots=(), master_id=nodes[3].id)
    nodes = change_node(nodes, 3, slots=slots, master_id=None)
    nodes = [replace(node, keys=7) for node in nodes]
    assert plan_for(nodes, failover=False).steps == ()


def test_replica_on_the_host_of_its_master_changes_sides() -> None:
    nodes = change_node(created(*SIX), 1, master_id="id-a:7000")
    nodes = change_node(nodes, 3, master_id="id-c:7000")
    plan = plan_for(nodes)
    assert set(actions(plan)) == {"replicate"}
    assert roles(carry_out(nodes, plan)) == roles(created(*SIX))


def test_master_without_replica_gets_the_surplus_of_another() -> None:
    nodes = change_node(created(*SIX, "d"), 3, master_id="id-c:7000")
    plan = plan_for(nodes)
    assert [type(step) for step in plan.steps] == [steps.Replicate]
    end = carry_out(nodes, plan)
    assert set(Counter(n.me.master_id for n in end if n.me.master_id)) == {
        "id-a:7000",
        "id-b:7000",
        "id-c:7000",
    }


def test_new_nodes_join_a_cluster_with_keys_as_its_missing_replicas() -> None:
    nodes = created("a", "b", "c", replicas=0) + fresh("d", "e", "f")
    nodes = [replace(node, keys=1) if node.me.slots else node for node in nodes]
    assert actions(plan_for(nodes)) == {"set_epoch": 3, "meet": 1, "replicate": 3}


def test_old_epochs_are_not_given_again() -> None:
    nodes = fresh("a", "b", "c")
    nodes[1] = replace(nodes[1], members=(replace(nodes[1].me, epoch=9),))
    plan = plan_for(nodes, 0)
    epochs = {step.name: step.epoch for step in plan.steps if isinstance(step, steps.SetEpoch)}
    assert epochs == {"a:7000": 10, "c:7000": 11}


# --------------------------------------------------------------------- what is refused
def refusal(
    nodes: list[model.Node], replicas: int = 1, error: type[model.RedisClusterError] = model.NodeRefused
) -> str:
    with pytest.raises(error) as caught:
        plan_for(nodes, replicas)
    return str(caught.value)


def test_keys_outside_the_cluster() -> None:
    nodes = fresh(*SIX)
    nodes[3] = replace(nodes[3], keys=5)
    text = refusal(nodes)
    assert "b:7001" in text and "5 keys" in text and "FLUSHALL" in text


def test_keys_in_a_broken_cluster() -> None:
    nodes = change_node(created(*SIX), 0, slots=((0, 100),))
    nodes[2] = replace(nodes[2], keys=5)
    assert "b:7000 holds 5 keys" in refusal(nodes)


def test_keys_on_a_member_without_slots() -> None:
    nodes = change_node(created(*SIX), 1, master_id=None)
    nodes[1] = replace(nodes[1], keys=5)
    assert "a:7001 holds 5 keys" in refusal(nodes)


def test_member_of_another_cluster() -> None:
    nodes = fresh(*SIX)
    nodes[2] = replace(nodes[2], members=(*nodes[2].members, model.Member("zz", "10.9.9.9", 7005)))
    text = refusal(nodes)
    assert "b:7000" in text and "10.9.9.9:7005" in text and "CLUSTER RESET" in text


def test_two_clusters_are_not_merged() -> None:
    text = refusal(created("a", "b", "c", replicas=0) + created("d", "e", "f", replicas=0))
    assert "a:7000 and d:7000 both own slot 0" in text


def test_one_node_under_two_addresses() -> None:
    nodes = fresh(*SIX)
    nodes[1] = replace(nodes[1], id=nodes[0].id, members=nodes[0].members)
    text = refusal(nodes)
    assert "a:7000 and a:7001 are one and the same node" in text


def test_old_version() -> None:
    nodes = fresh(*SIX)
    nodes[4] = replace(nodes[4], version=(6, 0, 16))
    assert "c:7000 runs version 6.0.16; at least 6.2" in refusal(nodes)


@pytest.mark.parametrize("hosts", ["aaaaaa", "aaaabc", "aaaaab"])
def test_replicas_that_cannot_be_kept_apart(hosts: str) -> None:
    text = refusal(fresh(*hosts), error=model.PlacementImpossible)
    assert f"a ({hosts.count('a')})" in text and "set replicas_per_master to 0" in text


def test_masters_that_need_other_slots_get_them() -> None:
    plan = plan_for(created(*SIX) + fresh("d", "e"))
    assert (
        sum(model.count_slots(step.slots) for step in plan.steps if isinstance(step, steps.MoveSlots)) == 4096
    )


def test_replicas_become_masters_where_these_are_too_few() -> None:
    nodes = change_node(created(*SIX), 0, slots=())
    for index in (2, 4):
        nodes = change_node(nodes, index, slots=(), master_id=nodes[0].id)
    plan = plan_for(nodes)
    assert actions(plan)["reset"] >= 2
    assert model.find_problems(state_of(carry_out(nodes, plan))) == []


def test_slot_migration_to_nobody_is_settled() -> None:
    nodes = change_node(created(*SIX), 1, master_id=None)
    plan = plan_for(change_node(nodes, 0, migrating=((7, "x"),)))
    assert actions(plan) == {"settle": 1, "replicate": 1}


# --------------------------------------------------------------------- the list of nodes
def addresses(*texts: str) -> list[model.Address]:
    return [model.Address(host, int(port), host) for host, port in (text.split(":") for text in texts)]


def bad_list(listed: list[model.Address], replicas: int = 0) -> str:
    with pytest.raises(model.InvalidRequest) as caught:
        check_addresses(listed, replicas)
    return str(caught.value)


def test_too_few_nodes() -> None:
    text = bad_list(addresses("10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1", "10.0.0.4:1"), 1)
    assert "needs at least 3 masters; with replicas_per_master=1 that is 6 nodes; 4 given" in text


def test_duplicates() -> None:
    assert "listed twice" in bad_list(addresses("10.0.0.1:1", "10.0.0.1:1", "10.0.0.2:1"))
    two_names = [
        model.Address("x", 1, "10.0.0.1"),
        model.Address("y", 1, "10.0.0.1"),
        model.Address("z", 1, "10.0.0.3"),
    ]
    assert "y:1 and x:1 are the same address (10.0.0.1)" in bad_list(two_names)


def test_own_name_that_resolves_to_loopback() -> None:
    mixed = [
        model.Address("me", 1, "127.0.1.1"),
        model.Address("y", 1, "10.0.0.2"),
        model.Address("z", 1, "10.0.0.3"),
    ]
    text = bad_list(mixed)
    assert "me:1 resolves to 127.0.1.1" in text and "/etc/hosts" in text


def test_bad_numbers() -> None:
    assert "1 to 65535" in bad_list(addresses("10.0.0.1:0", "10.0.0.2:1", "10.0.0.3:1"))
    assert "0 or more" in bad_list(addresses("10.0.0.1:1"), -1)
