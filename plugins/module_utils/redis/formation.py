# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observes servers, carries out plans, and waits until all servers agree.

Redis spreads news by gossip: a server tells one random other per second. What makes formation quick here is
CLUSTER MEET, which makes a server greet another within a tenth of a second, known or not, and a greeting
carries all that the greeting server knows about itself. So whoever is out of date is greeted by the node it
is out of date about.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from itertools import groupby
from typing import Any, Callable, Iterator, Sequence

from ansible_collections.airflowops.cluster.plugins.module_utils.redis.cluster import (
    SLOT_COUNT,
    Address,
    AddSlots,
    Meet,
    Node,
    NodeRefused,
    NodeUnreachable,
    NotConverged,
    Plan,
    RedisClusterError,
    Replicate,
    SetEpoch,
    Slots,
    disagreements,
    parse_info,
    parse_nodes,
    problems,
    slot_numbers,
    slots_covered,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.connection import (
    Connection,
    Credentials,
    combined,
    together,
    together_with_errors,
)

POLL_INTERVAL = 0.015
# Servers send greetings at their next tick, of which there are ten a second. Twice that, and one may be
# repeated.
GREETING_INTERVAL = 0.2
SHORTEST_REJOIN_DELAY = 0.5  # CLUSTER_MIN_REJOIN_DELAY of Redis and Valkey.
REVIEW_INTERVAL = 0.1


class Formation:
    """The servers of one (future) cluster and the time left to work on them."""

    def __init__(self, addresses: Sequence[Address], credentials: Credentials, timeout: float) -> None:
        self.deadline = time.monotonic() + timeout
        self._connections = [Connection(address, credentials, min(timeout, 5.0)) for address in addresses]
        self._by_id: dict[str, Connection] = {}
        self._bus_ports: dict[str, int] = {}
        self._new_masters: set[str] = set()
        self._next_review = 0.0

    def close(self) -> None:
        for connection in self._connections:
            connection.close()

    # ----------------------------------------------------------------- observe
    def observe(self) -> list[Node]:
        """What all the servers say, asked at the same time."""
        nodes, errors = together_with_errors(observe_node, self._connections)
        if errors:
            raise self._unusable(nodes, errors)
        for connection, node in zip(self._connections, nodes):
            self._by_id[node.id] = connection
            self._bus_ports[node.id] = node.me.bus_port
        return nodes

    @staticmethod
    def _unusable(nodes: Sequence[Node], errors: Sequence[RedisClusterError]) -> RedisClusterError:
        error = combined(errors)
        if isinstance(error, NodeUnreachable) and nodes and slots_covered(n.me for n in nodes) == SLOT_COUNT:
            return NodeUnreachable(
                f"{error} The other {len(nodes)} nodes form a cluster that covers all slots; "
                "nothing was changed."
            )
        return error

    # ----------------------------------------------------------------- apply
    def apply(self, plan: Plan) -> list[Node]:
        """Carry out the steps in their order, those of one kind at the same time, and wait until all
        agree.
        """
        actions: dict[type, Callable[[Sequence[Any]], Any]] = {
            SetEpoch: self._set_epochs,
            AddSlots: self._add_slots,
            Meet: self._meet,
            Replicate: self._replicate,
        }
        with self._replication_at_once(plan):
            for kind, steps in groupby(plan.steps, key=type):
                actions[kind](list(steps))
            return self.wait(greet=True)

    def _set_epochs(self, steps: Sequence[SetEpoch]) -> None:
        together(lambda s: self._by_id[s.node].ask(("CLUSTER", "SET-CONFIG-EPOCH", s.epoch)), steps)

    def _add_slots(self, steps: Sequence[AddSlots]) -> None:
        together(lambda step: add_slots(self._by_id[step.node], step.slots), steps)
        self._new_masters = {step.node for step in steps}
        self._next_review = time.monotonic() + SHORTEST_REJOIN_DELAY

    def _meet(self, steps: Sequence[Meet]) -> None:
        (step,) = steps
        together(lambda node: self._greet(node, step.nodes), step.nodes)

    def _greet(self, node: str, others: Sequence[str]) -> None:
        """Make a node send all that it knows about itself to others."""
        commands = [
            ("CLUSTER", "MEET", address.ip, address.port, self._bus_ports[other])
            for other, address in ((other, self._by_id[other].address) for other in others if other != node)
        ]
        self._by_id[node].ask(*commands)

    def _replicate(self, steps: Sequence[Replicate]) -> None:
        together(self._replicate_one, steps)

    def _replicate_one(self, step: Replicate) -> None:
        connection = self._by_id[step.node]
        while True:
            (reply,) = connection.try_all(("CLUSTER", "REPLICATE", step.master))
            if not isinstance(reply, Exception):
                break
            # "Unknown node" until the two have shaken hands: a moment after MEET that is to be expected.
            if "nknown node" not in str(reply):
                raise NodeRefused(f"{step.name} cannot become a replica of {step.master_name}: {reply}")
            if time.monotonic() > self.deadline:
                raise NotConverged(f"{step.name} did not get to know {step.master_name}. {BUS_HINT}")
            time.sleep(POLL_INTERVAL)
        self._greet(step.node, list(self._by_id))

    @contextmanager
    def _replication_at_once(self, plan: Plan) -> Iterator[None]:
        """Make masters serve a new replica without delay while the plan is carried out.

        By default a master waits 5 s for further replicas before a first synchronisation
        (repl-diskless-sync-delay). That saves work where there is data; here the masters are empty. The
        setting is put back afterwards. Where CONFIG is not allowed, the replicas take their 5 s.
        """
        name = "repl-diskless-sync-delay"
        masters = sorted({step.master for step in plan.steps if isinstance(step, Replicate)})
        before: dict[str, str] = {}

        def hurry(master: str) -> None:
            reply = self._by_id[master].try_all(("CONFIG", "GET", name))[0]
            value = config_value(reply)
            if value not in (None, "0"):
                before[master] = str(value)
                self._by_id[master].try_all(("CONFIG", "SET", name, "0"))

        together(hurry, masters)
        try:
            yield
        finally:
            together(lambda m: self._by_id[m].try_all(("CONFIG", "SET", name, before[m])), sorted(before))

    # ----------------------------------------------------------------- wait
    def wait(self, greet: bool, nodes: list[Node] | None = None) -> list[Node]:
        """Poll until all servers agree on a whole cluster. With `greet`, speed up those that are out of
        date.
        """
        greeted: dict[tuple[str, str], float] = {}
        while True:
            nodes = nodes or self.observe()
            missing = problems(nodes)
            if not missing:
                return nodes
            now = time.monotonic()
            if now > self.deadline:
                shown = "; ".join(missing[:5]) + (
                    f"; and {len(missing) - 5} more" if len(missing) > 5 else ""
                )
                raise NotConverged(f"The nodes did not agree on a whole cluster in time: {shown}. {BUS_HINT}")
            if greet:
                self._greet_those_behind(nodes, greeted, now)
                self._end_rejoin_delay(nodes)
            time.sleep(POLL_INTERVAL)
            nodes = None

    def _end_rejoin_delay(self, nodes: Sequence[Node]) -> None:
        """Make new masters serve half a second after they got slots, not after up to five.

        A master that was in a minority stays out of service for its node timeout (0.5 to 5 s), so that it
        hears of a failover first. A new master comes from a minority of one, and nothing can have failed
        over: it is held to the shortest delay by a node timeout that is that short for two round trips. A
        command that makes the server review its state, and changes nothing, comes with it.
        """
        held = [node for node in nodes if node.id in self._new_masters and not node.cluster_ok]
        if not held or disagreements(nodes) or not all(node.link_up for node in nodes):
            return
        time.sleep(max(0.0, self._next_review - time.monotonic()))  # There is nothing else left to wait for.
        self._next_review = time.monotonic() + REVIEW_INTERVAL
        together(self._review_state, held)

    def _review_state(self, node: Node) -> None:
        connection = self._by_id[node.id]
        name = "cluster-node-timeout"
        before = config_value(connection.try_all(("CONFIG", "GET", name))[0])
        milliseconds = int(SHORTEST_REJOIN_DELAY * 1000)
        slot = node.me.slots[0][0] if node.me.slots else 0
        if before is None or int(before) <= milliseconds:
            return
        try:
            connection.try_all(("CONFIG", "SET", name, milliseconds), ("CLUSTER", "SETSLOT", slot, "STABLE"))
            connection.try_all(("PING",))  # Valkey reviews only after it has answered.
        finally:
            connection.ask(("CONFIG", "SET", name, before))

    def _greet_those_behind(
        self, nodes: Sequence[Node], greeted: dict[tuple[str, str], float], now: float
    ) -> None:
        """Only those that lack news: a greeting replaces an open connection, and would undo what it
        should mend.
        """
        due: dict[str, list[str]] = {}
        for entry in disagreements(nodes):
            pair = (entry.subject, entry.observer)
            if entry.outdated and now - greeted.get(pair, 0.0) >= GREETING_INTERVAL:
                greeted[pair] = now
                due.setdefault(entry.subject, []).append(entry.observer)
        together(lambda subject: self._greet(subject, due[subject]), list(due))


BUS_HINT = (
    "The cluster bus (by default the port + 10000) must be open between all nodes, and each "
    "must be reachable at the "
    "address under which it is listed. If the nodes are only slow, raise timeout and run this again."
)


def observe_node(connection: Connection) -> Node:
    commands: list[Sequence[Any]] = [
        ("INFO", "server"),
        ("INFO", "cluster"),
        ("INFO", "replication"),
        ("CLUSTER", "MYID"),
        ("CLUSTER", "NODES"),
        ("CLUSTER", "INFO"),
        ("DBSIZE",),
    ]
    replies = connection.try_all(*commands)
    # A server that is not in cluster mode refuses CLUSTER: say why before its own error is passed on.
    if not isinstance(replies[1], Exception) and str(parse_reply(replies[1]).get("cluster_enabled")) != "1":
        raise NodeRefused(
            f"{connection.address} is not in cluster mode. Set cluster-enabled yes in its "
            "configuration and restart it."
        )
    connection.check(commands, replies)
    server, _, replication, node_id, nodes_text, state_text, keys = replies
    members = parse_nodes(nodes_text)
    return Node(
        address=connection.address,
        id=node_id,
        version=parse_version(str(parse_reply(server).get("redis_version", "0"))),
        keys=int(keys),
        members=tuple(member for member in members if "handshake" not in member.flags),
        handshakes=any("handshake" in member.flags for member in members),
        cluster_ok=parse_info(state_text).get("cluster_state") == "ok",
        link_up=parse_reply(replication).get("master_link_status", "up") == "up",
    )


def add_slots(connection: Connection, slots: Slots) -> None:
    """ADDSLOTSRANGE came with Redis 7; before it, every slot is named."""
    bounds = [bound for limits in slots for bound in limits]
    (reply,) = connection.try_all(("CLUSTER", "ADDSLOTSRANGE", *bounds))
    if isinstance(reply, Exception) and "unknown" in str(reply).lower():
        (reply,) = connection.try_all(("CLUSTER", "ADDSLOTS", *sorted(slot_numbers(slots))))
    if isinstance(reply, Exception):
        raise NodeRefused(f"{connection.address} did not take its slots: {reply}")


def parse_reply(reply: Any) -> dict[str, Any]:
    """INFO, which redis-py parses by itself or not, depending on its version and how it is called."""
    return reply if isinstance(reply, dict) else parse_info(str(reply))


def config_value(reply: Any) -> str | None:
    """The value in a reply of CONFIG GET: a list, a dictionary, or an error."""
    if isinstance(reply, dict):
        return next(iter(reply.values()), None)
    return reply[1] if isinstance(reply, list) and len(reply) == 2 else None


def parse_version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:3] if part.isdigit())
