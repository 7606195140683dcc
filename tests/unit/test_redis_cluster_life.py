# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The planner on running clusters, without a server: grow, shrink, repair, from any state there can be."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

import pytest
from ansible_collections.airflowops.cluster.plugins.module_utils.redis import model, steps
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.reshard_plan import make_plan
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.steps import predict_state
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from redis_states import (
    SIX,
    actions,
    added,
    carry_out,
    change,
    created,
    failed_over,
    fresh,
    node,
    plan_for,
    roles,
    state_of,
    without,
)

PINNED = frozenset({5000})
GENTLE = model.Request()
PRUNE = model.Request(prune=True)


def slots_of(state: model.State) -> set[int]:
    return set().union(*(model.expand_slots(n.me.slots) for n in state.alive))


def check_end(state: model.State, request: model.Request, plan: steps.Plan) -> model.State:
    """Carries a plan out step by step and holds it to what it promises."""
    covered = slots_of(state)
    for step in plan.steps:
        state = predict_state(state, [step])
        assert slots_of(state) >= covered, step
        covered = slots_of(state)
    assert len(covered) == sum(model.count_slots(n.me.slots) for n in state.alive) == model.SLOT_COUNT
    listed = state.nodes
    masters = [n for n in listed if n.me.slots]
    counts = [model.count_slots(n.me.slots) for n in masters]
    assert max(counts) - min(counts) <= 1
    wanted = max(3, len(listed) // (request.replicas_per_master + 1))
    assert len(masters) == wanted
    by_id = {n.id: n for n in listed}
    followers: Counter[str] = Counter()
    for n in listed:
        assert not n.me.migrating
        assert not n.me.importing
        if n not in masters:
            master = by_id[str(n.me.master_id)]
            assert master in masters
            assert master.address.domain != n.address.domain
            followers[master.id] += 1
    assert all(followers[n.id] >= request.replicas_per_master for n in masters)
    if request.prune:
        assert state.others == state.gone == ()
        everybody = set(by_id)
        assert all(set(n.view) == everybody for n in listed)
    assert make_plan(state, request).steps == ()
    return state


# --------------------------------------------------------------------- single cases
def test_nothing_to_do() -> None:
    assert make_plan(state_of(created(*SIX)), PRUNE).steps == ()


def test_two_hosts_join_and_take_their_share_without_the_pinned_slot() -> None:
    state = state_of(added(created(*SIX), "d", "d", "e", "e"))
    request = model.Request(pinned=PINNED)
    plan = make_plan(state, request)
    before = next(n.id for n in state.nodes if 5000 in model.expand_slots(n.me.slots))
    end = check_end(state, request, plan)
    assert 5000 in model.expand_slots(next(n for n in end.nodes if n.id == before).me.slots)
    moves = [step for step in plan.steps if isinstance(step, steps.MoveSlots)]
    # Two masters more with 3276 and 3277 slots, a fifth of all each, and not one slot moved twice.
    assert sum(model.count_slots(step.slots) for step in moves) == 3276 + 3277
    assert actions(plan)["failover"] == actions(plan)["reset"] == 0


def test_two_pinned_shards_whose_hosts_leave_do_not_get_one_heir() -> None:
    """Of the hosts that stay one node alone is a replica, and not of either."""
    state = state_of(added(created(*"aabbcc"), *"ddee"))
    for step in make_plan(state, model.Request()).steps:
        state = predict_state(state, [step])
        if isinstance(step, steps.Meet):
            break
    request = model.Request(prune=True, pinned=frozenset({0, 5462}))
    state = state_of(list(state.nodes), set("cde"))
    check_end(state, request, make_plan(state, request))


def test_two_hosts_leave_and_the_pinned_slot_moves_by_failover() -> None:
    grown = state_of(added(created(*SIX), "d", "d", "e", "e"))
    grown = predict_state(grown, make_plan(grown, GENTLE).steps)
    owner = next(n for n in grown.nodes if n.address.host == "d" and n.me.slots)
    pinned = frozenset({min(model.expand_slots(owner.me.slots))})
    state = state_of(list(grown.nodes), {"a", "b", "c"})
    request = model.Request(prune=True, pinned=pinned)
    plan = make_plan(state, request)
    check_end(state, request, plan)
    assert actions(plan)["failover"] >= 1
    for step in plan.steps:
        if isinstance(step, steps.MoveSlots):
            assert not model.expand_slots(step.slots) & pinned


def test_unlisted_nodes_are_left_alone_and_named() -> None:
    state = state_of(added(created(*SIX), "d"))
    joined = predict_state(state, make_plan(state, GENTLE).steps)
    partly = state_of(list(joined.nodes), {"a", "b", "c"})
    assert make_plan(partly, GENTLE).steps == ()
    assert partly.unlisted == ["d:7000"]
    assert actions(make_plan(partly, PRUNE)) == {"reset": 1, "forget": 1}


def test_masters_on_one_host_are_spread_by_a_gentle_failover() -> None:
    state = state_of(created(*SIX))
    swapped = failed_over(state, node(state, "b:7001").id)
    assert roles(list(swapped.nodes))["a:7000"] == "b:7001"
    assert make_plan(swapped, replace(GENTLE, failover=False)).steps == ()
    plan = make_plan(swapped, GENTLE)
    assert [step.as_dict()["description"] for step in plan.steps] == ["Make a:7000 master in place of b:7001"]
    check_end(swapped, GENTLE, plan)


def test_replica_that_lags_is_not_given_the_shard() -> None:
    state = state_of(created(*SIX))
    swapped = failed_over(state, node(state, "b:7001").id)
    lagging = replace(
        swapped,
        nodes=tuple(replace(n, link_up=False) if str(n) == "a:7000" else n for n in swapped.nodes),
    )
    assert "a:7000" not in [step.name for step in make_plan(lagging, GENTLE).steps]


@pytest.mark.parametrize("flags", list(itertools.product([True, False], repeat=2)))
def test_migration_that_was_left_open(flags: tuple[bool, bool]) -> None:
    state = state_of(created(*SIX))
    source, target = node(state, "a:7000").id, node(state, "b:7000").id
    if flags[0]:
        state = change(state, source, migrating=((7, target),))
    if flags[1]:
        state = change(state, target, importing=((7, source),))
    plan = make_plan(state, GENTLE)
    check_end(state, GENTLE, plan)
    first = [step.as_dict()["action"] for step in plan.steps][:2]
    assert (
        first
        == {
            (True, True): ["move_slots"],
            (True, False): ["move_slots"],
            (False, True): ["move_slots", "settle"],  # Its keys come back first.
            (False, False): [],
        }[flags]
    )


def test_migration_to_a_member_that_is_gone_is_settled() -> None:
    state = change(state_of(created(*SIX)), "id-a:7000", migrating=((7, "nobody"),))
    plan = make_plan(state, GENTLE)
    assert [step.as_dict()["description"] for step in plan.steps] == ["Settle that a:7000 owns 1 slot (7)"]


def test_both_claim_a_slot_and_the_later_epoch_is_right() -> None:
    state = state_of(created(*SIX))
    source, target = node(state, "a:7000"), node(state, "b:7000")
    gained = model.make_slots(model.expand_slots(target.me.slots) | {7})
    state = change(state, target.id, slots=gained, epoch=90)
    state = change(state, source.id, migrating=((7, target.id),))
    plan = make_plan(state, GENTLE)
    assert plan.steps[0].as_dict()["description"] == "Settle that b:7000 owns 1 slot (7)"
    check_end(state, GENTLE, plan)


def test_node_that_was_reset_is_introduced_again_and_gets_its_slots() -> None:
    state = state_of(created(*SIX))
    lost = node(state, "a:7000")
    alone = replace(lost, members=(model.Member(lost.id),))
    state = replace(state, nodes=tuple(alone if n.id == lost.id else n for n in state.nodes))
    plan = make_plan(state, GENTLE)
    assert plan.steps[-1].as_dict()["action"] == "meet"
    end = check_end(state, GENTLE, plan)
    assert node(end, "a:7000").me.slots == lost.me.slots


def test_replaced_machine_under_its_old_address() -> None:
    state = state_of(created(*SIX))
    old = node(state, "c:7001")
    state = without(state, old.id, ip="c", port=7001)
    new = model.Node(old.address, "new", (model.Member("new"),))
    state = replace(state, nodes=(*state.nodes, new))
    plan = make_plan(state, GENTLE)
    assert actions(plan) == {"set_epoch": 1, "meet": 1, "replicate": 1, "forget": 1}
    end = check_end(state, GENTLE, plan)
    assert end.gone == ()


def test_member_that_is_gone_is_forgotten_only_on_request() -> None:
    state = state_of(added(created(*SIX), "d"))
    state = predict_state(state, make_plan(state, GENTLE).steps)
    gone = without(state, node(state, "d:7000").id, ip="d", port=7000)
    assert make_plan(gone, GENTLE).steps == ()
    assert gone.unlisted == ["d:7000 (does not answer)"]
    assert actions(make_plan(gone, PRUNE)) == {"forget": 1}


def lost_shard() -> model.State:
    """d's master and both its data are gone; its replica too."""
    state = state_of(added(created(*SIX), "d", "d"))
    state = predict_state(state, make_plan(state, GENTLE).steps)
    master = next(n for n in state.nodes if n.address.host == "d" and n.me.slots)
    for replica in [n for n in state.nodes if n.me.master_id == master.id]:
        state = change(state, replica.id, master_id=node(state, "a:7000").id)
    return without(without(state, master.id, ip="d", port=7000), node(state, "d:7001").id, ip="d", port=7001)


def test_lost_slots_are_given_up_only_on_request() -> None:
    state = lost_shard()
    with pytest.raises(
        model.DataLossRefused, match=r"d:7000 does not answer, and no replica has its 4096 slots"
    ):
        make_plan(state, PRUNE)
    plan = make_plan(state, replace(PRUNE, allow_data_loss=True))
    assert "give up the keys of 4096 slots" in plan.steps[0].as_dict()["description"]
    check_end(state, replace(PRUNE, allow_data_loss=True), plan)


def test_slots_that_were_given_up_by_a_run_that_was_cut_short_are_assigned_by_the_next() -> None:
    request = replace(PRUNE, allow_data_loss=True)
    state = lost_shard()
    state = predict_state(state, make_plan(state, request).steps[:1])
    state = replace(state, nodes=tuple(replace(n, keys=5) for n in state.nodes))
    with pytest.raises(model.NodeRefused, match="its cluster does not serve them: 12288 of 16384 slots"):
        make_plan(state, PRUNE)
    check_end(state, request, make_plan(state, request))


def test_replica_takes_over_from_a_master_that_is_gone() -> None:
    state = state_of(added(created(*SIX), "d", "d"))
    state = predict_state(state, make_plan(state, GENTLE).steps)
    master = next(n for n in state.nodes if n.address.host == "d" and n.me.slots)
    state = without(without(state, master.id, ip="d", port=7000), node(state, "d:7001").id, ip="d", port=7001)
    plan = make_plan(state, PRUNE)
    assert plan.steps[0].as_dict()["description"].endswith("in place of d:7000, which is gone")
    check_end(state, PRUNE, plan)


def test_foreign_cluster_is_refused() -> None:
    one, two = created(*SIX), created("x", "x", "y", "y", "z", "z")
    with pytest.raises(model.NodeRefused, match="a cluster of its own"):
        make_plan(model.State((*one, two[0]), tuple(two[1:])), GENTLE)
    with pytest.raises(model.NodeRefused, match="nodes that are not listed"):
        make_plan(model.State((*fresh("m", "n", "o", "p", "q"), two[0]), tuple(two[1:])), GENTLE)


def test_keys_on_a_new_node_are_refused() -> None:
    nodes = added(created(*SIX), "d")
    nodes[-1] = replace(nodes[-1], keys=3)
    with pytest.raises(model.NodeRefused, match="d:7000 already holds 3 keys"):
        make_plan(state_of(nodes), GENTLE)


def test_zones_are_kept_apart() -> None:
    nodes = [
        replace(
            n,
            address=replace(n.address, zone={"a": "one", "b": "one", "c": "two", "d": "two"}[n.address.host]),
        )
        for n in fresh("a", "a", "b", "b", "c", "c", "d", "d")
    ]
    made = carry_out(nodes, plan_for(nodes))
    zone = {n.id: n.address.zone for n in nodes}
    assert all(zone[n.id] != zone[str(n.me.master_id)] for n in made if n.me.master_id)
    assert make_plan(state_of(made), GENTLE).steps == ()


# --------------------------------------------------------------------- any state, any wish
@st.composite
def reached(draw: st.DrawFn) -> tuple[model.State, model.Request]:
    """A cluster with a history: formed, grown, shrunk, failed over, interrupted; and a new wish."""
    replicas = draw(st.integers(0, 2))
    per_host = draw(st.integers(1, 2))
    hosts = list("abcdefghijklm")
    # Every host has as many nodes: for these, replicas can always be kept apart.
    fewest = max(-(-3 * (replicas + 1) // per_host), replicas + 1, 3)
    count = draw(st.integers(fewest, fewest + 2))
    state = state_of(created(*(h for h in hosts[:count] for _ in range(per_host)), replicas=replicas))
    pinned = frozenset(draw(st.sets(st.integers(0, 16383), max_size=2)))
    for _ in range(draw(st.integers(0, 2))):
        followers = [n for n in state.nodes if n.me.master_id]
        if followers:
            state = failed_over(state, draw(st.sampled_from(followers)).id)
    more = draw(st.integers(0, 2))
    nodes = list(state.nodes)
    if more and count + more <= len(hosts):
        nodes = added(nodes, *(h for h in hosts[count : count + more] for _ in range(per_host)))
        request = model.Request(replicas, pinned=pinned)
        state = state_of(nodes)
        plan = make_plan(state, request)
        # Killed between any two steps.
        state = predict_state(state, plan.steps[: draw(st.integers(0, len(plan.steps)))])
        count += more
    masters = [n for n in state.nodes if n.me.slots]
    if draw(st.booleans()):
        source, target = draw(st.permutations(masters))[:2]
        slot = draw(st.sampled_from(sorted(model.expand_slots(source.me.slots))))
        if draw(st.booleans()):
            state = change(state, source.id, migrating=((slot, target.id),))
        if draw(st.booleans()):
            state = change(state, target.id, importing=((slot, source.id),))
    keep = draw(st.integers(fewest, count)) if count > fewest else count
    # Any hosts may go, as long as most of the cluster's nodes are listed.
    listed = set(draw(st.permutations(hosts[:count]))[: max(keep, -(-count // 2))])
    joined = Counter(n.address.host in listed for n in state.nodes if len(n.members) > 1)
    assume(joined[True] >= joined[False])
    return state_of(list(state.nodes), listed), model.Request(replicas, prune=True, pinned=pinned)


@settings(max_examples=150, deadline=None)
@given(reached())
def test_from_any_state_the_plan_ends_in_what_is_asked(case: tuple[model.State, model.Request]) -> None:
    state, request = case
    check_end(state, request, make_plan(state, request))


@settings(max_examples=60, deadline=None)
@given(reached(), st.data())
def test_killed_between_any_two_steps_the_next_plan_finishes(
    case: tuple[model.State, model.Request], data: st.DataObject
) -> None:
    state, request = case
    plan = make_plan(state, request)
    state = predict_state(state, plan.steps[: data.draw(st.integers(0, len(plan.steps)))])
    check_end(state, request, make_plan(state, request))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from("abcdefg"), min_size=3, max_size=18).map(sorted),
    st.integers(0, 2),
)
def test_what_was_just_formed_needs_nothing(hosts: list[str], replicas: int) -> None:
    try:
        nodes = created(*hosts, replicas=replicas)
    except model.RedisClusterError:  # Too few nodes, or no way to keep replicas apart.
        assume(False)
    assert make_plan(state_of(nodes), model.Request(replicas)).steps == ()
