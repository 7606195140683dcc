# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Redis Cluster is, what is wrong with one, and the steps that form it.

Everything here is pure: no network, no clock, no randomness. `redis_formation` observes the servers, hands
the observation to `make_plan`, and carries the steps out. The same input always gives the same plan.
"""

from __future__ import annotations

import binascii
import ipaddress
import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Iterable, Sequence, Tuple, Union

SLOT_COUNT = 16384
MINIMUM_MASTERS = 3
MINIMUM_VERSION = (6, 2)
RESET_HINT = (
    "If nothing on it is needed, empty it with FLUSHALL "
    "and make it forget the others with CLUSTER RESET HARD."
)


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


class ReshardingNeeded(RedisClusterError):
    """The request can only be met by moving slots between masters."""


class NotConverged(RedisClusterError):
    """The servers did not come to agree in the time allowed."""


# --------------------------------------------------------------------- model
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
    """One line of CLUSTER NODES: what one server says about one member."""

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


@dataclass(frozen=True)
class Node:
    """A listed server and what it answered."""

    address: Address
    id: str
    members: tuple[Member, ...]  # Its view of the cluster, itself included, handshakes left out.
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

    def __str__(self) -> str:
        return str(self.address)


# --------------------------------------------------------------------- steps
@dataclass(frozen=True)
class SetEpoch:
    """Config epochs decide who is right about a slot. Distinct from the start, no election has to make
    them so.
    """

    node: str
    name: str
    epoch: int

    def as_dict(self) -> dict[str, Any]:
        text = f"Give {self.name} the config epoch {self.epoch}"
        return {"action": "set_epoch", "node": self.name, "epoch": self.epoch, "description": text}


@dataclass(frozen=True)
class AddSlots:
    node: str
    name: str
    slots: Slots

    def as_dict(self) -> dict[str, Any]:
        text = f"Assign {slot_count(self.slots)} slots ({slots_text(self.slots)}) to {self.name}"
        ranges = [list(bounds) for bounds in self.slots]
        return {"action": "add_slots", "node": self.name, "slots": ranges, "description": text}


@dataclass(frozen=True)
class Meet:
    """Introduce every node to every other one. A star would do as well, only later: gossip would have to
    finish it.
    """

    nodes: tuple[str, ...]
    names: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        text = f"Introduce {len(self.names)} nodes to one another: {', '.join(self.names)}"
        return {"action": "meet", "nodes": list(self.names), "description": text}


@dataclass(frozen=True)
class Replicate:
    node: str
    name: str
    master: str
    master_name: str

    def as_dict(self) -> dict[str, Any]:
        text = f"Make {self.name} a replica of {self.master_name}"
        return {"action": "replicate", "node": self.name, "master": self.master_name, "description": text}


Step = Union[SetEpoch, AddSlots, Meet, Replicate]


@dataclass(frozen=True)
class Plan:
    """Steps in the order in which they are carried out. Neighbours of one kind may run at the same time."""

    steps: tuple[Any, ...] = ()

    def as_dicts(self) -> list[dict[str, Any]]:
        return [step.as_dict() for step in self.steps]


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


def slot_numbers(slots: Slots) -> set[int]:
    return {number for first, last in slots for number in range(first, last + 1)}


def slot_count(slots: Slots) -> int:
    return sum(last - first + 1 for first, last in slots)


def slots_text(slots: Slots) -> str:
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in slots)


def slots_covered(members: Iterable[Member]) -> int:
    return sum(slot_count(member.slots) for member in members)


# --------------------------------------------------------------------- parsing
def parse_nodes(text: str) -> tuple[Member, ...]:
    """The reply of CLUSTER NODES, also in the longer forms of Redis 7 and Valkey
    (`ip:port@bus,host,shard-id=…`).
    """
    members = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 8:
            continue
        endpoint, _, bus = fields[1].split(",")[0].partition("@")
        ip, _, port = endpoint.rpartition(":")
        numbers: set[int] = set()
        migrating: list[tuple[int, str]] = []
        importing: list[tuple[int, str]] = []
        for entry in fields[8:]:
            if entry.startswith("["):  # [93->-ID] or [77-<-ID]
                slot, arrow, other = re.split(r"(->-|-<-)", entry.strip("[]"))
                (migrating if arrow == "->-" else importing).append((int(slot), other))
                continue
            first, _, last = entry.partition("-")
            numbers.update(range(int(first), int(last or first) + 1))
        members.append(
            Member(
                id=fields[0],
                ip=ip,
                port=int(port or 0),
                bus_port=int(bus or 0),
                flags=frozenset(fields[2].split(",")),
                master_id=None if fields[3] == "-" else fields[3],
                epoch=int(fields[6]),
                connected=fields[7] == "connected",
                slots=make_slots(numbers),
                migrating=tuple(migrating),
                importing=tuple(importing),
            )
        )
    return tuple(members)


def parse_info(text: str) -> dict[str, str]:
    """The `name:value` lines of INFO and CLUSTER INFO."""
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line and not line.startswith("#"))
    return {name: value.strip() for name, _, value in pairs}


# --------------------------------------------------------------------- what is refused
def check_request(addresses: Sequence[Address], replicas_per_master: int) -> None:
    """Refuse a list of nodes that is wrong by itself, before any server is asked."""
    if replicas_per_master < 0:
        raise InvalidRequest(f"replicas_per_master must be 0 or more, not {replicas_per_master}.")
    by_endpoint: dict[tuple[str, int], Address] = {}
    for address in addresses:
        if not 0 < address.port < 65536:
            raise InvalidRequest(f"{address}: a port is a number from 1 to 65535.")
        other = by_endpoint.setdefault((address.ip, address.port), address)
        if other is not address:
            same = (
                "is" if str(other) == str(address) else f"and {other} are the same address ({address.ip}) and"
            )
            raise InvalidRequest(f"{address} {same} listed twice. List every node once.")
    loopback = [a for a in addresses if ipaddress.ip_address(a.ip.partition("%")[0]).is_loopback]
    if loopback and len(loopback) < len(addresses):
        raise InvalidRequest(
            f"{loopback[0]} resolves to {loopback[0].ip} here, which every other host takes for itself. "
            "List it by an address that all nodes can reach, or correct /etc/hosts of this machine."
        )
    zoned = [address for address in addresses if address.zone]
    if zoned and len(zoned) < len(addresses):
        without = next(address for address in addresses if not address.zone)
        raise InvalidRequest(f"{zoned[0]} has a zone and {without} has none. Give all nodes a zone, or none.")
    needed = MINIMUM_MASTERS * (replicas_per_master + 1)
    if len(addresses) < needed:
        raise InvalidRequest(
            f"A Redis Cluster needs at least {MINIMUM_MASTERS} masters; with replicas_per_master="
            f"{replicas_per_master} that is {needed} nodes; {len(addresses)} given. "
            "List more nodes or ask for fewer replicas."
        )


def check_placement(addresses: Sequence[Address], replicas_per_master: int) -> None:
    """Refuse a list of nodes whose replicas cannot be kept apart from their masters. For use before
    servers exist.
    """
    check_request(addresses, replicas_per_master)
    nodes = [Node(address, str(address), (Member(str(address)),)) for address in addresses]
    make_plan(nodes, replicas_per_master)


def check_versions(nodes: Sequence[Node]) -> None:
    """Refuse one server listed twice, and servers that are too old."""
    by_id: dict[str, Node] = {}
    for node in nodes:
        other = by_id.setdefault(node.id, node)
        if other is not node:
            raise NodeRefused(
                f"{other} and {node} are one and the same node (id {node.id}). "
                "List every node once; if a server was cloned, remove its nodes.conf and start it again."
            )
        if node.version < MINIMUM_VERSION:
            raise NodeRefused(
                f"{node} runs version {'.'.join(map(str, node.version))}; at least 6.2 is "
                "needed. Upgrade it first."
            )


def check_nodes(nodes: Sequence[Node]) -> None:
    """Refuse servers that are not what they should be. Nothing has been changed when this is asked."""
    check_versions(nodes)
    by_id = {node.id: node for node in nodes}
    for node in nodes:
        strangers = [member for member in node.members if member.id not in by_id]
        if strangers:
            who = ", ".join(f"{m.ip or 'no address'}:{m.port} (id {m.id})" for m in strangers)
            raise NodeRefused(
                f"{node} belongs to a cluster with nodes that are not listed: {who}. List them "
                "as well, or remove them "
                f"with CLUSTER FORGET on every node if they are gone for good. {RESET_HINT}"
            )
    _check_slot_claims(nodes)
    _check_keys(nodes)


def _groups(nodes: Sequence[Node]) -> dict[str, int]:
    """The number of the cluster each node is in; nodes that know nobody are a cluster of their own."""
    group = {node.id: number for number, node in enumerate(nodes)}
    for node in nodes:
        for member in node.members:
            mine, theirs = group[node.id], group[member.id]
            if mine != theirs:
                group = {key: mine if value == theirs else value for key, value in group.items()}
    return group


def _check_slot_claims(nodes: Sequence[Node]) -> None:
    claims = sorted((bounds, index) for index, node in enumerate(nodes) for bounds in node.me.slots)
    for (first, left), (second, right) in zip(claims, claims[1:]):
        if first[1] >= second[0]:
            raise NodeRefused(
                f"{nodes[left]} and {nodes[right]} both own slot {second[0]}: they come from "
                "different clusters, or a "
                f"failover between them is under way. If it is not, keep the one with the data. {RESET_HINT}"
            )


def _check_keys(nodes: Sequence[Node]) -> None:
    """Keys are welcome only where they are served: in a cluster that covers all slots."""
    owners = {node.id for node in nodes if node.me.slots}
    group = _groups(nodes)
    whole = slots_covered(n.me for n in nodes) == SLOT_COUNT and len({group[owner] for owner in owners}) == 1
    for node in nodes:
        if not node.keys:
            continue
        if len(node.members) == 1:
            raise NodeRefused(
                f"{node} already holds {node.keys} keys and is not part of the cluster. "
                "Copy the data elsewhere if it is needed, then empty the node with FLUSHALL."
            )
        if not whole or not (node.id in owners or node.me.master_id in owners):
            raise NodeRefused(
                f"{node} holds {node.keys} keys, and its cluster does not serve them: "
                f"{slots_covered(n.me for n in nodes)} of {SLOT_COUNT} slots are covered. Repair "
                "that cluster with "
                f"redis-cli --cluster fix if the data is needed. {RESET_HINT}"
            )


# --------------------------------------------------------------------- the plan
def make_plan(nodes: Sequence[Node], replicas_per_master: int) -> Plan:
    """The steps from what is observed to a whole cluster; empty where nothing is missing.

    Whoever owns slots stays a master and who follows such a master stays its replica, so that neither a
    failover nor an interrupted run is undone. Only nodes without a job are given one.
    """
    check_nodes(nodes)
    masters = _choose_masters(nodes, replicas_per_master)
    new_slots = _share_slots(nodes, masters)
    new_masters = _choose_replicas(nodes, masters, replicas_per_master)
    steps: list[Step] = []
    everybody = {node.id for node in nodes}
    must_meet = any(set(node.view) != everybody for node in nodes)
    if must_meet:
        epoch = max(member.epoch for node in nodes for member in node.members)
        for node in nodes:
            # A server takes an epoch only as long as it has none and knows nobody.
            if node.me.epoch == 0 and len(node.members) == 1 and not node.handshakes:
                epoch += 1
                steps.append(SetEpoch(node.id, str(node), epoch))
    steps += [AddSlots(node.id, str(node), new_slots[node.id]) for node in nodes if new_slots.get(node.id)]
    if must_meet:
        steps.append(Meet(tuple(n.id for n in nodes), tuple(map(str, nodes))))
    names = {node.id: str(node) for node in nodes}
    steps += [
        Replicate(node.id, str(node), new_masters[node.id], names[new_masters[node.id]])
        for node in nodes
        if node.id in new_masters
    ]
    if steps:
        for node in nodes:
            if node.me.migrating or node.me.importing:
                raise NodeRefused(
                    f"{node} has a slot migration under way. Let it end, or end it with "
                    "redis-cli --cluster fix."
                )
    return Plan(tuple(steps))


def _choose_masters(nodes: Sequence[Node], replicas_per_master: int) -> list[Node]:
    """Owners of slots, and as many idle nodes as it takes, spread over the hosts."""
    owners = [node for node in nodes if node.me.slots]
    owner_ids = {node.id for node in owners}
    wanted = len(nodes) // (replicas_per_master + 1)
    replicas_of = Counter(node.me.master_id for node in nodes if node.me.master_id in owner_ids)
    idle = [node for node in nodes if node.id not in owner_ids and node.me.master_id is None]
    free = [node for node in nodes if node.id not in owner_ids and node.me.master_id not in owner_ids]
    if slots_covered(node.me for node in nodes) == SLOT_COUNT:
        short = any(replicas_of[node.id] < replicas_per_master for node in owners)
        if (len(owners) > wanted and short) or (len(owners) < wanted and free):
            raise ReshardingNeeded(
                f"The cluster has {len(owners)} masters; {len(nodes)} nodes with replicas_per_master="
                f"{replicas_per_master} make {wanted}. That takes moving slots, which this "
                "module does not do: use "
                f"redis-cli --cluster rebalance or reshard, or list nodes for {len(owners)} masters."
            )
        return owners
    missing = min(wanted - len(owners), len(idle))
    if len(owners) + missing < MINIMUM_MASTERS:
        raise NodeRefused(
            f"Only {len(owners) + max(missing, 0)} of the nodes can be masters, "
            f"{MINIMUM_MASTERS} are needed: too many "
            "follow a master already. Turn one of them into a master again with CLUSTER RESET HARD: "
            + ", ".join(str(node) for node in nodes if node.me.master_id)
        )
    hosts = _hosts(nodes)
    load = Counter(node.address.domain for node in owners)
    picked: Counter[str] = Counter()
    caps = _master_caps(owners, free, replicas_of, missing, replicas_per_master)
    chosen = list(owners)
    for _ in range(missing):
        candidates = [n for n in idle if picked[n.address.domain] < caps.get(n.address.domain, 0)]
        if not candidates:
            raise _placement_error(nodes, replicas_per_master)
        pick = min(candidates, key=lambda n: (load[n.address.domain], hosts.index(n.address.domain)))
        idle.remove(pick)
        chosen.append(pick)
        load[pick.address.domain] += 1
        picked[pick.address.domain] += 1
    return chosen


def _master_caps(
    owners: Sequence[Node],
    free: Sequence[Node],
    replicas_of: Counter[Any],
    missing: int,
    replicas_per_master: int,
) -> dict[str, int]:
    """How many new masters each host can take so that all masters still find replicas elsewhere.

    A host's masters can only be followed by nodes of other hosts. With m new masters on a host, and
    `missing` in all, they need `open + replicas_per_master * m` nodes, and `total - missing - (here - m)`
    are left elsewhere. Where this holds for each host alone it holds for all together (Hall's theorem: two
    hosts' masters can use every node).
    """
    total = len(free)
    caps = {}
    for host in _hosts(free):
        here = sum(node.address.domain == host for node in free)
        open_ = sum(
            max(0, replicas_per_master - replicas_of[n.id]) for n in owners if n.address.domain == host
        )
        spare = total - missing - here - open_
        if replicas_per_master == 0:
            caps[host] = here
        elif spare < 0:
            caps[host] = 0
        else:
            caps[host] = here if replicas_per_master == 1 else spare // (replicas_per_master - 1)
    return caps


def _share_slots(nodes: Sequence[Node], masters: Sequence[Node]) -> dict[str, Slots]:
    """Slots that nobody owns, in contiguous ranges to those who own the fewest."""
    owned = {node.id: slot_count(node.me.slots) for node in masters}
    taken: set[int] = set()
    for node in nodes:
        taken |= slot_numbers(node.me.slots)
    unowned = [number for number in range(SLOT_COUNT) if number not in taken]
    if not unowned:
        return {}
    level, above = 0, SLOT_COUNT + 1  # The highest level to which all can be filled up, by bisection.
    while above - level > 1:
        middle = (level + above) // 2
        if sum(max(0, middle - count) for count in owned.values()) <= len(unowned):
            level = middle
        else:
            above = middle
    rest = len(unowned) - sum(max(0, level - count) for count in owned.values())
    shares: dict[str, Slots] = {}
    for node in masters:
        share = max(0, level - owned[node.id])
        if rest and owned[node.id] <= level:
            share, rest = share + 1, rest - 1
        shares[node.id], unowned = make_slots(unowned[:share]), unowned[share:]
        if not share and not owned[node.id]:
            raise ReshardingNeeded(
                f"No slots are left for the new master {node}: the others own nearly all of "
                "them. Move slots with "
                "redis-cli --cluster rebalance, or leave the node out."
            )
    return shares


def _choose_replicas(
    nodes: Sequence[Node], masters: Sequence[Node], replicas_per_master: int
) -> dict[str, str]:
    """A master for every node that has no job, as {replica: master}. Never one on the same host."""
    hosts = _hosts(nodes)
    master_ids = {node.id for node in masters}
    followers: dict[str, list[Node]] = {node.id: [] for node in masters}
    free = []
    for node in nodes:
        if node.id in master_ids:
            continue
        if node.me.master_id in master_ids:
            followers[str(node.me.master_id)].append(node)
        else:
            free.append(node)
    open_places = [
        (place, master)
        for master in masters
        for place in range(len(followers[master.id]), replicas_per_master)
    ]
    # While one master lacks a replica, what another has beyond its share may change sides.
    movable: list[Node] = []
    if len(open_places) > len(free):
        movable = [node for master in masters for node in followers[master.id][replicas_per_master:]]

    pairs: Counter[tuple[str, str]] = (
        Counter()
    )  # How often one host backs another: if one dies, many share its load.

    def preference(replica: Node, master: Node) -> tuple[int, int, int]:
        here, there = master.address.domain, replica.address.domain
        same_host = sum(node.address.domain == there for node in followers[master.id])
        return same_host, pairs[here, there], (hosts.index(there) - hosts.index(here)) % len(hosts)

    def apart(replica: Node, master: Node) -> bool:
        return replica.address.domain != master.address.domain

    # Matching by augmenting paths: a place that finds no free node may take one whose first taker finds
    # another.
    places = [master for _, master in sorted(open_places, key=lambda entry: entry[0])]
    holder: dict[str, int] = {}

    def fill(place: int, tried: set[str]) -> bool:
        master = places[place]
        candidates = [node for node in free + movable if apart(node, master) and node.id not in tried]
        candidates.sort(key=lambda node: (node.id in holder, *preference(node, master)))
        for node in candidates:
            if node.id in tried:
                continue
            tried.add(node.id)
            if node.id not in holder or fill(holder[node.id], tried):
                if node.id in holder:
                    followers[places[holder[node.id]].id].remove(node)
                    pairs[places[holder[node.id]].address.domain, node.address.domain] -= 1
                holder[node.id] = place
                followers[master.id].append(node)
                pairs[master.address.domain, node.address.domain] += 1
                return True
        return False

    unfilled = [place for place in range(len(places)) if not fill(place, set())]
    if unfilled and any(
        node.id not in holder for node in free
    ):  # There are nodes, only not where they are needed.
        raise _placement_error(nodes, replicas_per_master)
    result = {replica: places[place].id for replica, place in holder.items()}
    for node in free:
        if node.id in result:
            continue
        elsewhere = [master for master in masters if apart(node, master)]
        if not elsewhere:
            raise _placement_error(nodes, replicas_per_master)
        master = min(elsewhere, key=lambda m: (len(followers[m.id]), preference(node, m)))
        followers[master.id].append(node)
        result[node.id] = master.id
    return result


def _hosts(nodes: Iterable[Node]) -> list[str]:
    """Hosts in the order of their first mention. Two names of one address are one host."""
    return list(dict.fromkeys(node.address.domain for node in nodes))


def _placement_error(nodes: Sequence[Node], replicas_per_master: int) -> PlacementImpossible:
    count = Counter(node.address.domain for node in nodes)
    names = {node.address.domain: node.address.zone or node.address.host for node in reversed(nodes)}
    where = ", ".join(f"{names[ip]} ({count[ip]})" for ip in _hosts(nodes))
    return PlacementImpossible(
        f"With replicas_per_master={replicas_per_master} a master and its replica would share a "
        "host, and the shard "
        f"would die with it. Nodes per host: {where}. Spread the nodes evenly over more hosts "
        "(three hosts with the "
        "same number of nodes each always work for one replica), or set replicas_per_master to 0."
    )


# --------------------------------------------------------------------- what is missing
@dataclass(frozen=True)
class Disagreement:
    """`observer` is not up to date about `subject`."""

    subject: str
    observer: str
    text: str
    outdated: bool  # News about the subject would help, as opposed to waiting for a connection.


def disagreements(nodes: Sequence[Node]) -> list[Disagreement]:
    found = []
    for observer in nodes:
        view = observer.view
        for subject in nodes:
            member = view.get(subject.id)
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


def problems(nodes: Sequence[Node]) -> list[str]:
    """What keeps the cluster from being whole, in words; empty when it is."""
    found = [entry.text for entry in disagreements(nodes)]
    covered = slots_covered(node.me for node in nodes)
    if covered != SLOT_COUNT:
        found.append(f"{covered} of {SLOT_COUNT} slots are covered")
    found += [f"{node} reports the cluster state as not ok" for node in nodes if not node.cluster_ok]
    found += [
        f"{node} is not in step with its master (its log says why; often masterauth or masteruser is missing)"
        for node in nodes
        if node.me.master_id and not node.link_up
    ]
    return found


# --------------------------------------------------------------------- prediction
def after(nodes: Sequence[Node], step: Step) -> tuple[Node, ...]:
    """The nodes as they will be once `step` is done and gossip has settled."""
    claims = {node.id: node.me for node in nodes}
    known = {node.id: set(node.view) for node in nodes}
    if isinstance(step, SetEpoch):
        claims[step.node] = replace(claims[step.node], epoch=step.epoch)
    elif isinstance(step, AddSlots):
        numbers = slot_numbers(claims[step.node].slots) | slot_numbers(step.slots)
        claims[step.node] = replace(claims[step.node], slots=make_slots(numbers))
    elif isinstance(step, Meet):
        known = {node.id: set(step.nodes) for node in nodes}
    else:
        claims[step.node] = replace(claims[step.node], master_id=step.master)
    return tuple(
        replace(node, members=tuple(claims[other.id] for other in nodes if other.id in known[node.id]))
        for node in nodes
    )


def predict(nodes: Sequence[Node], plan: Plan) -> tuple[Node, ...]:
    result = tuple(nodes)
    for step in plan.steps:
        result = after(result, step)
    return result


# --------------------------------------------------------------------- reporting
def topology(nodes: Sequence[Node]) -> list[dict[str, Any]]:
    """What each listed node is, in the order of the list, under the name the user gave it."""
    return [describe(node.me, node.address.host, node.address.port) for node in nodes]


def describe(member: Member, host: str, port: int) -> dict[str, Any]:
    return {
        "id": member.id,
        "host": host,
        "port": port,
        "role": "replica" if member.master_id else "master",
        "master_id": member.master_id,
        "slots": [list(bounds) for bounds in member.slots],
    }


def topology_text(nodes: Sequence[Node]) -> str:
    """For --diff: a line for each node."""
    names = {node.id: str(node) for node in nodes}
    lines = []
    for node in nodes:
        me = node.me
        if me.master_id:
            lines.append(f"{node} replica of {names.get(me.master_id, me.master_id)}")
        elif me.slots:
            lines.append(f"{node} master of {slots_text(me.slots)}")
        else:
            lines.append(f"{node} without slots" + ("" if len(node.members) > 1 else ", on its own"))
    return "\n".join(lines) + "\n"
