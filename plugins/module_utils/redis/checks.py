# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused before anything is changed. Pure; every function raises a RedisClusterError or returns."""

from __future__ import annotations

import ipaddress
from typing import Sequence

from ansible_collections.airflowops.cluster.plugins.module_utils.redis.model import (
    MINIMUM_MASTERS,
    MINIMUM_VERSION,
    SLOT_COUNT,
    Address,
    InvalidRequest,
    Node,
    NodeRefused,
    Request,
    State,
    collect_slots,
    count_slots,
)

RESET_HINT = (
    "If nothing on it is needed, empty it with FLUSHALL and make it forget the others with CLUSTER RESET "
    "HARD."
)


def check_addresses(addresses: Sequence[Address], replicas_per_master: int) -> None:
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


def check_state(state: State, request: Request) -> None:
    """Refuse nodes that must not be brought together."""
    _check_versions(state.nodes)
    _check_keys(state, request)
    clusters = _find_clusters(state)
    if clusters:
        main = max(clusters, key=lambda group: (sum(count_slots(n.me.slots) for n in group), len(group)))
        _check_other_clusters(state, clusters, main)
        _check_unlisted(state, main)
    _check_empty_cluster(state)


def _check_versions(nodes: Sequence[Node]) -> None:
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
            version = ".".join(map(str, node.version))
            raise NodeRefused(f"{node} runs version {version}; at least 6.2 is needed. Upgrade it first.")


def _check_keys(state: State, request: Request) -> None:
    """Refuse keys that no cluster serves."""
    covered = collect_slots(node.me for node in state.alive)
    claimed = covered
    if len(covered) < SLOT_COUNT:
        claimed = covered | collect_slots(member for node in state.alive for member in node.members)
    targets = {target for node in state.alive for _, target in node.me.migrating}
    for node in state.nodes:
        if not node.keys:
            continue
        if node.alone and count_slots(node.me.slots) < SLOT_COUNT:
            raise NodeRefused(
                f"{node} already holds {node.keys} keys and is not part of the cluster. "
                "Copy the data elsewhere if it is needed, then empty the node with FLUSHALL."
            )
        idle = not node.me.slots and node.me.master_id is None
        moving = node.me.importing or node.id in targets
        if (idle and not moving) or (len(claimed) < SLOT_COUNT and not request.allow_data_loss):
            raise NodeRefused(
                f"{node} holds {node.keys} keys, and its cluster does not serve them: {len(covered)} of "
                f"{SLOT_COUNT} slots are covered. Repair that cluster with redis-cli --cluster fix if the "
                f"data is needed. {RESET_HINT}"
            )


def _find_clusters(state: State) -> list[list[Node]]:
    """The nodes that know one another; one that knows nobody and owns nothing is in none."""
    group = {node.id: number for number, node in enumerate(state.alive)}
    for node in state.alive:
        for member in node.members:
            if member.id in group and group[member.id] != group[node.id]:
                old, new = group[member.id], group[node.id]
                group = {key: new if value == old else value for key, value in group.items()}
    by_number: dict[int, list[Node]] = {}
    for node in state.alive:
        by_number.setdefault(group[node.id], []).append(node)
    return [nodes for nodes in by_number.values() if len(nodes) > 1 or nodes[0].me.slots]


def _check_other_clusters(state: State, clusters: Sequence[list[Node]], main: list[Node]) -> None:
    """Refuse listed nodes of a second cluster, unless all are pieces of one whose creation was cut short."""
    in_use = state.others or state.gone or any(node.keys for group in clusters for node in group)
    for group in clusters:
        foreign = next((node for node in group if node in state.nodes), None)
        if foreign and in_use and group is not main:
            fellows = ", ".join(str(node) for node in group if node is not foreign) or "nobody else"
            raise NodeRefused(
                f"{foreign} belongs to a cluster of its own, with {fellows}. Do not list it, or empty it "
                "with FLUSHALL and make it forget the others with CLUSTER RESET HARD."
            )
    if len(clusters) == 1:
        return
    claims = sorted((bounds, index) for index, node in enumerate(state.nodes) for bounds in node.me.slots)
    for (first, left), (second, right) in zip(claims, claims[1:]):
        if first[1] >= second[0]:
            raise NodeRefused(
                f"{state.nodes[left]} and {state.nodes[right]} both own slot {second[0]}: they come from "
                f"different clusters. {RESET_HINT}"
            )


def _check_unlisted(state: State, main: Sequence[Node]) -> None:
    """Refuse a cluster of which more than half is not listed: its nodes would be removed or forgotten."""
    members = [node for node in main if node in state.nodes]
    strangers = ", ".join(str(node) for node in main if node not in state.nodes)
    if strangers and members and 2 * len(members) < len(main):
        raise NodeRefused(
            f"{members[0]} belongs to a cluster with nodes that are not listed: {strangers}. Most of that "
            "cluster is not listed: list its nodes as well, or if they are to go, take them out in steps of "
            "less than half of it. If this node is not meant, make it forget the others with CLUSTER RESET "
            "HARD."
        )


def _check_empty_cluster(state: State) -> None:
    """Refuse members of a cluster without slots that has members which are not listed."""
    if any(member.slots for node in state.alive for member in node.members):
        return
    known = {node.id for node in state.nodes}
    endpoints = {(node.address.ip, node.address.port) for node in state.nodes}
    for node in state.nodes:
        strangers = ", ".join(
            str(member)
            for member in node.members
            if member.id not in known and member.port and (member.ip, member.port) not in endpoints
        )
        if strangers:
            raise NodeRefused(
                f"{node} belongs to a cluster with nodes that are not listed: {strangers}. List them as "
                f"well, or remove them with CLUSTER FORGET on every node. {RESET_HINT}"
            )
