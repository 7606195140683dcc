# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes servers hear news sooner than gossip would bring them.

A Redis server reports to one random other per second. What is quick is CLUSTER MEET, which makes a server
greet another within a tenth of a second, known or not, and a greeting carries all that the greeting server
knows about itself. So a node that is out of date is greeted by the node it is out of date about.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import Any, Iterator, Sequence

from ansible_collections.airflowops.cluster.plugins.module_utils.redis.client import call_for_all
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.cluster import POLL_SECONDS, Cluster
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.model import (
    BUS_OFFSET,
    Node,
    NotConverged,
    State,
    find_disagreements,
    find_problems,
)

# Servers send greetings at their next tick, of which there are ten a second. Twice that, and one may be
# repeated.
GREETING_SECONDS = 0.2
SHORTEST_REJOIN_DELAY = 0.5  # Seconds: CLUSTER_MIN_REJOIN_DELAY of Redis and Valkey.
REVIEW_SECONDS = 0.1
BUS_HINT = (
    f"The cluster bus (by default the port + {BUS_OFFSET}) must be open between all nodes, and each must be "
    "reachable at the address under which it is listed. If the nodes are only slow, raise timeout and run "
    "this again."
)


class Gossip:
    """What was sent to whom lately, and since when new masters wait to serve."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._greeted: dict[tuple[str, str], float] = {}
        self.joining = False
        self._next_review = 0.0

    def greet(self, node: str, others: Sequence[str]) -> None:
        """Make a node send all that it knows about itself to others."""
        bus_ports = self.cluster.bus_ports
        addresses = [
            (self.cluster.by_id[other].address, bus_ports[other]) for other in others if other != node
        ]
        commands = [("CLUSTER", "MEET", address.ip, address.port, bus) for address, bus in addresses]
        self.cluster.by_id[node].ask(*commands)

    def speed_up(self, nodes: Sequence[Node]) -> None:
        """Send news to the nodes that lack them, and make new masters serve once none does."""
        due: dict[str, list[str]] = {}
        now = time.monotonic()
        found = find_disagreements(nodes)
        # Only to those: a greeting replaces an open connection, and would undo what it should repair.
        for entry in found:
            pair = (entry.subject, entry.observer)
            if entry.outdated and now - self._greeted.get(pair, 0.0) >= GREETING_SECONDS:
                self._greeted[pair] = now
                due.setdefault(entry.subject, []).append(entry.observer)
        call_for_all(lambda subject: self.greet(subject, due[subject]), list(due))
        if not found:
            self._end_rejoin_delay(nodes)

    def start_joining(self) -> None:
        """Nodes have got slots or fellows: those that are masters will be held back by the rejoin delay."""
        if not self.joining:
            self.joining, self._next_review = True, time.monotonic() + SHORTEST_REJOIN_DELAY

    def end_joining(self) -> None:
        self.joining = False

    def _end_rejoin_delay(self, nodes: Sequence[Node]) -> None:
        """Make new masters serve half a second after they got slots, not after up to five.

        A master that was in a minority stays out of service for its node timeout (0.5 to 5 s), so that it
        hears of a failover first. A new master comes from a minority of one, and nothing can have failed
        over: it is held to the shortest delay by a node timeout that is that short for two round trips. A
        command that makes the server review its state, and changes nothing, comes with it.
        """
        held = [node for node in nodes if not node.cluster_ok and node.me.master_id is None]
        if not self.joining or not held or not all(node.link_up for node in nodes):
            return
        time.sleep(max(0.0, self._next_review - time.monotonic()))  # There is nothing else left to wait for.
        self._next_review = time.monotonic() + REVIEW_SECONDS
        call_for_all(self._review_state, held)

    def _review_state(self, node: Node) -> None:
        connection = self.cluster.by_id[node.id]
        name = "cluster-node-timeout"
        before = get_config_value(connection.try_all(("CONFIG", "GET", name))[0])
        milliseconds = int(SHORTEST_REJOIN_DELAY * 1000)
        slot = node.me.slots[0][0] if node.me.slots else 0
        if before is None or int(before) <= milliseconds:
            return
        try:
            connection.try_all(("CONFIG", "SET", name, milliseconds), ("CLUSTER", "SETSLOT", slot, "STABLE"))
            connection.try_all(("PING",))  # Valkey reviews only after it has answered.
        finally:
            connection.ask(("CONFIG", "SET", name, before))

    def wait_until_whole(self, state: State | None = None) -> State:
        """Poll, beginning with the state given, until all members agree on a whole cluster, and return it.

        Raises NotConverged, with what is missing, at the deadline.
        """
        while True:
            state = state or self.cluster.poll()
            missing = find_problems(state)
            if not missing:
                return state
            if time.monotonic() > self.cluster.deadline:
                more = f"; and {len(missing) - 5} more" if len(missing) > 5 else ""
                raise NotConverged(
                    f"The nodes did not agree on a whole cluster in time: {'; '.join(missing[:5])}{more}. "
                    f"{BUS_HINT}"
                )
            self.speed_up(state.nodes)
            time.sleep(POLL_SECONDS)
            state = None


@contextmanager
def replicate_at_once(cluster: Cluster, masters: Sequence[str]) -> Iterator[None]:
    """Make masters serve a new replica without delay.

    By default a master waits 5 s for further replicas before a first synchronisation
    (repl-diskless-sync-delay). That saves work where there is much data; here many masters are empty. The
    setting is put back afterwards. Where CONFIG is not allowed, the replicas take their 5 s.
    """
    name = "repl-diskless-sync-delay"
    before: dict[str, str] = {}

    def hurry(master: str) -> None:
        value = get_config_value(cluster.by_id[master].try_all(("CONFIG", "GET", name))[0])
        if value not in (None, "0"):
            before[master] = str(value)
            cluster.by_id[master].try_all(("CONFIG", "SET", name, "0"))

    call_for_all(hurry, masters)
    try:
        yield
    finally:
        call_for_all(lambda m: cluster.by_id[m].try_all(("CONFIG", "SET", name, before[m])), sorted(before))


def get_config_value(reply: Any) -> str | None:
    """The value in a reply of CONFIG GET: a list, a dictionary, or an error."""
    if isinstance(reply, dict):
        return next(iter(reply.values()), None)
    return reply[1] if isinstance(reply, list) and len(reply) == 2 else None
