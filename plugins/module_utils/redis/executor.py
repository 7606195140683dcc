# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries out plans: each kind of step at the servers, and the waiting in between.

Steps that build a cluster (epochs, slots, introductions, replicas) follow one another without waiting, and
those of one kind run at the same time. Every other step waits first until the nodes that join serve and new
replicas are in step.
"""

from __future__ import annotations

import time
from functools import partial
from itertools import groupby
from typing import Any, Callable, Sequence

from ansible_collections.airflowops.cluster.plugins.module_utils.redis.client import Connection, call_for_all
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.cluster import POLL_SECONDS, Cluster
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.failover import fail_over
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.gossip import (
    BUS_HINT,
    Gossip,
    replicate_at_once,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.migration import (
    move_slots,
    settle_slots,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.model import (
    NodeRefused,
    NotConverged,
    Slots,
    State,
    expand_slots,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.steps import (
    AddSlots,
    Failover,
    Forget,
    Meet,
    MoveSlots,
    Plan,
    Replicate,
    Reset,
    SetEpoch,
    Settle,
    Step,
)


class Executor:
    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.gossip = Gossip(cluster)
        self._new_replicas: list[Replicate] = []

    def carry_out(self, plan: Plan, begin: Callable[[Step], Any]) -> State:
        """Take the steps in their order, and wait until all agree. `begin` gets each step before it is taken.

        Raises NodeRefused or NotConverged; the steps before stay taken.
        """
        building: dict[type, Callable[[Sequence[Any]], None]] = {
            SetEpoch: self._set_epochs,
            AddSlots: self._add_slots,
            Meet: self._meet,
            Replicate: self._replicate,
        }
        changing: dict[type, Callable[[Any], None]] = {
            Settle: partial(settle_slots, self.cluster),
            MoveSlots: partial(move_slots, self.cluster),
            Failover: partial(fail_over, self.cluster),
            Reset: self._reset,
            Forget: self._forget,
        }
        masters = sorted({step.master for step in plan.steps if isinstance(step, Replicate)})
        with replicate_at_once(self.cluster, masters):
            for kind, group in groupby(plan.steps, key=type):
                steps = list(group)
                if kind in building:
                    for step in steps:
                        begin(step)
                    building[kind](steps)
                    continue
                self._wait_for_builders()
                for step in steps:
                    begin(step)
                    changing[kind](step)
            state = self.gossip.wait_until_whole()
        self.gossip.end_joining()
        self._new_replicas = []
        return state

    # ----------------------------------------------------------------- build
    def _set_epochs(self, steps: Sequence[SetEpoch]) -> None:
        call_for_all(
            lambda s: self.cluster.by_id[s.node].ask(("CLUSTER", "SET-CONFIG-EPOCH", s.epoch)), steps
        )

    def _add_slots(self, steps: Sequence[AddSlots]) -> None:
        call_for_all(lambda step: add_slots(self.cluster.by_id[step.node], step.slots), steps)
        self.gossip.start_joining()

    def _meet(self, steps: Sequence[Meet]) -> None:
        (step,) = steps
        call_for_all(lambda node: self.gossip.greet(node, step.nodes), step.nodes)
        self.gossip.start_joining()

    def _replicate(self, steps: Sequence[Replicate]) -> None:
        call_for_all(self._replicate_one, steps)
        self._new_replicas += steps

    def _replicate_one(self, step: Replicate) -> None:
        connection = self.cluster.by_id[step.node]
        while True:
            (reply,) = connection.try_all(("CLUSTER", "REPLICATE", step.master))
            if not isinstance(reply, Exception):
                break
            # "Unknown node" until the two have shaken hands: a moment after MEET that is to be expected.
            if "nknown node" not in str(reply):
                raise NodeRefused(f"{step.name} cannot become a replica of {step.master_name}: {reply}")
            if time.monotonic() > self.cluster.deadline:
                raise NotConverged(f"{step.name} did not get to know {step.master_name}. {BUS_HINT}")
            time.sleep(POLL_SECONDS)
        self.gossip.greet(step.node, list(self.cluster.by_id))

    # ----------------------------------------------------------------- wait for what was built
    def _wait_for_builders(self) -> None:
        if self.gossip.joining:
            self.cluster.wait_until("all nodes know one another and serve", self._all_serve)
            self.gossip.end_joining()
        if self._new_replicas:
            names = ", ".join(step.name for step in self._new_replicas)
            self.cluster.wait_until(f"{names} are in step with their masters", self._are_in_step)
            self._new_replicas = []

    def _all_serve(self) -> bool:
        nodes = self.cluster.poll().nodes
        ids = {node.id for node in nodes}
        if all(node.cluster_ok and not node.handshakes and ids <= set(node.view) for node in nodes):
            return True
        self.gossip.speed_up(nodes)
        return False

    def _are_in_step(self) -> bool:
        def is_in_step(step: Replicate) -> bool:
            node = self.cluster.observe_one(step.node)
            return node.me.master_id == step.master and node.link_up

        return all(call_for_all(is_in_step, self._new_replicas))

    # ----------------------------------------------------------------- leave
    def _reset(self, step: Reset) -> None:
        if step.leaves:
            # A greeting on its way to the member that leaves would bring it back, under its new name.
            self.cluster.wait_until("no greeting is under way", self._no_greeting_is_under_way)
        connection = self.cluster.by_id[step.node]
        (reply,) = connection.try_all(("CLUSTER", "RESET", "HARD" if step.leaves else "SOFT"))
        if isinstance(reply, Exception):
            raise NodeRefused(f"{step.name} cannot be reset: {reply}")
        if step.leaves:
            self.cluster.drop(step.node)
        else:
            # Its name must be gone from all the others, or they would go on to hold it for a replica.
            self._forget(Forget((step.node,), (step.name,)), but=connection)

    def _no_greeting_is_under_way(self) -> bool:
        return not any(node.handshakes for node in self.cluster.poll().alive)

    def _forget(self, step: Forget, but: Connection | None = None) -> None:
        """At the same time everywhere: a node that still knows a member informs the others in a minute."""

        def forget(connection: Connection) -> None:
            for node_id in step.ids:
                (reply,) = connection.try_all(("CLUSTER", "FORGET", node_id))
                if isinstance(reply, Exception) and "nknown node" not in str(reply):
                    raise NodeRefused(f"{connection.address} cannot forget {node_id}: {reply}")

        call_for_all(forget, [connection for connection in self.cluster.connections if connection is not but])


def add_slots(connection: Connection, slots: Slots) -> None:
    """ADDSLOTSRANGE came with Redis 7; before it, every slot is named. Raises NodeRefused."""
    bounds = [bound for limits in slots for bound in limits]
    (reply,) = connection.try_all(("CLUSTER", "ADDSLOTSRANGE", *bounds))
    if isinstance(reply, Exception) and "unknown" in str(reply).lower():
        (reply,) = connection.try_all(("CLUSTER", "ADDSLOTS", *sorted(expand_slots(slots))))
    if isinstance(reply, Exception):
        raise NodeRefused(f"{connection.address} did not take its slots: {reply}")
