# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries out a failover, with what Celery workers at the old master need. `failover_plan` plans one."""

from __future__ import annotations

import contextlib
import time

from ansible_collections.airflowops.cluster.plugins.module_utils.redis.cluster import Cluster
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.model import NodeRefused, NotConverged
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.steps import Failover

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


def fail_over(cluster: Cluster, step: Failover) -> None:
    """Asks until the replica is master: it may lose sight of its master for a moment, and an election that
    finds no majority in time changes nothing. Raises NodeRefused or NotConverged.
    """
    connection = cluster.by_id[step.node]
    command = ("CLUSTER", "FAILOVER", "TAKEOVER") if step.takeover else ("CLUSTER", "FAILOVER")
    ending = min(cluster.deadline, time.monotonic() + FAILOVER_ATTEMPTS * FAILOVER_SECONDS)

    def is_master() -> bool:
        me = cluster.observe_one(step.node).me
        return me.master_id is None and bool(me.slots)

    def is_agreed_on() -> bool:
        claim = cluster.observe_one(step.node).me.claim
        return all(
            node.view[step.node].claim == claim for node in cluster.poll().alive if step.node in node.view
        )

    while not is_master():
        (reply,) = connection.try_all(command)
        refused = isinstance(reply, Exception)
        if refused and (time.monotonic() > ending or "Master is down" not in str(reply)):
            raise NodeRefused(f"{step.name} cannot become master in place of {step.master_name}: {reply}")
        try:
            seconds = REFUSAL_SECONDS if refused else FAILOVER_SECONDS
            cluster.wait_until(f"{step.name} is master", is_master, seconds)
        except NotConverged:
            if time.monotonic() > ending:
                raise
    cluster.wait_until(f"all nodes know {step.name} as master", is_agreed_on)


def end_waits(cluster: Cluster, node_id: str) -> None:
    """Until no client waits for an element of a list, as a Celery worker does for a message. Its wait is
    ended as if its time were over. A client that waits again is not one of those that were asked to stop.
    """

    def is_idle() -> bool:
        clients = [c for c in _list_clients(cluster, node_id) if "b" in c["flags"] and c["cmd"] == "brpop"]
        if clients:
            cluster.by_id[node_id].ask(*(("CLIENT", "UNBLOCK", client["id"]) for client in clients))
        return not clients

    with contextlib.suppress(NotConverged):
        cluster.wait_until("no client waits for a message", is_idle, LONGEST_WAIT_FOR_MESSAGE)


def count_subscribers(cluster: Cluster, node_id: str) -> int:
    """How many clients are subscribed to a channel, as each Celery worker is for remote control."""
    return sum(client["sub"] != "0" or client["psub"] != "0" for client in _list_clients(cluster, node_id))


def move_subscribers(cluster: Cluster, step: Failover, number: int) -> None:
    """Until so many subscribers are at the new master. A worker that is asked to take tasks while it is
    still connected to the old one ends with an error. An endpoint cuts the connections that it looks
    after; those that an older process of it holds since a reload are cut here.
    """
    next_cut = time.monotonic() + FIRST_CUT_SECONDS

    def are_there() -> bool:
        nonlocal next_cut
        if count_subscribers(cluster, step.node) >= number:
            return True
        if time.monotonic() > next_cut:
            next_cut = time.monotonic() + CUT_SECONDS
            kinds = ("normal", "pubsub")
            cluster.by_id[step.master].ask(*(("CLIENT", "KILL", "TYPE", kind) for kind in kinds))
        return False

    with contextlib.suppress(NotConverged):
        cluster.wait_until("the workers are back", are_there, LONGEST_WAIT_FOR_WORKERS)


def _list_clients(cluster: Cluster, node_id: str) -> list[dict[str, str]]:
    (text,) = cluster.by_id[node_id].ask(("CLIENT", "LIST"))
    return [dict(pair.partition("=")[::2] for pair in line.split()) for line in text.splitlines()]
