#!/usr/bin/python
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_cluster
short_description: Creates a Redis Cluster and keeps it as it is asked for
version_added: 0.1.0
description:
  - Turns running Redis or Valkey servers in cluster mode into a cluster with all 16384 slots and replicas,
    lets it grow and shrink, repairs it, and waits until all nodes agree on it.
  - It observes what is there, plans what is missing, and does only that. What was interrupted is finished.
  - There will be as many masters as O(replicas_per_master) allows, spread over the hosts, each with its
    share of the slots to within one. Nodes left over become further replicas. A replica is never placed on
    the host, or in the zone, of its master.
  - New nodes join. Slots move with their keys while clients work, as few as possible. Of O(pinned_keys)
    the slot stays where it is, or goes over by a planned failover.
  - It ends slot migrations that were left half done, introduces nodes that forgot the cluster, replaces a
    machine that came back empty under its old address, finds replicas for masters without one, fails
    masters over when an earlier failover has left too many of them on one host, and makes all nodes forget
    members that are gone.
  - Nothing is changed if a listed node is unreachable, is not in cluster mode, runs a version below 6.2,
    holds keys without being part of the cluster, or belongs to another cluster. The error names the node
    and what to do.
author:
  - The airflowops.cluster maintainers (@airflowops)
extends_documentation_fragment:
  - airflowops.cluster.redis
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    description: Returns the plan and the topology it would lead to, and changes nothing.
    support: full
  diff_mode:
    description: Shows the topology before and after.
    support: full
  platform:
    platforms: posix
options:
  nodes:
    description:
      - All nodes of the cluster. There must be at least 3 * (O(replicas_per_master) + 1) of them.
      - Nodes are distinguished by the identity they report, not by how their addresses are written. The nodes
        with the same IP address are on one host.
  replicas_per_master:
    description:
      - Replicas that every master has at least.
      - With V(0) a node that dies takes its slots with it.
    type: int
    default: 1
  prune:
    description:
      - Whether to empty and remove members that are not listed, and to forget those that do not answer.
      - Without it they are left alone and named in RV(unlisted).
      - At least half of the cluster's nodes must be listed; for more, go in steps.
    type: bool
    default: false
  failover:
    description:
      - Whether to fail masters over to their replicas, as planned, so that no host has more of
        them than its share. The loss of a host with most of the masters would leave no majority to promote
        their replicas.
      - Clients that know one node only have to find the new master each time.
    type: bool
    default: true
  allow_data_loss:
    description:
      - Whether slots whose master is gone for good, and of which no replica is left, may be served empty
        by the others. The plan says how many.
    type: bool
    default: false
  pinned_keys:
    description:
      - Keys, or hash tags such as V({airflow}), whose slots are not moved to even out the masters. Where
        their master has to go, a listed replica takes over all that it has.
    type: list
    elements: str
    default: []
notes:
  - While replicas are attached, the module sets C(repl-diskless-sync-delay) of their masters to 0, which
    otherwise makes an empty cluster wait 5 seconds, and then puts the earlier value back. Without the
    permission to use C(CONFIG) it waits.
  - While new masters take up their slots, it likewise lowers their C(cluster-node-timeout) to 500 ms for a
    moment. If the module is killed in between, the altered values stay until that server restarts.
  - The nodes must reach each other on the cluster bus, by default port + 10000. On a host with several
    addresses set C(cluster-announce-ip) to the one that is listed.
  - Slots move in portions of 128, with keys in portions of 200. A client that does not follow C(ASK) may
    get errors for the keys of a portion while it moves; use O(pinned_keys) for those of such clients.
seealso:
  - module: airflowops.cluster.redis_cluster_info
"""

EXAMPLES = r"""
- name: Create a cluster of three hosts with a master and a replica each
  airflowops.cluster.redis_cluster:
    nodes:
      - {host: redis1, port: 7000}
      - {host: redis1, port: 7001}
      - {host: redis2, port: 7000}
      - {host: redis2, port: 7001}
      - {host: redis3, port: 7000}
      - {host: redis3, port: 7001}
    password: "{{ redis_cluster_password }}"
  run_once: true

- name: Create a cluster of three masters on one host
  airflowops.cluster.redis_cluster:
    nodes:
      - {host: 127.0.0.1, port: 7000}
      - {host: 127.0.0.1, port: 7001}
      - {host: 127.0.0.1, port: 7002}
    replicas_per_master: 0
    password: "{{ redis_cluster_password }}"
  run_once: true

- name: Let the cluster grow or shrink to what the inventory lists
  airflowops.cluster.redis_cluster:
    nodes: "{{ redis_nodes }}"
    password: "{{ redis_cluster_password }}"
    prune: true
    pinned_keys: ["{airflow}"]
    timeout: 600
  run_once: true

- name: See what would be done, over TLS
  airflowops.cluster.redis_cluster:
    nodes: "{{ redis_nodes }}"
    username: admin
    password: "{{ redis_cluster_password }}"
    tls: true
    ca_cert: /etc/redis/tls/ca.crt
  check_mode: true
  diff: true
  run_once: true
"""

RETURN = r"""
plan:
  description:
    - The steps, in order, that were (in check mode, would be) taken. Empty if nothing was missing.
    - On a failure, the last one may be incomplete, as may be those of its kind right before it.
  returned: success, and on a failure after the first step
  type: list
  elements: dict
  contains:
    action:
      description:
        - V(set_epoch), V(add_slots), V(meet), V(replicate), V(move_slots), V(settle), V(failover),
          V(reset) or V(forget).
      type: str
    description:
      description: The step in words.
      type: str
    node:
      description: The node the step is about. Not for V(meet) and V(forget), which have C(nodes).
      type: str
  sample:
    - action: replicate
      node: 10.0.0.12:7001
      master: 10.0.0.11:7000
      description: Make 10.0.0.12:7001 a replica of 10.0.0.11:7000
topology:
  description: The nodes in the order in which they are listed. In check mode, as they would be.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Identity of the node.
      type: str
    host:
      description: The host as it is listed.
      type: str
    port:
      description: The port.
      type: int
    role:
      description: V(master) or V(replica).
      type: str
    master_id:
      description: Identity of the master of a replica, null for a master.
      type: str
    slots:
      description: Slots of a master, as a list of first and last slot of each range.
      type: list
      elements: list
  sample:
    - id: 07c37dfeb235213a872192d90877d0cd55635b91
      host: 10.0.0.11
      port: 7000
      role: master
      master_id: null
      slots: [[0, 5461]]
slots_covered:
  description: How many of the 16384 slots have a master.
  returned: success
  type: int
  sample: 16384
unlisted:
  description: Members that are not listed, in words, and were left alone. In check mode, as they would be.
  returned: success
  type: list
  elements: str
  sample: ["10.0.0.14:7000", "10.0.0.15:7000 (does not answer)"]
"""

from dataclasses import replace
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.checks import check_addresses
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.client import (
    REDIS_IMPORT_ERROR,
    Credentials,
    redis_argument_spec,
    resolve,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.cluster import Cluster
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.executor import Executor
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.model import (
    NotConverged,
    RedisClusterError,
    Request,
    State,
    collect_slots,
    format_topology,
    key_slot,
    list_topology,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.reshard_plan import make_plan
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.steps import Step, predict_state

# What is observed after a plan may ask for one more: Redis gives replicas new masters by itself.
MAXIMUM_PLANS = 4


def bring_about(cluster: Cluster, request: Request, check_mode: bool, result: dict[str, Any]) -> State:
    """Observe, plan, carry out, until nothing is missing. Fills `result` on the way, for a failure too."""
    state = cluster.observe()
    before = format_topology(state.nodes)
    plan = make_plan(state, request)
    taken: list[dict[str, Any]] = []

    def note(step: Step) -> None:
        taken.append(step.as_dict())
        result.update(changed=True, plan=taken)

    executor = Executor(cluster)
    if check_mode:
        taken += plan.as_dicts()
        state = predict_state(state, plan.steps)
    else:
        for _ in range(MAXIMUM_PLANS):
            if not plan.steps:
                break
            executor.carry_out(plan, note)
            state = cluster.observe()
            plan = make_plan(state, request)
        if plan.steps:
            raise NotConverged("The cluster changes while it is worked on. Run this again when it is quiet.")
        state = replace(executor.gossip.wait_until_whole(state), gone=state.gone)
    result.update(
        changed=bool(taken), plan=taken, diff={"before": before, "after": format_topology(state.nodes)}
    )
    return state


def keep_cluster(params: dict[str, Any], check_mode: bool, result: dict[str, Any]) -> None:
    addresses = resolve(params["nodes"])
    check_addresses(addresses, params["replicas_per_master"])
    credentials = Credentials(params["username"], params["password"], params["tls"], params["ca_cert"])
    request = Request(
        replicas_per_master=params["replicas_per_master"],
        prune=params["prune"],
        failover=params["failover"],
        allow_data_loss=params["allow_data_loss"],
        pinned=frozenset(key_slot(key) for key in params["pinned_keys"]),
    )
    cluster = Cluster(addresses, credentials, params["timeout"])
    try:
        state = bring_about(cluster, request, check_mode, result)
    finally:
        cluster.close()
    result.update(
        topology=list_topology(state.nodes),
        slots_covered=len(collect_slots(node.me for node in state.alive)),
        unlisted=state.unlisted,
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            redis_argument_spec(),
            replicas_per_master={"type": "int", "default": 1},
            prune={"type": "bool", "default": False},
            failover={"type": "bool", "default": True},
            allow_data_loss={"type": "bool", "default": False},
            pinned_keys={"type": "list", "elements": "str", "default": [], "no_log": False},
        ),
        required_by={"username": "password"},
        supports_check_mode=True,
    )
    if REDIS_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("redis"), exception=REDIS_IMPORT_ERROR)
    result: dict[str, Any] = {"changed": False}
    try:
        keep_cluster(module.params, module.check_mode, result)
    except RedisClusterError as error:
        module.fail_json(msg=str(error), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
