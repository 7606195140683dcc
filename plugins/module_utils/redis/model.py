# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Redis Cluster consists of: nodes, slots, and what is known of both. Pure functions."""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Iterable, Sequence, Tuple

SLOT_COUNT = 16384
BUS_OFFSET = 10000  # The port of the cluster bus, above the port for clients, unless it is configured.
MINIMUM_MASTERS = 3
MINIMUM_VERSION = (6, 2)


# --------------------------------------------------------------------- errors
class RedisClusterError(Exception):
    """Base of everything that main() turns into a failure message."""


class InvalidRequest(RedisClusterError):
    """The list of nodes cannot make a cluster, whatever state the servers are in."""


class PlacementImpossible(RedisClusterError):
    """Replicas cannot be kept off the hosts of their masters."""


class NodeRefused(RedisClusterError):
    """A server is not in a state in which it may become part of this cluster."""


class NodeUnreachable(NodeRefused):
    """A server does not answer."""


class AuthenticationFailed(NodeRefused):
    """A server does not accept the credentials, or they do not allow enough."""


class NotConverged(RedisClusterError):
    """The servers did not come to agree in the time allowed."""


class DataLossRefused(RedisClusterError):
    """Going on would give up keys."""


# --------------------------------------------------------------------- nodes
Slots = Tuple[Tuple[int, int], ...]  # Sorted inclusive ranges that do not touch: equal sets compare equal.


@dataclass(frozen=True)
class Address:
    """A node as the user lists it, and the IP address its name stands for."""

    host: str
    port: int
    ip: str
    zone: str | None = None  # What fails together, where that is more than a host.

    @property
    def domain(self) -> str:
        """What a master and its replica must not share."""
        return self.zone or self.ip

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Member:
    """One line of CLUSTER NODES: what one server knows of one member."""

    id: str
    ip: str = ""
    port: int = 0
    bus_port: int = 0
    flags: frozenset[str] = frozenset()
    master_id: str | None = None  # None: it is a master.
    epoch: int = 0
    connected: bool = True
    slots: Slots = ()
    # Of the server itself only: slots on their way, with the id of the other side.
    migrating: tuple[tuple[int, str], ...] = ()
    importing: tuple[tuple[int, str], ...] = ()

    @property
    def claim(self) -> tuple[str | None, Slots]:
        """What all servers must agree on."""
        return self.master_id, self.slots

    def __str__(self) -> str:
        return f"{self.ip}:{self.port}" if self.port else f"the node {self.id} without address"


@dataclass(frozen=True)
class Node:
    """A server that answers, and what it answered."""

    address: Address
    id: str
    members: tuple[Member, ...]  # Its view of the cluster, itself included, without handshakes.
    version: tuple[int, ...] = (7, 0)
    keys: int = 0
    cluster_ok: bool = True
    link_up: bool = True  # Of a replica: it is in step with its master.
    handshakes: bool = False

    @cached_property
    def me(self) -> Member:
        return self.view[self.id]

    @cached_property
    def view(self) -> dict[str, Member]:
        return {member.id: member for member in self.members}

    @property
    def alone(self) -> bool:
        """Whether it knows no other member."""
        return len(self.members) == 1

    def __str__(self) -> str:
        return str(self.address)


# --------------------------------------------------------------------- a cluster, observed and asked for
@dataclass(frozen=True)
class State:
    """nodes: the listed ones, all of which answer.
    others: members that are not listed and answer.
    gone: members that do not answer under their address, as the others remember them.
    """

    nodes: tuple[Node, ...]
    others: tuple[Node, ...] = ()
    gone: tuple[Member, ...] = ()

    @property
    def alive(self) -> tuple[Node, ...]:
        return self.nodes + self.others

    @property
    def unlisted(self) -> list[str]:
        """Members that are not listed, as text."""
        return [*map(str, self.others), *(f"{member} (does not answer)" for member in self.gone)]


@dataclass(frozen=True)
class Request:
    """replicas_per_master: of the listed nodes.
    prune: empty and remove nodes that are not listed.
    failover: fail masters over to replicas so that no host has more masters than its share.
    allow_data_loss: give up slots whose nodes are gone for good.
    pinned: slots that stay with their master as long as it, or a replica of it, is listed.
    """

    replicas_per_master: int = 1
    prune: bool = False
    failover: bool = True
    allow_data_loss: bool = False
    pinned: frozenset[int] = frozenset()


# --------------------------------------------------------------------- slots
def key_slot(key: str) -> int:
    """The slot of a key: CRC16 (XMODEM) of the key, or of its first hash tag that is not empty."""
    raw = key.encode("utf-8")
    start = raw.find(b"{")
    end = raw.find(b"}", start + 1)
    if start >= 0 and end > start + 1:
        raw = raw[start + 1 : end]
    return binascii.crc_hqx(raw, 0) % SLOT_COUNT


def make_slots(numbers: Iterable[int]) -> Slots:
    ranges: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return tuple(ranges)


def expand_slots(slots: Slots) -> set[int]:
    return {number for first, last in slots for number in range(first, last + 1)}


def count_slots(slots: Slots) -> int:
    return sum(last - first + 1 for first, last in slots)


def format_slots(slots: Slots) -> str:
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in slots)


def collect_slots(members: Iterable[Member]) -> set[int]:
    """The slots that these members own."""
    return set().union(*(expand_slots(member.slots) for member in members))


# --------------------------------------------------------------------- what keeps a cluster from being whole
@dataclass(frozen=True)
class Disagreement:
    """`observer` is not up to date about `subject`."""

    subject: str
    observer: str
    text: str
    outdated: bool  # News about the subject would help, as opposed to waiting for a connection.


def find_disagreements(nodes: Sequence[Node]) -> list[Disagreement]:
    found = []
    for observer in nodes:
        for subject in nodes:
            member = observer.view.get(subject.id)
            outdated = member is None or member.claim != subject.me.claim
            if member is None:
                text = f"{observer} does not know {subject}"
            elif member.flags & {"fail", "fail?", "noaddr"}:
                text = f"{observer} holds {subject} for failed"
            elif not member.connected:
                text = f"{observer} is not connected to {subject} on the cluster bus"
            elif outdated:
                text = f"{observer} is not up to date about the role or slots of {subject}"
            else:
                continue
            found.append(Disagreement(subject.id, observer.id, text, outdated))
    return found


def find_problems(state: State) -> list[str]:
    """What keeps the listed nodes from being a whole cluster, as text; empty when nothing does."""
    found = [entry.text for entry in find_disagreements(state.nodes)]
    covered = len(collect_slots(node.me for node in state.alive))
    if covered != SLOT_COUNT:
        found.append(f"{covered} of {SLOT_COUNT} slots are covered")
    found += [f"{node} reports the cluster state as not ok" for node in state.nodes if not node.cluster_ok]
    found += [
        f"{node} is not in step with its master (its log says why; often masterauth or masteruser is missing)"
        for node in state.nodes
        if node.me.master_id and not node.link_up
    ]
    return found


# --------------------------------------------------------------------- what modules return
def describe_member(member: Member, host: str, port: int) -> dict[str, Any]:
    return {
        "id": member.id,
        "host": host,
        "port": port,
        "role": "replica" if member.master_id else "master",
        "master_id": member.master_id,
        "slots": [list(bounds) for bounds in member.slots],
    }


def list_topology(nodes: Sequence[Node]) -> list[dict[str, Any]]:
    """What each listed node is, in the order of the list, under the name the user gave it."""
    return [describe_member(node.me, node.address.host, node.address.port) for node in nodes]


def format_topology(nodes: Sequence[Node]) -> str:
    """For --diff: a line for each node."""
    names = {node.id: str(node) for node in nodes}
    lines = []
    for node in nodes:
        me = node.me
        if me.master_id:
            lines.append(f"{node} replica of {names.get(me.master_id, me.master_id)}")
        elif me.slots:
            lines.append(f"{node} master of {format_slots(me.slots)}")
        else:
            lines.append(f"{node} without slots" + (", on its own" if node.alone else ""))
    return "\n".join(lines) + "\n"
