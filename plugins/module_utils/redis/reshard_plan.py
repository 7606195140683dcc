# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps from what a Redis Cluster is to what is asked for: create, grow, shrink, repair. Pure.

A plan is worked out from what is observed alone: a run that was killed between two steps is finished by the
next one. Servers that know nobody and own nothing are a cluster like any other, of which all is missing.
"""

from __future__ import annotations

from typing import Iterable, Sequence

from ansible_collections.airflowops.cluster.plugins.module_utils.redis.checks import check_state
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.model import (
    SLOT_COUNT,
    DataLossRefused,
    Request,
    State,
    expand_slots,
    make_slots,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.placement import (
    choose_masters,
    choose_replicas,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.steps import (
    AddSlots,
    Draft,
    DraftNode,
    Failover,
    Forget,
    Meet,
    MoveSlots,
    Plan,
    Reset,
    SetEpoch,
    Settle,
    Step,
    describe_slots,
)

# Where nodes are few and hosts uneven, a better spread can be had only when replicas have changed sides.
MAXIMUM_ROUNDS = 10


def make_plan(state: State, request: Request) -> Plan:
    """The steps from what is observed to what is asked; empty where nothing is missing.

    Raises NodeRefused, PlacementImpossible or DataLossRefused, with what to do, where there is no safe way.
    """
    check_state(state, request)
    steps: list[Step] = []
    for _ in range(MAXIMUM_ROUNDS):
        draft = Draft(state)
        finish_migrations(draft)
        take_over_from_gone(draft)
        unassigned = give_up_lost_slots(draft, request)
        masters = choose_masters(draft, request)
        introduce_nodes(draft, masters, unassigned)
        balance_slots(draft, masters, request)
        choose_replicas(draft, masters, request)
        remove_unlisted(draft, request)
        if not draft.steps:
            break
        steps += draft.steps
        state = draft.as_state()
    return Plan(tuple(steps))


# --------------------------------------------------------------------- unfinished migrations
def finish_migrations(draft: Draft) -> None:
    """Go on with a migration that both sides know of; else bring its keys back to the owner."""
    owner = draft.find_owners()
    forward: dict[tuple[str, str], set[int]] = {}
    back: dict[tuple[str, str], set[int]] = {}
    settled: dict[str, set[int]] = {}
    for node in draft.nodes.values():
        for slot, target in node.migrating.items():
            if owner.get(slot) == node.id and target in draft.nodes:
                forward.setdefault((node.id, target), set()).add(slot)
            elif slot in owner:
                settled.setdefault(owner[slot], set()).add(slot)
        # It heard of the end of its ownership from nobody yet.
        for slot in expand_slots(node.node.me.slots) - node.slots:
            settled.setdefault(owner[slot], set()).add(slot)
    for node in draft.nodes.values():
        for slot in node.importing:
            if slot not in owner or slot in forward.get((owner[slot], node.id), ()):
                continue
            if owner[slot] != node.id:
                back.setdefault((node.id, owner[slot]), set()).add(slot)
            settled.setdefault(owner[slot], set()).add(slot)
    for (source, target), slots in back.items():
        _move(draft, draft.nodes[source], draft.nodes[target], slots, back=True)
    for (source, target), slots in forward.items():
        _move(draft, draft.nodes[source], draft.nodes[target], slots)
    for node_id, slots in settled.items():
        slots &= draft.nodes[node_id].slots
        if slots:
            draft.add_step(Settle(node_id, draft.nodes[node_id].name, make_slots(slots)))


def _move(
    draft: Draft, source: DraftNode, target: DraftNode, slots: Iterable[int], back: bool = False
) -> None:
    draft.add_step(MoveSlots(source.id, source.name, target.id, target.name, make_slots(slots), back))


# --------------------------------------------------------------------- members that are gone
def take_over_from_gone(draft: Draft) -> None:
    """A replica that could not be elected, as too many masters died with its own, has the data."""
    for member in list(draft.gone.values()):
        heirs = [node for node in draft.list_followers(member.id) if not node.node.me.slots]
        if heirs and draft.find_believed_slots(member.id):
            heir = min(heirs, key=lambda node: (not node.listed, node.order))
            draft.add_step(Failover(heir.id, heir.name, member.id, str(member), takeover=True))


def give_up_lost_slots(draft: Draft, request: Request) -> dict[str | None, set[int]]:
    """Slots to assign, by the node that is to have them; None where it does not matter.

    Raises DataLossRefused where they hold keys that nobody has any more.
    """
    rest = set(range(SLOT_COUNT)) - set(draft.find_owners())
    unassigned: dict[str | None, set[int]] = {}
    lost: dict[str, set[int]] = {}
    # A listed node that others hold for an owner was reset. Redis refuses that to a master with keys: nothing
    # is lost.
    for found, ids in ((unassigned, [node.id for node in draft.listed]), (lost, list(draft.gone))):
        for node_id in ids if rest else ():
            held = draft.find_believed_slots(node_id) & rest
            if held:
                found[node_id] = held
                rest -= held
    if lost and not request.allow_data_loss:
        node_id, held = next(iter(lost.items()))
        raise DataLossRefused(
            f"{draft.gone[node_id]} does not answer, and no replica has its "
            f"{describe_slots(make_slots(held))}. Bring it back with its data. If that is lost for good, "
            "allow_data_loss: true makes the other masters serve these slots, empty. Nothing was changed."
        )
    if lost:
        names = tuple(str(draft.gone[node_id]) for node_id in lost)
        draft.add_step(Forget(tuple(lost), names, sum(map(len, lost.values()))))
        rest |= set().union(*lost.values())
    if rest:
        unassigned[None] = rest
    return unassigned


# --------------------------------------------------------------------- new members
def introduce_nodes(
    draft: Draft, masters: Sequence[DraftNode], unassigned: dict[str | None, set[int]]
) -> None:
    """Give new nodes an epoch of their own, slots without owner to masters, and make all nodes meet."""
    everybody = draft.listed
    known = {node.id for node in everybody}
    must_meet = any(not known <= node.known for node in everybody)
    if must_meet:
        epoch = max(member.epoch for node in draft.observed.alive for member in node.members)
        for node in everybody:
            # A server takes an epoch only as long as it has none and knows nobody.
            if node.known == {node.id} and node.epoch == 0 and not node.node.handshakes:
                epoch += 1
                draft.add_step(SetEpoch(node.id, node.name, epoch))
    free = sorted(unassigned.pop(None, ()))
    shares = {node_id: slots for node_id, slots in unassigned.items() if node_id}
    counts = {node.id: len(node.slots) + len(shares.get(node.id, ())) for node in masters}
    for node_id, number in fill_up(counts, len(free)).items():
        shares.setdefault(node_id, set()).update(free[:number])
        free = free[number:]
    for node_id, slots in shares.items():
        draft.add_step(AddSlots(node_id, draft.nodes[node_id].name, make_slots(slots)))
    if must_meet:
        draft.add_step(Meet(tuple(node.id for node in everybody), tuple(node.name for node in everybody)))


def fill_up(counts: dict[str, int], free: int) -> dict[str, int]:
    """How many of `free` slots each gets so that those who own the fewest come level; in the order given."""
    lowest = sorted(counts, key=lambda node_id: counts[node_id])
    for number in range(len(lowest), 0, -1):
        level, rest = divmod(free + sum(counts[node_id] for node_id in lowest[:number]), number)
        if level >= counts[lowest[number - 1]]:
            takers = [node_id for node_id in counts if node_id in lowest[:number]]
            shares = {
                node_id: level - counts[node_id] + (place < rest) for place, node_id in enumerate(takers)
            }
            return {node_id: share for node_id, share in shares.items() if share}
    return {}


# --------------------------------------------------------------------- slots
def balance_slots(draft: Draft, masters: Sequence[DraftNode], request: Request) -> None:
    """Every master's share to within one slot, by the fewest moves; pinned slots stay where they are."""
    sources = [node for node in draft.nodes.values() if node.slots and (node.listed or request.prune)]
    share, rest = divmod(sum(len(node.slots) for node in sources), len(masters))
    by_size = sorted(masters, key=lambda node: (-len(node.slots), node.order))
    target = {node.id: share + (place < rest) for place, node in enumerate(by_size)}
    takers = [node for node in masters if len(node.slots) < target[node.id]]
    for node in sources:
        surplus = len(node.slots) - target.get(node.id, 0)
        if surplus <= 0:
            continue
        movable = sorted(node.slots - request.pinned, reverse=True)
        leaving = (movable + sorted(node.slots & request.pinned))[:surplus]
        while leaving:
            number = target[takers[0].id] - len(takers[0].slots)
            now, leaving = leaving[:number], leaving[number:]
            _move(draft, node, takers[0], now)
            if len(now) == number:
                takers.pop(0)


# --------------------------------------------------------------------- members that leave
def remove_unlisted(draft: Draft, request: Request) -> None:
    """Reset members that are not listed, if asked, and make the others forget them and what is gone."""
    forget = {}
    endpoints = {(node.node.address.ip, node.node.address.port) for node in draft.nodes.values()}
    for member in draft.gone.values():
        replaced = not member.port or (member.ip, member.port) in endpoints
        if replaced or request.prune:
            forget[member.id] = str(member)
    if request.prune:
        for node in [node for node in draft.nodes.values() if not node.listed]:
            draft.add_step(Reset(node.id, node.name, leaves=True))
            forget[node.id] = node.name
    if forget:
        draft.add_step(Forget(tuple(forget), tuple(forget.values())))
