# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which replica takes over from a master in a planned failover. Pure."""

from __future__ import annotations

from collections import Counter

from ansible_collections.airflowops.cluster.plugins.module_utils.redis.model import (
    Address,
    NodeRefused,
    NotConverged,
    State,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.steps import Failover


def plan_failover(state: State, address: Address) -> Failover | None:
    """The failover to the replica that can take a node's place as master with nothing lost; None if the node
    owns no slot.

    Raises NodeRefused if it is no member or has no replica, NotConverged if none of them is in step.
    """
    node = next((node for node in state.alive if node.address == address), None)
    if node is None or not any(node.id in other.view for other in state.alive if other is not node):
        raise NodeRefused(f"{address} is no member of this cluster.")
    if node.me.master_id is not None or not node.me.slots:
        return None
    replicas = [other for other in state.alive if other.me.master_id == node.id]
    if not replicas:
        raise NodeRefused(
            f"{address} is a master, and it has no replica: it cannot be failed over. Run site.yml, "
            "which gives it one."
        )
    ready = [other for other in replicas if other.link_up]
    if not ready:
        raise NotConverged(
            f"{address} is a master, and {', '.join(map(str, replicas))} is not in step with it: it "
            "cannot be failed over. Check the log of that replica, and run again."
        )
    masters = Counter(
        other.address.domain for other in state.alive if other.me.master_id is None and other.me.slots
    )
    order = [other.id for other in state.alive]
    successor = min(
        ready, key=lambda other: (other in state.others, masters[other.address.domain], order.index(other.id))
    )
    return Failover(successor.id, str(successor), node.id, str(node))
