# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observes whole clusters, members that are not listed included, and carries out the steps of `redis_life`.

Slots move as clients that follow redirections expect: the new owner opens them for import, the old one for
migration, the keys go over, and the new owner is the first to be told that the slots are its own.
"""

from __future__ import annotations

import contextlib
import time
from functools import partial
from itertools import groupby
from typing import Any, Callable, Iterator, Sequence

from ansible_collections.airflowops.cluster.plugins.module_utils.redis.cluster import (
    SLOT_COUNT,
    Address,
    AddSlots,
    Meet,
    Member,
    Node,
    NodeRefused,
    NotConverged,
    Plan,
    RedisClusterError,
    Replicate,
    SetEpoch,
    disagreements,
    problems,
    slot_numbers,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.connection import (
    Connection,
    Credentials,
    together,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.formation import (
    SHORTEST_REJOIN_DELAY,
    Formation,
    observe_node,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.reshard_plan import (
    Failover,
    Forget,
    MoveSlots,
    Reset,
    Settle,
    State,
)

# Slots that are open at the same time. More would be quicker and make more clients follow redirections.
SLOTS_AT_ONCE = 128
# Keys of one MIGRATE, for which both servers stand still.
KEYS_AT_ONCE = 200
MIGRATE_TIMEOUT_MILLISECONDS = 10000
POLL_SECONDS = 0.05
# Redis asks for the votes of a planned failover within this time, or gives it up.
FAILOVER_SECONDS = 5.0
FAILOVER_ATTEMPTS = 3
# How long a replica that does not see its master is left alone before it is asked again.
REFUSAL_SECONDS = 0.3
# kombu waits for a message this long at a time (brpop_timeout, 1 s), and a little more.
LONGEST_WAIT_FOR_MESSAGE = 1.3
# HAProxy follows within a second or two; a worker that is not back by then has trouble of its own.
LONGEST_WAIT_FOR_WORKERS = 15.0
# Seconds until connections to the old master are cut, which the endpoint should have done by then, and then
# between cuts.
FIRST_CUT_SECONDS = 0.8
CUT_SECONDS = 1.0


class Operation(Formation):
    """The servers of a running cluster."""

    def __init__(self, addresses: Sequence[Address], credentials: Credentials, timeout: float) -> None:
        super().__init__(addresses, credentials, timeout)
        self._credentials = credentials
        self._timeout = min(timeout, 5.0)
        self._others: dict[str, Connection] = {}

    def close(self) -> None:
        super().close()
        for connection in self._others.values():
            connection.close()

    # ----------------------------------------------------------------- observe
    def look(self) -> State:
        """What all members say, those that are not listed and answer among them."""
        nodes = self.observe()
        known = {node.id for node in nodes}
        taken = {(node.address.ip, node.address.port) for node in nodes}
        others: list[Node] = []
        gone: list[Member] = []
        heard: Sequence[Node] = nodes
        while True:
            strangers: dict[str, Member] = {}
            for node in heard:
                for member in node.members:
                    if member.id not in known and (member.id not in strangers or member.port):
                        strangers[member.id] = member
            if not strangers:
                return State(tuple(nodes), tuple(others), tuple(gone))
            known |= set(strangers)
            answers = together(lambda member: self._visit(member, taken), list(strangers.values()))
            heard = [answer for answer in answers if isinstance(answer, Node)]
            others += heard
            gone += [answer for answer in answers if isinstance(answer, Member)]

    def _visit(self, member: Member, taken: set[tuple[str, int]]) -> Node | Member:
        """The member as it is now, or as others remember it if it is not there any more."""
        if not member.port or (member.ip, member.port) in taken:
            return member
        connection = Connection(Address(member.ip, member.port, member.ip), self._credentials, self._timeout)
        try:
            node = observe_node(connection)
        except RedisClusterError:
            connection.close()
            return member
        if node.id != member.id:
            connection.close()
            return member
        self._others[node.id] = connection
        self._by_id[node.id] = connection
        self._bus_ports[node.id] = node.me.bus_port
        return node

    # ----------------------------------------------------------------- apply
    def carry_out(self, plan: Plan, done: Callable[[Any], Any]) -> None:
        """The steps in their order; each is complete before the next begins. `done` hears of each."""
        single: dict[type, Callable[[Any], None]] = {
            Settle: self._settle,
            MoveSlots: self._move,
            Failover: self.fail_over,
            Reset: self._reset,
            Forget: self._forget,
        }
        several: dict[type, Callable[[Sequence[Any]], None]] = {
            SetEpoch: self._set_epochs,
            AddSlots: self._add_slots,
            Meet: self._introduce,
            Replicate: self._follow,
        }
        with self._replication_at_once(plan):
            for kind, group in groupby(plan.steps, key=type):
                steps = list(group)
                if kind in several:
                    several[kind](steps)
                    for step in steps:
                        done(step)
                    continue
                for step in steps:
                    single[kind](step)
                    done(step)

    def _everybody(self) -> list[Connection]:
        return [*self._connections, *self._others.values()]

    def _until(self, what: str, met: Callable[[], bool], seconds: float | None = None) -> None:
        deadline = self.deadline if seconds is None else min(self.deadline, time.monotonic() + seconds)
        while not met():
            if time.monotonic() > deadline:
                raise NotConverged(
                    f"{what} did not come about in time. Look at the servers' logs and run again."
                )
            time.sleep(POLL_SECONDS)

    # ----------------------------------------------------------------- members
    def _introduce(self, steps: Sequence[Meet]) -> None:
        """Until all know one another and serve: a new node takes no keys before."""
        self._meet(steps)
        greeted: dict[tuple[str, str], float] = {}
        self._next_review = time.monotonic() + SHORTEST_REJOIN_DELAY

        def all_serve() -> bool:
            nodes = self.observe()
            ids = {node.id for node in nodes}
            if not all(ids <= set(node.view) and not node.handshakes for node in nodes):
                self._greet_those_behind(nodes, greeted, time.monotonic())
                return False
            self._new_masters = {node.id for node in nodes if not node.cluster_ok}
            self._end_rejoin_delay(nodes)
            return not self._new_masters

        self._until("That all nodes know one another and serve", all_serve)

    def _follow(self, steps: Sequence[Replicate]) -> None:
        self._replicate(steps)
        for step in steps:
            self._until(f"That {step.name} is in step with {step.master_name}", partial(self._in_step, step))

    def _in_step(self, step: Replicate) -> bool:
        node = observe_node(self._by_id[step.node])
        return node.me.master_id == step.master and node.link_up

    def _reset(self, step: Reset) -> None:
        if step.leaves:
            # A greeting on its way to the member that leaves would bring it back, under its new name.
            self._until("That no greeting is under way", self._no_greeting_under_way)
        connection = self._by_id[step.node]
        (reply,) = connection.try_all(("CLUSTER", "RESET", "HARD" if step.leaves else "SOFT"))
        if isinstance(reply, Exception):
            raise NodeRefused(f"{step.name} cannot be reset: {reply}")
        if step.leaves:
            self._others.pop(step.node, None)
            connection.close()
            return
        # Its name must be gone from all the others, or they would go on to hold it for a replica.
        self._forget(Forget((step.node,), (step.name,)), but=connection)

    def _no_greeting_under_way(self) -> bool:
        return not any(node.handshakes for node in together(observe_node, self._everybody()))

    def _forget(self, step: Forget, but: Connection | None = None) -> None:
        """At the same time everywhere: who still knew of a member would tell the others within a minute."""

        def forget(connection: Connection) -> None:
            for node_id in step.ids:
                (reply,) = connection.try_all(("CLUSTER", "FORGET", node_id))
                if isinstance(reply, Exception) and "nknown node" not in str(reply):
                    raise NodeRefused(f"{connection.address} cannot forget {node_id}: {reply}")

        together(forget, [connection for connection in self._everybody() if connection is not but])

    # ----------------------------------------------------------------- failover
    def fail_over(self, step: Failover) -> None:
        """Asks until it is master: a replica may lose sight of its master for a moment, and an election
        that finds no majority in time changes nothing.
        """
        connection = self._by_id[step.node]
        command = ("CLUSTER", "FAILOVER", "TAKEOVER") if step.takeover else ("CLUSTER", "FAILOVER")
        ending = min(self.deadline, time.monotonic() + FAILOVER_ATTEMPTS * FAILOVER_SECONDS)
        while not self._is_master(step.node):
            (reply,) = connection.try_all(command)
            refused = isinstance(reply, Exception)
            if refused and (time.monotonic() > ending or "Master is down" not in str(reply)):
                raise NodeRefused(f"{step.name} cannot become master in place of {step.master_name}: {reply}")
            try:
                self._until(
                    f"The failover to {step.name}",
                    lambda: self._is_master(step.node),
                    REFUSAL_SECONDS if refused else FAILOVER_SECONDS,
                )
            except NotConverged:
                if time.monotonic() > ending:
                    raise
        self._until(f"That all nodes know {step.name} as master", lambda: self._agree_on(step.node))

    def _clients(self, node_id: str) -> list[dict[str, str]]:
        (text,) = self._by_id[node_id].ask(("CLIENT", "LIST"))
        return [dict(pair.partition("=")[::2] for pair in line.split()) for line in text.splitlines()]

    def end_waits(self, node_id: str) -> None:
        """Until no client waits for an element of a list, as a Celery worker does for a message. Its wait is
        ended as if its time were over. Who then waits anew is not one of those that were told to stop.
        """

        def idle() -> bool:
            clients = [c for c in self._clients(node_id) if "b" in c["flags"] and c["cmd"] == "brpop"]
            if clients:
                self._by_id[node_id].ask(*(("CLIENT", "UNBLOCK", client["id"]) for client in clients))
            return not clients

        with contextlib.suppress(NotConverged):
            self._until("That no client waits for a message", idle, LONGEST_WAIT_FOR_MESSAGE)

    def subscribers(self, node_id: str) -> int:
        """How many clients are subscribed to a channel, as each Celery worker is for remote control."""
        return sum(client["sub"] != "0" or client["psub"] != "0" for client in self._clients(node_id))

    def move_subscribers(self, step: Failover, number: int) -> None:
        """Until so many subscribers are at the new master. A worker that is told to take tasks while it is
        still connected to the old one ends with an error. An endpoint cuts the connections that it looks
        after; those that an older process of it holds since a reload are cut here.
        """
        next_cut = time.monotonic() + FIRST_CUT_SECONDS

        def there() -> bool:
            nonlocal next_cut
            if self.subscribers(step.node) >= number:
                return True
            if time.monotonic() > next_cut:
                next_cut = time.monotonic() + CUT_SECONDS
                kinds = ("normal", "pubsub")
                self._by_id[step.master].ask(*(("CLIENT", "KILL", "TYPE", kind) for kind in kinds))
            return False

        with contextlib.suppress(NotConverged):
            self._until("That the workers are back", there, LONGEST_WAIT_FOR_WORKERS)

    def more_time(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds

    def _is_master(self, node_id: str) -> bool:
        node = observe_node(self._by_id[node_id])
        return node.me.master_id is None and bool(node.me.slots)

    def _agree_on(self, node_id: str) -> bool:
        me = observe_node(self._by_id[node_id]).me
        views = together(observe_node, self._everybody())
        return all(node.view[node_id].claim == me.claim for node in views if node_id in node.view)

    # ----------------------------------------------------------------- slots
    def _settle(self, step: Settle) -> None:
        for slots in _portions(sorted(slot_numbers(step.slots))):
            stable = [("CLUSTER", "SETSLOT", slot, "STABLE") for slot in slots]
            self._by_id[step.node].ask(*stable)
            for connection in self._masters(but=step.node):
                connection.ask(*stable)
                self._tell(connection, slots, step.node)

    def _masters(self, but: str) -> list[Connection]:
        nodes = together(observe_node, self._everybody())
        return [self._by_id[node.id] for node in nodes if node.me.master_id is None and node.id != but]

    @staticmethod
    def _tell(connection: Connection, slots: Sequence[int], owner: str) -> None:
        """News, not orders: who has just joined may not know the owner yet, and will hear of it. A master
        that has heard that its last slot is another's follows that one already.
        """
        known = ("nknown node", "only with masters")
        for reply in connection.try_all(*(("CLUSTER", "SETSLOT", slot, "NODE", owner) for slot in slots)):
            if isinstance(reply, Exception) and not any(text in str(reply) for text in known):
                raise NodeRefused(f"{connection.address} does not accept the owner of a slot: {reply}")

    def _move(self, step: MoveSlots) -> None:
        source, target = self._by_id[step.source], self._by_id[step.node]
        others = [c for c in self._masters(but=step.node) if c is not source]
        for slots in _portions(sorted(slot_numbers(step.slots))):
            if step.back:
                self._send_keys(step, source, target, slots)
                source.ask(*(("CLUSTER", "SETSLOT", slot, "STABLE") for slot in slots))
                continue
            target.ask(*(("CLUSTER", "SETSLOT", slot, "IMPORTING", step.source) for slot in slots))
            source.ask(*(("CLUSTER", "SETSLOT", slot, "MIGRATING", step.node) for slot in slots))
            self._send_keys(step, source, target, slots)
            target.ask(*(("CLUSTER", "SETSLOT", slot, "NODE", step.node) for slot in slots))
            self._tell(source, slots, step.node)
            together(partial(self._tell, slots=slots, owner=step.node), others)

    def _send_keys(
        self, step: MoveSlots, source: Connection, target: Connection, slots: Sequence[int]
    ) -> None:
        """All keys of slots that take no new ones. A copy at the target is older: the source served them."""
        replace = () if step.back else ("REPLACE",)
        left = list(slots)
        while left:
            found = source.ask(*(("CLUSTER", "GETKEYSINSLOT", slot, KEYS_AT_ONCE) for slot in left))
            batches = [(slot, keys) for slot, keys in zip(left, found) if keys]
            replies = (
                source.try_all(
                    *(
                        (
                            "MIGRATE",
                            target.address.ip,
                            target.address.port,
                            "",
                            0,
                            MIGRATE_TIMEOUT_MILLISECONDS,
                            *replace,
                            *self._credentials.for_migrate(),
                            "KEYS",
                            *keys,
                        )
                        for _, keys in batches
                    )
                )
                if batches
                else []
            )
            for (slot, _), reply in zip(batches, replies):
                if isinstance(reply, Exception):
                    raise NodeRefused(self._why_not_sent(step, slot, str(reply)))
            left = [slot for slot, _ in batches]

    @staticmethod
    def _why_not_sent(step: MoveSlots, slot: int, reply: str) -> str:
        text = f"{step.source_name} could not send the keys of slot {slot} to {step.name}: {reply}. "
        if "BUSYKEY" in reply:
            return text + (
                "Both hold a key of that name, left by a migration that was broken off. Look at both, delete "
                f"the one you do not need (at {step.source_name} with ASKING before DEL), and run again."
            )
        return text + "Nothing is lost: what was not sent is still there, and the next run goes on from here."

    # ----------------------------------------------------------------- the end
    def settle_down(self, state: State) -> State:
        """Waits until all members agree on a whole cluster."""
        greeted: dict[tuple[str, str], float] = {}
        while True:
            missing = self.what_is_missing(state)
            if not missing:
                return state
            if time.monotonic() > self.deadline:
                raise NotConverged(
                    f"The nodes did not agree on a whole cluster in time: {'; '.join(missing[:5])}. "
                    "Look at the servers' logs and run again."
                )
            if disagreements(state.nodes):
                self._greet_those_behind(state.nodes, greeted, time.monotonic())
            self._end_rejoin_delay(list(state.nodes))
            time.sleep(POLL_SECONDS)
            state = self.look()

    @staticmethod
    def what_is_missing(state: State) -> list[str]:
        """`problems`, with the slots of those that are not listed counted as covered."""
        found = [text for text in problems(state.nodes) if "slots are covered" not in text]
        covered = set().union(*(slot_numbers(node.me.slots) for node in state.alive))
        if len(covered) != SLOT_COUNT:
            found.append(f"{len(covered)} of {SLOT_COUNT} slots are covered")
        return found


def _portions(slots: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(slots), SLOTS_AT_ONCE):
        yield slots[start : start + SLOTS_AT_ONCE]
