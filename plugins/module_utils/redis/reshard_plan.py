# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running Redis Cluster needs to become the one that is asked for: grow, shrink, mend.

Pure, like `redis_cluster`, which forms clusters and whose model this uses. A plan is worked out from what is
observed alone: a run that was killed between two steps is finished by the next one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, Iterable, Sequence, Union

from ansible_collections.airflowops.cluster.plugins.module_utils.redis.cluster import (
    MINIMUM_MASTERS,
    SLOT_COUNT,
    Address,
    AddSlots,
    Meet,
    Member,
    Node,
    NodeRefused,
    NotConverged,
    PlacementImpossible,
    Plan,
    RedisClusterError,
    Replicate,
    SetEpoch,
    Slots,
    check_versions,
    make_slots,
    slot_count,
    slot_numbers,
    slots_text,
)


class DataLossRefused(RedisClusterError):
    """Going on would give up keys."""


# --------------------------------------------------------------------- what is asked and observed
@dataclass(frozen=True)
class Request:
    """replicas_per_master: of the listed nodes.
    prune: empty and remove nodes that are not listed.
    failover: hand masters over to replicas so that no host has more masters than its share.
    allow_data_loss: give up slots whose nodes are gone for good.
    pinned: slots that stay with their master as long as it, or a replica of it, is listed.
    """

    replicas_per_master: int = 1
    prune: bool = False
    failover: bool = True
    allow_data_loss: bool = False
    pinned: frozenset[int] = frozenset()


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
        """Members that are not listed, in words."""
        return [str(node) for node in self.others] + [
            f"{member.ip or 'no address'}:{member.port} (does not answer)" for member in self.gone
        ]


# --------------------------------------------------------------------- steps
@dataclass(frozen=True)
class Settle:
    """Tell every node who owns slots, which ends what was left open of their migration."""

    node: str
    name: str
    slots: Slots

    def as_dict(self) -> dict[str, Any]:
        text = f"Settle that {self.name} owns {_count(self.slots)}"
        return {"action": "settle", "node": self.name, "slots": _ranges(self.slots), "description": text}


@dataclass(frozen=True)
class MoveSlots:
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
            "slots": _ranges(self.slots),
            "description": f"{verb} {_count(self.slots)} from {self.source_name} to {self.name}",
        }


@dataclass(frozen=True)
class Failover:
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


@dataclass(frozen=True)
class Reset:
    """Make a node forget the cluster and its copy of the data. `leaves`: for good."""

    node: str
    name: str
    leaves: bool

    def as_dict(self) -> dict[str, Any]:
        text = f"Take {self.name} out of the cluster" if self.leaves else f"Make {self.name} an empty master"
        return {"action": "reset", "node": self.name, "description": text}


@dataclass(frozen=True)
class Forget:
    """Make every node forget members that left or are gone."""

    ids: tuple[str, ...]
    names: tuple[str, ...]
    lost: int = 0  # Slots whose keys are given up.

    def as_dict(self) -> dict[str, Any]:
        text = f"Make every node forget {', '.join(self.names)}"
        if self.lost:
            text += f" and give up the keys of {self.lost} slots"
        return {"action": "forget", "nodes": list(self.names), "lost_slots": self.lost, "description": text}


LifeStep = Union[Settle, MoveSlots, Failover, Reset, Forget, SetEpoch, AddSlots, Meet, Replicate]


def _count(slots: Slots) -> str:
    number = slot_count(slots)
    return f"{number} slot{'s' if number > 1 else ''} ({slots_text(slots)})"


def _ranges(slots: Slots) -> list[list[int]]:
    return [list(bounds) for bounds in slots]


# --------------------------------------------------------------------- the cluster as the plan changes it
@dataclass
class _Part:
    """A node that answers, as it will be after the steps planned so far."""

    node: Node
    listed: bool
    order: int
    master: str | None
    slots: set[int] = field(default_factory=set)
    fresh: bool = False

    @property
    def id(self) -> str:
        return self.node.id

    @property
    def name(self) -> str:
        return str(self.node)

    @property
    def domain(self) -> str:
        return self.node.address.domain


class _Planner:
    def __init__(self, state: State, request: Request) -> None:
        self.state = state
        self.request = request
        self.steps: list[LifeStep] = []
        self.forget: dict[str, str] = {}
        listed = {node.id for node in state.nodes}
        self.parts = {
            node.id: _Part(node, node.id in listed, order, node.me.master_id, fresh=len(node.members) == 1)
            for order, node in enumerate(state.alive)
        }
        self.gone = {member.id: member for member in state.gone}
        self.owner: dict[int, str] = {}
        # Where two claim a slot, the later epoch is right: the other has not heard of it yet.
        for node in sorted(state.alive, key=lambda node: node.me.epoch):
            for slot in slot_numbers(node.me.slots):
                self.owner[slot] = node.id
        for slot, owner in self.owner.items():
            self.parts[owner].slots.add(slot)

    # ------------------------------------------------------------- small helps
    @property
    def listed(self) -> list[_Part]:
        return [part for part in self.parts.values() if part.listed]

    def followers(self, master: str) -> list[_Part]:
        return [part for part in self.parts.values() if part.master == master]

    def plan(self) -> Plan:
        self.settle()
        self.take_over_from_gone()
        unassigned = self.give_up_lost_slots()
        masters = self.choose_masters()
        self.introduce(unassigned, masters)
        self.balance(masters)
        self.choose_replicas(masters)
        self.remove_unlisted()
        return Plan(tuple(self.steps))

    # ------------------------------------------------------------- unfinished migrations
    def settle(self) -> None:
        """Go on with a migration that both sides know of; else bring its keys back to the owner."""
        forward: dict[tuple[str, str], set[int]] = {}
        back: dict[tuple[str, str], set[int]] = {}
        settled: dict[str, set[int]] = {}
        for node in self.state.alive:
            for slot, target in node.me.migrating:
                if self.owner.get(slot) == node.id and target in self.parts:
                    forward.setdefault((node.id, target), set()).add(slot)
                elif slot in self.owner:
                    settled.setdefault(self.owner[slot], set()).add(slot)
            # It heard of the end of its ownership from nobody yet.
            for slot in slot_numbers(node.me.slots):
                if self.owner[slot] != node.id:
                    settled.setdefault(self.owner[slot], set()).add(slot)
        for node in self.state.alive:
            for slot, _ in node.me.importing:
                owner = self.owner.get(slot)
                if owner is None or slot in forward.get((owner, node.id), ()):
                    continue
                if owner != node.id:
                    back.setdefault((node.id, owner), set()).add(slot)
                settled.setdefault(owner, set()).add(slot)
        for (source, target), slots in back.items():
            self.move(source, target, slots, back=True)
        for (source, target), slots in forward.items():
            self.move(source, target, slots)
        for owner, slots in settled.items():
            slots &= self.parts[owner].slots
            if slots:
                self.steps.append(Settle(owner, self.parts[owner].name, make_slots(slots)))

    def move(self, source: str, target: str, slots: Iterable[int], back: bool = False) -> None:
        slots = set(slots)
        one, other = self.parts[source], self.parts[target]
        self.steps.append(MoveSlots(source, one.name, target, other.name, make_slots(slots), back))
        if not back:
            one.slots -= slots
            other.slots |= slots
            self.owner.update(dict.fromkeys(slots, target))

    # ------------------------------------------------------------- members that are gone
    def take_over_from_gone(self) -> None:
        """A replica that could not be elected, as too many masters died with its own, has the data."""
        for member in self.state.gone:
            held = self.believed_slots(member.id)
            heirs = [part for part in self.followers(member.id) if part.node.me.slots == ()]
            if not held or not heirs:
                continue
            heir = min(heirs, key=lambda part: (not part.listed, part.order))
            self.steps.append(Failover(heir.id, heir.name, member.id, _member_name(member), takeover=True))
            for part in self.followers(member.id):
                part.master = heir.id
            heir.master = None
            heir.slots |= held
            self.owner.update(dict.fromkeys(held, heir.id))

    def believed_slots(self, member: str) -> set[int]:
        """Slots without owner that others hold for a member's."""
        held: set[int] = set()
        for node in self.state.alive:
            if member in node.view and node.id != member:
                held |= slot_numbers(node.view[member].slots)
        return {slot for slot in held if slot not in self.owner}

    def give_up_lost_slots(self) -> dict[str | None, set[int]]:
        """Slots to assign, by the node that is to have them; None where it does not matter."""
        unassigned: dict[str | None, set[int]] = {}
        lost: dict[str, set[int]] = {}
        rest = {slot for slot in range(SLOT_COUNT) if slot not in self.owner}
        for part in self.parts.values():
            # It was reset. Redis refuses that to a master with keys: nothing is lost.
            held = self.believed_slots(part.id) & rest
            if held and part.listed:
                unassigned[part.id] = held
                rest -= held
        for member in self.state.gone:
            held = self.believed_slots(member.id) & rest
            if held:
                lost[member.id] = held
                rest -= held
        for member_id, held in lost.items():
            name = _member_name(self.gone[member_id])
            if not self.request.allow_data_loss:
                raise DataLossRefused(
                    f"{name} does not answer, and no replica has its {_count(make_slots(held))}. Bring it "
                    "back with its data. If that is lost for good, allow_data_loss: true makes the other "
                    "masters serve these slots, empty. Nothing was changed."
                )
        if lost:
            names = tuple(_member_name(self.gone[member]) for member in lost)
            self.steps.append(Forget(tuple(lost), names, sum(map(len, lost.values()))))
            rest |= set().union(*lost.values())
            for member_id in lost:
                del self.gone[member_id]
        if rest:
            unassigned[None] = rest
        for member in self.gone.values():
            replaced = member.port == 0 or any(
                (part.node.address.ip, part.node.address.port) == (member.ip, member.port)
                for part in self.parts.values()
            )
            if replaced or self.request.prune:
                self.forget[member.id] = _member_name(member)
        return unassigned

    # ------------------------------------------------------------- who is master
    def choose_masters(self) -> list[_Part]:
        """Owners stay, unless there are too many of them or they are to go."""
        listed = self.listed
        wanted = max(MINIMUM_MASTERS, len(listed) // (self.request.replicas_per_master + 1))
        shards = [part for part in self.parts.values() if part.slots and (part.listed or self.request.prune)]
        # Before anything else: who is adopted is no choice for the shard that it comes from.
        adopted: dict[str, list[_Part]] = {}
        for shard in shards:
            if shard.slots & self.request.pinned and not self.leaders_of(shard):
                adopted[shard.id] = self.adopt(shard, [heir for heirs in adopted.values() for heir in heirs])
        choices = {shard.id: adopted.get(shard.id) or self.leaders_of(shard) for shard in shards}
        able = [shard for shard in shards if choices[shard.id]]
        able.sort(
            key=lambda part: (
                not part.slots & self.request.pinned,
                not part.listed,
                -len(part.slots),
                part.order,
            )
        )
        kept = able[:wanted]
        share = self.master_limits(wanted)
        leaders = self.spread(kept, choices, share)
        for shard in kept:
            if leaders[shard.id] is not shard:
                self.fail_over(shard, leaders[shard.id])
        masters = list(leaders.values())
        masters += self.new_masters(masters, wanted - len(masters), share)
        return sorted(masters, key=lambda part: part.order)

    def master_limits(self, wanted: int) -> dict[str, int]:
        """How many masters each domain may hold, so that they are spread and all find replicas elsewhere.

        The second is `_master_caps` of `redis_cluster` with nobody's role given.
        """
        nodes = Counter(part.domain for part in self.listed)
        replicas = self.request.replicas_per_master
        caps = dict(nodes)
        for domain, here in nodes.items():
            spare = len(self.listed) - wanted - here
            if replicas and spare < 0:
                caps[domain] = 0
            elif replicas > 1:
                caps[domain] = min(here, spare // (replicas - 1))
        if sum(caps.values()) < wanted:  # Nothing helps: choose_replicas says so if it matters.
            caps = dict(nodes)
        share = next(n for n in range(1, wanted + 1) if sum(min(n, cap) for cap in caps.values()) >= wanted)
        return {domain: min(share, cap) for domain, cap in caps.items()}

    def adopt(self, shard: _Part, taken: Sequence[_Part]) -> list[_Part]:
        """A listed replica for a pinned shard that would else have to be moved, slot by slot; none twice."""
        able = [
            part for part in self.listed if not part.slots and part.master is not None and part not in taken
        ]
        if not able:
            return []
        heir = max(able, key=lambda part: (len(self.followers(part.master or "")), -part.order))
        self.steps.append(Replicate(heir.id, heir.name, shard.id, shard.name))
        heir.master = shard.id
        return [heir]

    def leaders_of(self, shard: _Part) -> list[_Part]:
        """Who may lead a shard: its master, or a listed replica that has all its data."""
        heirs = [part for part in self.followers(shard.id) if part.listed and part.node.link_up]
        if not shard.listed:
            return heirs
        return [shard, *heirs] if self.request.failover else [shard]

    def spread(
        self, kept: Sequence[_Part], choices: dict[str, list[_Part]], share: dict[str, int]
    ) -> dict[str, _Part]:
        """{shard: leader}, at most `share` leaders in a domain where that can be had (augmenting paths)."""
        leaders: dict[str, _Part] = {}

        def load(domain: str) -> int:
            return sum(leader.domain == domain for leader in leaders.values())

        def place(shard: _Part, tried: set[str]) -> bool:
            options = [leader for leader in choices[shard.id] if leader.domain not in tried]
            for leader in options:
                if load(leader.domain) < share[leader.domain]:
                    leaders[shard.id] = leader
                    return True
            # Room is made by moving another, which costs a failover more.
            for leader in options:
                if leader.domain in tried:
                    continue
                tried.add(leader.domain)
                inside = [p for p in kept if p.id in leaders and leaders[p.id].domain == leader.domain]
                for other in inside:
                    before = leaders.pop(other.id)
                    if place(other, tried):
                        leaders[shard.id] = leader
                        return True
                    leaders[other.id] = before
            return False

        # Who leads now, and is among the listed, goes first: the fewer failovers.
        later = []
        for shard in kept:
            if choices[shard.id][0] is shard and load(shard.domain) < share[shard.domain]:
                leaders[shard.id] = shard
            else:
                later.append(shard)
        for shard in later:
            if not place(shard, set()):
                leaders[shard.id] = choices[shard.id][0]
        return {shard.id: leaders[shard.id] for shard in kept}

    def fail_over(self, master: _Part, heir: _Part) -> None:
        self.steps.append(Failover(heir.id, heir.name, master.id, master.name))
        for part in self.followers(master.id):
            part.master = heir.id
        heir.master, master.master = None, heir.id
        heir.slots, master.slots = master.slots, set()
        self.owner.update(dict.fromkeys(heir.slots, heir.id))

    def new_masters(self, masters: Sequence[_Part], number: int, share: dict[str, int]) -> list[_Part]:
        """Idle nodes first; then replicas, of shards that have others or are to end."""
        chosen: list[_Part] = []
        load = Counter(part.domain for part in masters)
        candidates = [part for part in self.listed if part not in masters and not part.slots]
        for _ in range(number):
            if not candidates:
                break

            def cost(part: _Part) -> tuple[Any, ...]:
                master = self.parts.get(part.master or "")
                following = master is not None and bool(master.slots)
                siblings = len([p for p in self.followers(part.master or "") if p not in chosen])
                return (
                    load[part.domain] >= share[part.domain],
                    following,
                    -siblings,
                    load[part.domain],
                    part.order,
                )

            pick = min(candidates, key=cost)
            candidates.remove(pick)
            chosen.append(pick)
            load[pick.domain] += 1
            if pick.master is not None:
                self.steps.append(Reset(pick.id, pick.name, leaves=False))
                pick.master, pick.fresh = None, True
        return chosen

    # ------------------------------------------------------------- new members
    def introduce(self, unassigned: dict[str | None, set[int]], masters: Sequence[_Part]) -> None:
        everybody = self.listed
        known = {part.id for part in everybody}
        must_meet = any(part.fresh or not known <= set(part.node.view) for part in everybody)
        if must_meet:
            epoch = max(member.epoch for node in self.state.alive for member in node.members)
            for part in everybody:
                if part.fresh and part.node.me.epoch == 0 and not part.node.handshakes:
                    epoch += 1
                    self.steps.append(SetEpoch(part.id, part.name, epoch))
        to_add: dict[str, set[int]] = {}
        for owner, owned in unassigned.items():
            if owner is not None:
                to_add.setdefault(owner, set()).update(owned)
                self.parts[owner].slots |= owned
        free = sorted(unassigned.get(None, ()))
        for part, slots in self.shares(free, masters):
            to_add.setdefault(part.id, set()).update(slots)
            part.slots |= set(slots)
        for owner, owned in to_add.items():
            self.owner.update(dict.fromkeys(owned, owner))
            self.steps.append(AddSlots(owner, self.parts[owner].name, make_slots(owned)))
        if must_meet:
            self.steps.append(Meet(tuple(p.id for p in everybody), tuple(p.name for p in everybody)))

    @staticmethod
    def shares(free: Sequence[int], masters: Sequence[_Part]) -> list[tuple[_Part, list[int]]]:
        """Slots that nobody owns, to those who own the fewest."""
        counts = {part.id: len(part.slots) for part in masters}
        given: dict[str, list[int]] = {part.id: [] for part in masters}
        for slot in free:
            fewest = min(masters, key=lambda part: (counts[part.id], part.order))
            given[fewest.id].append(slot)
            counts[fewest.id] += 1
        return [(part, given[part.id]) for part in masters if given[part.id]]

    # ------------------------------------------------------------- slots
    def balance(self, masters: Sequence[_Part]) -> None:
        """Every master's share to within one slot, by the fewest moves; pinned slots stay where they are."""
        sources = [part for part in self.parts.values() if part.slots and (part.listed or self.request.prune)]
        total = sum(len(part.slots) for part in sources)
        share, rest = divmod(total, len(masters))
        by_size = sorted(masters, key=lambda part: (-len(part.slots), part.order))
        target = {part.id: share + (place < rest) for place, part in enumerate(by_size)}
        open_places = [(part, target[part.id] - len(part.slots)) for part in masters]
        open_places = [(part, number) for part, number in open_places if number > 0]
        for part in sources:
            surplus = len(part.slots) - target.get(part.id, 0)
            if surplus <= 0:
                continue
            movable = sorted(part.slots - self.request.pinned, reverse=True)
            if len(movable) < surplus:
                movable += sorted(part.slots & self.request.pinned)
            leaving = movable[:surplus]
            while leaving:
                taker, number = open_places[0]
                now, leaving = leaving[:number], leaving[number:]
                self.move(part.id, taker.id, now)
                open_places[0] = (taker, number - len(now))
                if open_places[0][1] == 0:
                    open_places.pop(0)

    # ------------------------------------------------------------- replicas
    def choose_replicas(self, masters: Sequence[_Part]) -> None:
        """As many as asked for each master, in other domains; who follows one already goes on, if it can."""
        wanted = self.request.replicas_per_master
        pool = [part for part in self.listed if part not in masters]
        ids = {part.id for part in masters}
        places = [(master, number) for number in range(wanted) for master in masters]
        holder: dict[int, _Part] = {}
        place_of: dict[str, int] = {}

        def take(place: int, part: _Part) -> None:
            holder[place] = part
            place_of[part.id] = place

        for place, (master, number) in enumerate(places):
            now = [p for p in pool if p.master == master.id and p.domain != master.domain]
            if number < len(now):
                take(place, now[number])

        def fill(place: int, tried: set[str]) -> bool:
            master = places[place][0]
            domains = Counter(
                holder[p].domain for p, (m, _) in enumerate(places) if m is master and p in holder
            )
            options = [p for p in pool if p.domain != master.domain and p.id not in tried]
            options.sort(key=lambda p: (p.id in place_of, p.master in ids, domains[p.domain], p.order))
            for part in options:
                if part.id in tried:
                    continue
                tried.add(part.id)
                if part.id not in place_of or fill(place_of[part.id], tried):
                    take(place, part)
                    return True
            return False

        short = [
            places[place][0] for place in range(len(places)) if place not in holder and not fill(place, set())
        ]
        if short and len(place_of) < len(pool):
            raise PlacementImpossible(
                f"No node outside {short[0].domain} is left to replicate {short[0].name}: a master and its "
                "replica would die together. Spread the nodes evenly over more hosts, or lower "
                "replicas_per_master."
            )
        following = Counter(places[place][0].id for place in holder)
        chosen = {part.id: places[place][0] for place, part in holder.items()}
        for part in pool:
            if part.id in chosen:
                continue
            # More than asked for: it helps the master that has the fewest, or goes on where it is.
            elsewhere = [m for m in masters if m.domain != part.domain]
            current = [m for m in elsewhere if m.id == part.master]
            if not elsewhere:
                raise PlacementImpossible(
                    f"All masters are in {part.domain}, as {part.name} is: it would die with any of them. "
                    "Spread the nodes over more hosts."
                )
            chosen[part.id] = (
                current[0] if current else min(elsewhere, key=lambda m: (following[m.id], m.order))
            )
            following[chosen[part.id].id] += 1
        for part in pool:
            if part.master != chosen[part.id].id:
                master = chosen[part.id]
                self.steps.append(Replicate(part.id, part.name, master.id, master.name))
                part.master = master.id

    # ------------------------------------------------------------- those who leave
    def remove_unlisted(self) -> None:
        if self.request.prune:
            for node in self.state.others:
                self.steps.append(Reset(node.id, str(node), leaves=True))
                self.forget[node.id] = str(node)
        if self.forget:
            self.steps.append(Forget(tuple(self.forget), tuple(self.forget.values())))


def _member_name(member: Member) -> str:
    return f"{member.ip}:{member.port}" if member.port else f"the node {member.id} without address"


# --------------------------------------------------------------------- one planned failover
def choose_successor(state: State, address: Address) -> Node | None:
    """The replica that can take a node's place as master with nothing lost; none if it owns no slot."""
    node = next((node for node in state.alive if node.address == address), None)
    if node is None or not any(node.id in other.view for other in state.alive if other is not node):
        raise NodeRefused(f"{address} is no member of this cluster.")
    if node.me.master_id is not None or not node.me.slots:
        return None
    replicas = [other for other in state.alive if other.me.master_id == node.id]
    if not replicas:
        raise NodeRefused(
            f"{address} is a master, and it has no replica: its slots cannot be handed over. Run site.yml, "
            "which gives it one."
        )
    ready = [other for other in replicas if other.link_up]
    if not ready:
        raise NotConverged(
            f"{address} is a master, and {', '.join(map(str, replicas))} is not in step with it: its slots "
            "cannot be handed over. Look at the log of that replica, and run again."
        )
    masters = Counter(
        other.address.domain for other in state.alive if other.me.master_id is None and other.me.slots
    )
    order = [other.id for other in state.alive]
    return min(
        ready, key=lambda other: (other in state.others, masters[other.address.domain], order.index(other.id))
    )


def make_failover(state: State, successor: Node) -> Failover:
    master = next(node for node in state.alive if node.id == successor.me.master_id)
    return Failover(successor.id, str(successor), master.id, str(master))


# --------------------------------------------------------------------- what is refused
def check_state(state: State) -> None:
    """Refuse nodes that must not be brought together. Nothing has been changed when this is asked."""
    check_versions(state.nodes)
    for node in state.nodes:
        if len(node.members) == 1 and node.keys and not node.me.slots:
            raise NodeRefused(
                f"{node} already holds {node.keys} keys and is not part of the cluster. "
                "Copy the data elsewhere if it is needed, then empty the node with FLUSHALL."
            )
    clusters = _clusters(state)
    if not clusters:
        return
    main = max(clusters, key=lambda group: (sum(slot_count(node.me.slots) for node in group), len(group)))
    listed = {node.id for node in state.nodes}
    for group in clusters:
        foreign = [node for node in group if node.id in listed]
        if group is not main and foreign and (len(group) > 1 or foreign[0].me.slots):
            raise NodeRefused(
                f"{foreign[0]} belongs to a cluster of its own, with {_names(group, foreign[0])}. Leave it "
                "out, or empty it with FLUSHALL and make it forget the others with CLUSTER RESET HARD."
            )
    members = [node for node in main if node.id in listed]
    strangers = ", ".join(str(node) for node in main if node.id not in listed)
    if not strangers or not members:
        return
    if not any(node.me.slots for node in main):
        raise NodeRefused(
            f"{members[0]} belongs to a cluster with nodes that are not listed: {strangers}. List them as "
            "well, or make it forget them with CLUSTER RESET HARD."
        )
    if 2 * len(members) < len(main):
        raise NodeRefused(
            f"{members[0]} belongs to a cluster with nodes that are not listed: {strangers}. Most of that "
            "cluster is not listed: list its nodes as well, or if they are to go, take them out in steps of "
            "less than half of it. If this node is not meant, make it forget the others with CLUSTER RESET "
            "HARD."
        )


def _clusters(state: State) -> list[list[Node]]:
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


def _names(group: Sequence[Node], but: Node) -> str:
    return ", ".join(str(node) for node in group if node is not but) or "nobody else"


def forming(state: State) -> bool:
    """Whether this is a cluster that was never whole: `redis_cluster` forms it, or ends a formation."""
    if state.others or state.gone:
        return False
    if any(node.me.migrating or node.me.importing for node in state.nodes):
        return False
    owned = set().union(*(slot_numbers(node.me.slots) for node in state.nodes))
    if any(len(node.members) == 1 and node.me.slots and not node.keys for node in state.nodes):
        return True
    believed = {
        slot for node in state.nodes for member in node.members for slot in slot_numbers(member.slots)
    }
    return len(owned) < SLOT_COUNT and believed <= owned


# Where nodes are few and hosts uneven, a better spread can be had only when replicas have changed sides.
MAXIMUM_ROUNDS = 10


def make_life_plan(state: State, request: Request) -> Plan:
    """The steps from what is observed to what is asked; empty where nothing is missing."""
    check_state(state)
    steps: list[LifeStep] = []
    for _ in range(MAXIMUM_ROUNDS):
        more = _Planner(state, request).plan()
        if not more.steps:
            break
        steps += more.steps
        state = predict(state, more)
    return Plan(tuple(steps))


# --------------------------------------------------------------------- prediction
def after(state: State, step: LifeStep) -> State:
    """The state once `step` is done and all have heard of it."""
    claims = {node.id: node.me for node in state.alive}
    known = {node.id: set(node.view) for node in state.alive}
    gone = {member.id: member for member in state.gone}
    leaving: set[str] = set()
    if isinstance(step, SetEpoch):
        claims[step.node] = replace(claims[step.node], epoch=step.epoch)
    elif isinstance(step, AddSlots):
        claims[step.node] = _gain(claims[step.node], step.slots)
    elif isinstance(step, Meet):
        everybody = set().union(*(known[node] for node in step.nodes))
        for node in everybody & set(known):
            known[node] = set(everybody)
    elif isinstance(step, Replicate):
        claims[step.node] = replace(claims[step.node], master_id=step.master)
    elif isinstance(step, (Settle, MoveSlots)):
        back = isinstance(step, MoveSlots) and step.back
        for node in claims:
            claims[node] = _close(claims[node], step.slots)
            if not back and node != step.node:
                claims[node] = _lose(claims[node], step.slots)
        if not back:
            claims[step.node] = _gain(claims[step.node], step.slots)
    elif isinstance(step, Failover):
        slots = claims[step.master].slots if step.master in claims else ()
        if step.master in gone:
            slots = max((n.view[step.master].slots for n in state.alive if step.master in n.view), default=())
            gone[step.master] = replace(gone[step.master], slots=())
        claims = {
            node: replace(me, master_id=step.node) if me.master_id == step.master else me
            for node, me in claims.items()
        }
        if step.master in claims:
            claims[step.master] = replace(claims[step.master], slots=(), master_id=step.node)
        claims[step.node] = replace(_gain(claims[step.node], slots), master_id=None)
    elif isinstance(step, Reset):
        claims[step.node] = Member(step.node)
        known[step.node] = {step.node}
        if step.leaves:
            leaving = {step.node}
            gone[step.node] = claims[step.node]
    else:
        for ids in known.values():
            ids -= set(step.ids)
        for member in step.ids:
            gone.pop(member, None)

    def seen(node: Node) -> Node:
        members = [claims.get(other) or gone.get(other) for other in claims | gone if other in known[node.id]]
        return replace(node, members=tuple(member for member in members if member), handshakes=False)

    return State(
        tuple(seen(node) for node in state.nodes),
        tuple(seen(node) for node in state.others if node.id not in leaving),
        tuple(gone.values()),
    )


def _gain(member: Member, slots: Slots) -> Member:
    return replace(member, slots=make_slots(slot_numbers(member.slots) | slot_numbers(slots)))


def _lose(member: Member, slots: Slots) -> Member:
    return replace(member, slots=make_slots(slot_numbers(member.slots) - slot_numbers(slots)))


def _close(member: Member, slots: Slots) -> Member:
    numbers = slot_numbers(slots)
    return replace(
        member,
        migrating=tuple(entry for entry in member.migrating if entry[0] not in numbers),
        importing=tuple(entry for entry in member.importing if entry[0] not in numbers),
    )


def predict(state: State, plan: Plan) -> State:
    for step in plan.steps:
        state = after(state, step)
    return state
