# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters as planners see them, without a server: made, changed, broken."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from ansible_collections.airflowops.cluster.plugins.module_utils.redis import model
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.reshard_plan import make_plan
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.steps import (
    Failover,
    Plan,
    predict_state,
)

SIX = ("a", "a", "b", "b", "c", "c")


def fresh(*hosts: str) -> list[model.Node]:
    """New servers, in the order of the list, numbered per host: 'a', 'a', 'b' are a:7000, a:7001 and
    b:7000.
    """
    seen: Counter[str] = Counter()
    nodes = []
    for host in hosts:
        address = model.Address(host, 7000 + seen[host], host)
        seen[host] += 1
        nodes.append(model.Node(address, f"id-{address}", (model.Member(f"id-{address}"),)))
    return nodes


def plan_for(nodes: list[model.Node], replicas: int = 1, **wishes: Any) -> Plan:
    """The plan where all that there is is listed."""
    return make_plan(state_of(nodes), model.Request(replicas, **wishes))


def carry_out(nodes: list[model.Node], plan: Plan) -> list[model.Node]:
    return list(predict_state(state_of(nodes), plan.steps).nodes)


def created(*hosts: str, replicas: int = 1) -> list[model.Node]:
    nodes = fresh(*hosts)
    return carry_out(nodes, plan_for(nodes, replicas))


def added(nodes: list[model.Node], *hosts: str) -> list[model.Node]:
    """New servers, numbered after those that the host has."""
    have = Counter(node.address.host for node in nodes)
    new = fresh(*have.elements(), *hosts)
    names = {str(node) for node in nodes}
    return nodes + [node for node in new if str(node) not in names]


def state_of(
    nodes: list[model.Node], listed: set[str] | None = None, gone: tuple[model.Member, ...] = ()
) -> model.State:
    """A cluster as it is, of which the hosts in `listed` (all, if not given) are listed."""
    wanted = [node for node in nodes if listed is None or node.address.host in listed]
    return model.State(tuple(wanted), tuple(node for node in nodes if node not in wanted), gone)


def node(state: model.State, name: str) -> model.Node:
    return next(node for node in state.alive if str(node) == name)


def change(state: model.State, node_id: str, **values: object) -> model.State:
    """Everybody has learned something new about one node."""

    def learn(node: model.Node) -> model.Node:
        return replace(
            node, members=tuple(replace(m, **values) if m.id == node_id else m for m in node.members)
        )

    return model.State(tuple(map(learn, state.nodes)), tuple(map(learn, state.others)), state.gone)


def change_node(nodes: list[model.Node], index: int, **values: object) -> list[model.Node]:
    """As `change`, where all nodes are listed."""
    return list(change(state_of(nodes), nodes[index].id, **values).nodes)


def without(state: model.State, node_id: str, **values: object) -> model.State:
    """A member does not answer any more."""
    member = replace(next(node.me for node in state.alive if node.id == node_id), **values)

    def remember(nodes: tuple[model.Node, ...]) -> tuple[model.Node, ...]:
        return tuple(
            replace(node, members=tuple(member if m.id == node_id else m for m in node.members))
            for node in nodes
            if node.id != node_id
        )

    return model.State(remember(state.nodes), remember(state.others), (*state.gone, member))


def failed_over(state: model.State, replica: str) -> model.State:
    master = next(node.me.master_id for node in state.alive if node.id == replica)
    return predict_state(state, [Failover(replica, replica, str(master), str(master))])


def roles(nodes: list[model.Node]) -> dict[str, str]:
    names = {node.id: str(node) for node in nodes}
    return {str(node): names.get(node.me.master_id or "", "master") for node in nodes}


def actions(plan: Plan) -> Counter[str]:
    return Counter(step["action"] for step in plan.as_dicts())
