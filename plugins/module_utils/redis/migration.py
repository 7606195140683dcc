# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves slots with their keys from one master to another, while clients work.

Slots move as clients that follow redirections expect: the new owner opens them for import, the old one for
migration, the keys go over, and the new owner is the first to hear that the slots are its own.
"""

from __future__ import annotations

from functools import partial
from typing import Iterator, Sequence

from ansible_collections.airflowops.cluster.plugins.module_utils.redis.client import Connection, call_for_all
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.cluster import Cluster, observe_node
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.model import NodeRefused, expand_slots
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.steps import MoveSlots, Settle

# Slots that are open at the same time. More would be quicker and make more clients follow redirections.
SLOTS_AT_ONCE = 128
# Keys of one MIGRATE, for which both servers stand still.
KEYS_AT_ONCE = 200
MIGRATE_TIMEOUT_MILLISECONDS = 10000


def move_slots(cluster: Cluster, step: MoveSlots) -> None:
    """Raises NodeRefused where a server does not take part; what is moved by then stays moved."""
    source, target = cluster.by_id[step.source], cluster.by_id[step.node]
    others = [connection for connection in _list_masters(cluster, step.node) if connection is not source]
    for slots in _split(step):
        if step.back:
            _send_keys(cluster, step, slots)
            source.ask(*(("CLUSTER", "SETSLOT", slot, "STABLE") for slot in slots))
            continue
        target.ask(*(("CLUSTER", "SETSLOT", slot, "IMPORTING", step.source) for slot in slots))
        source.ask(*(("CLUSTER", "SETSLOT", slot, "MIGRATING", step.node) for slot in slots))
        _send_keys(cluster, step, slots)
        target.ask(*(("CLUSTER", "SETSLOT", slot, "NODE", step.node) for slot in slots))
        _announce_owner(source, slots, step.node)
        call_for_all(partial(_announce_owner, slots=slots, owner=step.node), others)


def settle_slots(cluster: Cluster, step: Settle) -> None:
    """Raises NodeRefused where a master does not accept the owner."""
    for slots in _split(step):
        stable = [("CLUSTER", "SETSLOT", slot, "STABLE") for slot in slots]
        cluster.by_id[step.node].ask(*stable)
        for connection in _list_masters(cluster, step.node):
            connection.ask(*stable)
            _announce_owner(connection, slots, step.node)


def _split(step: MoveSlots | Settle) -> Iterator[Sequence[int]]:
    slots = sorted(expand_slots(step.slots))
    for start in range(0, len(slots), SLOTS_AT_ONCE):
        yield slots[start : start + SLOTS_AT_ONCE]


def _list_masters(cluster: Cluster, but: str) -> list[Connection]:
    nodes = call_for_all(observe_node, cluster.connections)
    return [cluster.by_id[node.id] for node in nodes if node.me.master_id is None and node.id != but]


def _announce_owner(connection: Connection, slots: Sequence[int], owner: str) -> None:
    """News, not orders: a node that has just joined may not know the owner yet, and will hear of it. A master
    that has heard that its last slot is another's follows that one already.
    """
    known = ("nknown node", "only with masters")
    for reply in connection.try_all(*(("CLUSTER", "SETSLOT", slot, "NODE", owner) for slot in slots)):
        if isinstance(reply, Exception) and not any(text in str(reply) for text in known):
            raise NodeRefused(f"{connection.address} does not accept the owner of a slot: {reply}")


def _send_keys(cluster: Cluster, step: MoveSlots, slots: Sequence[int]) -> None:
    """All keys of slots that take no new ones. A copy at the target is older: the source served them."""
    source, target = cluster.by_id[step.source], cluster.by_id[step.node]
    address = (target.address.ip, target.address.port, "", 0, MIGRATE_TIMEOUT_MILLISECONDS)
    options = (*(() if step.back else ("REPLACE",)), *cluster.credentials.for_migrate())
    left = list(slots)
    while left:
        found = source.ask(*(("CLUSTER", "GETKEYSINSLOT", slot, KEYS_AT_ONCE) for slot in left))
        batches = [(slot, keys) for slot, keys in zip(left, found) if keys]
        left = [slot for slot, _ in batches]
        if not batches:
            return
        replies = source.try_all(*(("MIGRATE", *address, *options, "KEYS", *keys) for _, keys in batches))
        for slot, reply in zip(left, replies):
            if isinstance(reply, Exception):
                raise NodeRefused(_explain_unsent(step, slot, str(reply)))


def _explain_unsent(step: MoveSlots, slot: int, reply: str) -> str:
    text = f"{step.source_name} could not send the keys of slot {slot} to {step.name}: {reply}. "
    if "BUSYKEY" in reply:
        return text + (
            "Both hold a key of that name, left by a migration that was broken off. Compare the two, delete "
            f"the one you do not need (at {step.source_name} with ASKING before DEL), and run again."
        )
    return text + "Nothing is lost: what was not sent is still there, and the next run goes on from here."
