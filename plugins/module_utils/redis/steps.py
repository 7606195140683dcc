# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a plan, and what each makes of a cluster. Pure: the executor carries them out.

A `Draft` is a cluster on which steps are tried: the planner reads from it what is still missing, and check
mode what a plan leads to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Sequence

from ansible_collections.airflowops.cluster.plugins.module_utils.redis.model import (
    Member,
    Node,
    Slots,
    State,
    count_slots,
    expand_slots,
    format_slots,
    make_slots,
)


# --------------------------------------------------------------------- the cluster that steps change
@dataclass
class DraftNode:
    """A node that answers, as it will be once the steps so far are done and all have heard of them."""

    node: Node
    listed: bool
    order: int  # Its place in the list.
    master: str | None
    epoch: int
    slots: set[int]
    known: set[str]
    migrating: dict[int, str]
    importing: dict[int, str]

    @property
    def id(self) -> str:
        return self.node.id

    @property
    def name(self) -> str:
        return str(self.node)

    @property
    def domain(self) -> str:
        return self.node.address.domain

    def close(self, slots: set[int]) -> None:
        """End what is open of the migration of slots."""
        for moving in (self.migrating, self.importing):
            for slot in slots & set(moving):
                del moving[slot]

    def as_member(self) -> Member:
        return replace(
            self.node.me,
            master_id=self.master,
            epoch=self.epoch,
            slots=make_slots(self.slots),
            migrating=tuple(self.migrating.items()),
            importing=tuple(self.importing.items()),
        )


class Draft:
    """nodes: those that answer, by id. gone: those that do not. steps: what was done to them."""

    def __init__(self, state: State) -> None:
        self.observed = state
        self.steps: list[Step] = []
        self.gone = {member.id: member for member in state.gone}
        self.nodes: dict[str, DraftNode] = {}
        for order, node in enumerate(state.alive):
            me, listed = node.me, order < len(state.nodes)
            known, migrating, importing = set(node.view), dict(me.migrating), dict(me.importing)
            self.nodes[node.id] = DraftNode(
                node, listed, order, me.master_id, me.epoch, set(), known, migrating, importing
            )
        # Where two claim a slot, the later epoch is right: the other has not heard of it yet.
        owner: dict[int, str] = {}
        for node in sorted(state.alive, key=lambda node: node.me.epoch):
            owner.update(dict.fromkeys(expand_slots(node.me.slots), node.id))
        for slot, node_id in owner.items():
            self.nodes[node_id].slots.add(slot)

    @property
    def listed(self) -> list[DraftNode]:
        return [node for node in self.nodes.values() if node.listed]

    def list_followers(self, master: str) -> list[DraftNode]:
        return [node for node in self.nodes.values() if node.master == master]

    def find_owners(self) -> dict[int, str]:
        """{slot: id of its master}"""
        return {slot: node.id for node in self.nodes.values() for slot in node.slots}

    def find_believed_slots(self, member: str) -> set[int]:
        """Slots that others hold for a member's, as long as nobody who answers owns them."""
        views = (node.view for node in self.observed.alive if node.id != member)
        believed = set().union(*(expand_slots(view[member].slots) for view in views if member in view))
        return believed - set().union(*(node.slots for node in self.nodes.values()))

    def add_step(self, step: Step) -> None:
        step.apply(self)
        self.steps.append(step)

    def as_state(self) -> State:
        members = {node.id: node.as_member() for node in self.nodes.values()}
        members.update((node_id, member) for node_id, member in self.gone.items() if node_id not in members)

        def see(draft: DraftNode) -> Node:
            seen = tuple(member for node_id, member in members.items() if node_id in draft.known)
            return replace(draft.node, members=seen, handshakes=False)

        return State(
            tuple(see(node) for node in self.nodes.values() if node.listed),
            tuple(see(node) for node in self.nodes.values() if not node.listed),
            tuple(self.gone.values()),
        )


# --------------------------------------------------------------------- steps
@dataclass(frozen=True)
class Step:
    """as_dict: as modules return it, with `action`, `description` and what it is about."""

    def as_dict(self) -> dict[str, Any]:
        raise NotImplementedError

    def apply(self, draft: Draft) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class SetEpoch(Step):
    """Config epochs decide who is right about a slot. Distinct from the start, no election has to make
    them so.
    """

    node: str
    name: str
    epoch: int

    def as_dict(self) -> dict[str, Any]:
        text = f"Give {self.name} the config epoch {self.epoch}"
        return {"action": "set_epoch", "node": self.name, "epoch": self.epoch, "description": text}

    def apply(self, draft: Draft) -> None:
        draft.nodes[self.node].epoch = self.epoch


@dataclass(frozen=True)
class AddSlots(Step):
    """Assign slots that nobody owns."""

    node: str
    name: str
    slots: Slots

    def as_dict(self) -> dict[str, Any]:
        text = f"Assign {count_slots(self.slots)} slots ({format_slots(self.slots)}) to {self.name}"
        return {"action": "add_slots", "node": self.name, "slots": _pairs(self.slots), "description": text}

    def apply(self, draft: Draft) -> None:
        draft.nodes[self.node].slots |= expand_slots(self.slots)


@dataclass(frozen=True)
class Meet(Step):
    """Introduce every node to every other one. A star would do as well, only later: gossip would have to
    finish it.
    """

    nodes: tuple[str, ...]
    names: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        text = f"Introduce {len(self.names)} nodes to one another: {', '.join(self.names)}"
        return {"action": "meet", "nodes": list(self.names), "description": text}

    def apply(self, draft: Draft) -> None:
        everybody = set().union(*(draft.nodes[node].known for node in self.nodes))
        for node in everybody & set(draft.nodes):
            draft.nodes[node].known = set(everybody)


@dataclass(frozen=True)
class Replicate(Step):
    node: str
    name: str
    master: str
    master_name: str

    def as_dict(self) -> dict[str, Any]:
        text = f"Make {self.name} a replica of {self.master_name}"
        return {"action": "replicate", "node": self.name, "master": self.master_name, "description": text}

    def apply(self, draft: Draft) -> None:
        draft.nodes[self.node].master = self.master


@dataclass(frozen=True)
class Settle(Step):
    """Make every node accept who owns slots, which ends what was left open of their migration."""

    node: str
    name: str
    slots: Slots

    def as_dict(self) -> dict[str, Any]:
        text = f"Settle that {self.name} owns {describe_slots(self.slots)}"
        return {"action": "settle", "node": self.name, "slots": _pairs(self.slots), "description": text}

    def apply(self, draft: Draft) -> None:
        for node in draft.nodes.values():
            node.close(expand_slots(self.slots))


@dataclass(frozen=True)
class MoveSlots(Step):
    """Move slots with their keys. `back`: from a node that began to import them to their owner."""

    source: str
    source_name: str
    node: str
    name: str
    slots: Slots
    back: bool = False

    def as_dict(self) -> dict[str, Any]:
        verb = "Bring back the keys of" if self.back else "Move"
        return {
            "action": "move_slots",
            "source": self.source_name,
            "node": self.name,
            "slots": _pairs(self.slots),
            "description": f"{verb} {describe_slots(self.slots)} from {self.source_name} to {self.name}",
        }

    def apply(self, draft: Draft) -> None:
        slots = expand_slots(self.slots)
        for node in draft.nodes.values():
            node.close(slots)
        if not self.back:
            draft.nodes[self.source].slots -= slots
            draft.nodes[self.node].slots |= slots


@dataclass(frozen=True)
class Failover(Step):
    """A replica takes over from its master. `takeover`: from one that is gone, with nobody's consent."""

    node: str
    name: str
    master: str
    master_name: str
    takeover: bool = False

    def as_dict(self) -> dict[str, Any]:
        text = f"Make {self.name} master in place of {self.master_name}"
        if self.takeover:
            text += ", which is gone"
        return {"action": "failover", "node": self.name, "master": self.master_name, "description": text}

    def apply(self, draft: Draft) -> None:
        replica, master = draft.nodes[self.node], draft.nodes.get(self.master)
        if master:
            replica.slots |= master.slots
            master.slots, master.master = set(), self.node
        else:
            replica.slots |= draft.find_believed_slots(self.master)
            draft.gone[self.master] = replace(draft.gone[self.master], slots=())
        for node in draft.list_followers(self.master):
            node.master = self.node
        replica.master = None


@dataclass(frozen=True)
class Reset(Step):
    """Make a node forget the cluster and its copy of the data. `leaves`: for good."""

    node: str
    name: str
    leaves: bool

    def as_dict(self) -> dict[str, Any]:
        text = f"Take {self.name} out of the cluster" if self.leaves else f"Make {self.name} an empty master"
        return {"action": "reset", "node": self.name, "description": text}

    def apply(self, draft: Draft) -> None:
        node = draft.nodes[self.node]
        node.master, node.slots, node.known = None, set(), {self.node}
        if self.leaves:
            draft.gone[self.node] = draft.nodes.pop(self.node).as_member()


@dataclass(frozen=True)
class Forget(Step):
    """Make every node forget members that left or are gone."""

    ids: tuple[str, ...]
    names: tuple[str, ...]
    lost: int = 0  # Slots whose keys are given up.

    def as_dict(self) -> dict[str, Any]:
        text = f"Make every node forget {', '.join(self.names)}"
        if self.lost:
            text += f" and give up the keys of {self.lost} slots"
        return {"action": "forget", "nodes": list(self.names), "lost_slots": self.lost, "description": text}

    def apply(self, draft: Draft) -> None:
        for node in draft.nodes.values():
            node.known -= set(self.ids)
        for node_id in self.ids:
            draft.gone.pop(node_id, None)


def describe_slots(slots: Slots) -> str:
    number = count_slots(slots)
    return f"{number} slot{'s' if number > 1 else ''} ({format_slots(slots)})"


def _pairs(slots: Slots) -> list[list[int]]:
    return [list(bounds) for bounds in slots]


# --------------------------------------------------------------------- plans
@dataclass(frozen=True)
class Plan:
    """Steps in the order in which they are carried out. Neighbours of one kind may run at the same time."""

    steps: tuple[Step, ...] = ()

    def as_dicts(self) -> list[dict[str, Any]]:
        return [step.as_dict() for step in self.steps]


def predict_state(state: State, steps: Sequence[Step]) -> State:
    """The state once the steps are done and all have heard of them."""
    draft = Draft(state)
    for step in steps:
        draft.add_step(step)
    return draft.as_state()
