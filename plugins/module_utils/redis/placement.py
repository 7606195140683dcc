# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes are masters, and which replicate which, so that no host or zone holds too much. Pure."""

from __future__ import annotations

from collections import Counter
from typing import Any, Callable, Hashable, Iterable, Mapping, Sequence, TypeVar

from ansible_collections.airflowops.cluster.plugins.module_utils.redis.model import (
    MINIMUM_MASTERS,
    PlacementImpossible,
    Request,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.steps import (
    Draft,
    DraftNode,
    Failover,
    Replicate,
    Reset,
)

Item = TypeVar("Item", bound=Hashable)
Option = TypeVar("Option", bound=Hashable)


def assign(
    item: Item,
    list_options: Callable[[Item], Iterable[Option]],
    capacity: Mapping[Option, int],
    assigned: dict[Item, Option],
    tried: set[Option] | None = None,
) -> bool:
    """Give an item the first of its options that has room; if none has, make room by giving another item
    another of its own (augmenting paths). Returns False, with nothing changed, where that is impossible.
    """
    tried = set() if tried is None else tried
    options = [option for option in list_options(item) if option not in tried]
    load = Counter(assigned.values())
    for option in options:
        if load[option] < capacity.get(option, 0):
            assigned[item] = option
            return True
    for option in options:
        if option in tried:
            continue
        tried.add(option)
        for other in [other for other, taken in assigned.items() if taken == option]:
            del assigned[other]
            if assign(other, list_options, capacity, assigned, tried):
                assigned[item] = option
                return True
            assigned[other] = option
    return False


# --------------------------------------------------------------------- masters
def choose_masters(draft: Draft, request: Request) -> list[DraftNode]:
    """Owners of slots stay, unless there are too many of them or they are to go. Plans what makes the others
    masters: failovers, and resets of replicas.
    """
    wanted = max(MINIMUM_MASTERS, len(draft.listed) // (request.replicas_per_master + 1))
    limits = _limit_masters(draft.listed, wanted, request.replicas_per_master)
    shards = [node for node in draft.nodes.values() if node.slots and (node.listed or request.prune)]
    # Before anything else: a replica that is adopted cannot lead the shard that it comes from.
    adopted: dict[str, list[DraftNode]] = {}
    for shard in shards:
        if shard.slots & request.pinned and not _list_leaders(draft, shard, request):
            adopted[shard.id] = _adopt_replica(draft, shard, [n for nodes in adopted.values() for n in nodes])
    leaders = {shard.id: adopted.get(shard.id) or _list_leaders(draft, shard, request) for shard in shards}
    able = [shard for shard in shards if leaders[shard.id]]
    able.sort(
        key=lambda node: (not node.slots & request.pinned, not node.listed, -len(node.slots), node.order)
    )
    masters = []
    for shard, leader in _spread_leaders(able[:wanted], leaders, limits):
        if leader is not shard:
            draft.add_step(Failover(leader.id, leader.name, shard.id, shard.name))
        masters.append(leader)
    masters += _choose_new_masters(draft, masters, wanted - len(masters), limits)
    return sorted(masters, key=lambda node: node.order)


def _limit_masters(nodes: Sequence[DraftNode], wanted: int, replicas: int) -> dict[str, int]:
    """How many masters each domain may hold, so that they are spread and all find replicas elsewhere.

    A domain's masters are replicated by nodes of other domains only: m of them need `replicas * m` nodes, and
    `len(nodes) - wanted - (here - m)` are left elsewhere. Where this holds for each domain alone it holds for
    all together (Hall's theorem: the masters of two domains can use every node).
    """
    sizes = Counter(node.domain for node in nodes)
    caps = dict(sizes)
    for domain, here in sizes.items():
        elsewhere = len(nodes) - wanted - here
        if replicas and elsewhere < 0:
            caps[domain] = 0
        elif replicas > 1:
            caps[domain] = min(here, elsewhere // (replicas - 1))
    if sum(caps.values()) < wanted:  # It cannot be had: choose_replicas refuses where it matters.
        caps = dict(sizes)
    share = next(n for n in range(1, wanted + 1) if sum(min(n, cap) for cap in caps.values()) >= wanted)
    return {domain: min(share, cap) for domain, cap in caps.items()}


def _list_leaders(draft: Draft, shard: DraftNode, request: Request) -> list[DraftNode]:
    """The nodes that can lead a shard: its master, and listed replicas that have all its data."""
    replicas = [node for node in draft.list_followers(shard.id) if node.listed and node.node.link_up]
    if not shard.listed:
        return replicas
    return [shard, *replicas] if request.failover else [shard]


def _adopt_replica(draft: Draft, shard: DraftNode, taken: Sequence[DraftNode]) -> list[DraftNode]:
    """A listed replica for a pinned shard that would else have to be moved, slot by slot."""
    able = [node for node in draft.listed if not node.slots and node.master and node not in taken]
    if not able:
        return []
    replica = max(able, key=lambda node: (len(draft.list_followers(node.master or "")), -node.order))
    draft.add_step(Replicate(replica.id, replica.name, shard.id, shard.name))
    return [replica]


def _spread_leaders(
    shards: Sequence[DraftNode], leaders: Mapping[str, Sequence[DraftNode]], limits: Mapping[str, int]
) -> list[tuple[DraftNode, DraftNode]]:
    """Each shard with its leader, in every domain no more than its limit where that can be had."""
    domains: dict[str, str] = {}

    def list_domains(shard: str) -> list[str]:
        return list(dict.fromkeys(leader.domain for leader in leaders[shard]))

    # Shards that need no failover go first, so that it stays so.
    load: Counter[str] = Counter()
    for shard in shards:
        if leaders[shard.id][0] is shard and load[shard.domain] < limits[shard.domain]:
            domains[shard.id] = shard.domain
            load[shard.domain] += 1
    for shard in shards:
        if shard.id not in domains and not assign(shard.id, list_domains, limits, domains):
            domains[shard.id] = leaders[shard.id][0].domain
    return [
        (shard, next(leader for leader in leaders[shard.id] if leader.domain == domains[shard.id]))
        for shard in shards
    ]


def _choose_new_masters(
    draft: Draft, masters: Sequence[DraftNode], number: int, limits: Mapping[str, int]
) -> list[DraftNode]:
    """Idle nodes first; then replicas, of shards that have others or are to end."""
    chosen: list[DraftNode] = []
    load = Counter(node.domain for node in masters)
    candidates = [node for node in draft.listed if node not in masters and not node.slots]

    def rank(node: DraftNode) -> tuple[Any, ...]:
        master = draft.nodes.get(node.master or "")
        siblings = len(draft.list_followers(node.master)) if node.master else 0
        full = load[node.domain] >= limits[node.domain]
        return full, bool(master and master.slots), -siblings, load[node.domain], node.order

    for _ in range(min(number, len(candidates))):
        pick = min(candidates, key=rank)
        candidates.remove(pick)
        chosen.append(pick)
        load[pick.domain] += 1
        if pick.master is not None:
            draft.add_step(Reset(pick.id, pick.name, leaves=False))
    return chosen


# --------------------------------------------------------------------- replicas
def choose_replicas(draft: Draft, masters: Sequence[DraftNode], request: Request) -> None:
    """Plan as many replicas as asked for of each master, in other domains. A node that replicates one already
    goes on, if it can; what is left over replicates the master with the fewest.

    Raises PlacementImpossible where that cannot be had.
    """
    nodes = {node.id: node for node in draft.listed if node not in masters}
    domains = list(dict.fromkeys(node.domain for node in draft.listed))
    places = [(master, number) for number in range(request.replicas_per_master) for master in masters]
    assigned: dict[int, str] = {}  # {place: replica}
    for place, (master, number) in enumerate(places):
        present = [n.id for n in nodes.values() if n.master == master.id and n.domain != master.domain]
        if number < len(present):
            assigned[place] = present[number]

    def list_options(place: int) -> list[str]:
        """Idle nodes before replicas of another master."""
        master, chosen = places[place][0], {replica: places[other][0] for other, replica in assigned.items()}
        rank = _rank_replicas(nodes, chosen, master, domains)
        able = [node for node in nodes.values() if node.domain != master.domain]
        able.sort(key=lambda node: (any(node.master == other.id for other in masters), *rank(node)))
        return [node.id for node in able]

    unfilled = [
        place
        for place in range(len(places))
        if place not in assigned and not assign(place, list_options, dict.fromkeys(nodes, 1), assigned)
    ]
    if unfilled and len(assigned) < len(nodes):  # There are nodes, only not where they are needed.
        raise _placement_error(draft.listed, request.replicas_per_master)
    chosen = {replica: places[place][0] for place, replica in assigned.items()}
    for node in nodes.values():
        if node.id in chosen:
            continue
        elsewhere = [master for master in masters if master.domain != node.domain]
        if not elsewhere:
            raise _placement_error(draft.listed, request.replicas_per_master)
        count = Counter(master.id for master in chosen.values())
        ranks = {m.id: _rank_replicas(nodes, chosen, m, domains)(node) for m in elsewhere}
        chosen[node.id] = min(
            elsewhere, key=lambda m: (m.id != node.master, count[m.id], ranks[m.id], m.order)
        )
    for node in nodes.values():
        master = chosen[node.id]
        if node.master != master.id:
            draft.add_step(Replicate(node.id, node.name, master.id, master.name))


def _rank_replicas(
    nodes: Mapping[str, DraftNode],
    chosen: Mapping[str, DraftNode],
    master: DraftNode,
    domains: Sequence[str],
) -> Callable[[DraftNode], tuple[int, ...]]:
    """The key by which to sort the nodes that may replicate a master, so that its replicas are spread, and
    those of all masters of its host, whose load they may get. chosen: {replica: master} so far.
    """
    of_master = Counter(nodes[replica].domain for replica, other in chosen.items() if other is master)
    of_host = Counter(nodes[replica].domain for replica, m in chosen.items() if m.domain == master.domain)
    start = domains.index(master.domain)

    def rank(node: DraftNode) -> tuple[int, ...]:
        distance = (domains.index(node.domain) - start) % len(domains)
        return of_master[node.domain], of_host[node.domain], distance, node.order

    return rank


def _placement_error(nodes: Sequence[DraftNode], replicas_per_master: int) -> PlacementImpossible:
    count = Counter(node.domain for node in nodes)
    names = {node.domain: node.node.address.zone or node.node.address.host for node in reversed(nodes)}
    where = ", ".join(f"{names[domain]} ({number})" for domain, number in count.items())
    return PlacementImpossible(
        f"With replicas_per_master={replicas_per_master} a master and its replica would share a host, and "
        f"the shard would die with it. Nodes per host: {where}. Spread the nodes evenly over more hosts "
        "(three hosts with the same number of nodes each always work for one replica), or set "
        "replicas_per_master to 0."
    )
