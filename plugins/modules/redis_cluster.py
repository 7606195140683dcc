#!/usr/bin/python
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_cluster
short_description: Forms a Redis Cluster
version_added: 0.1.0
description:
  - Turns running Redis or Valkey servers in cluster mode into a cluster with all 16384 slots and replicas,
    and waits until all nodes agree on it.
  - It looks at what is there, plans what is missing, and does only that. A whole cluster is left alone,
    whoever is master in it, so that a failover is not undone. A formation that was interrupted is finished.
  - There will be as many masters as O(replicas_per_master) allows, spread over the hosts. Nodes left over
    become further replicas. A replica is never placed on the host of its master.
  - The same list of nodes always gives the same placement.
  - Nothing is changed if a node is unreachable, is not in cluster mode, runs a version below 6.2, holds
    keys without being part of the cluster, or knows nodes that are not listed. The error names the node and
    what to do.
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
      - Nodes are told apart by the identity they report, not by how their addresses are written. The nodes
        with the same IP address are on one host.
  replicas_per_master:
    description:
      - Replicas that every master has at least.
      - With V(0) a node that dies takes its slots with it.
    type: int
    default: 1
notes:
  - While replicas are attached, the module sets C(repl-diskless-sync-delay) of their masters to 0, which
    otherwise makes an empty cluster wait 5 seconds, and then puts the earlier value back. Without the
    permission to use C(CONFIG) it waits.
  - While new masters take up their slots, it likewise lowers their C(cluster-node-timeout) to 500 ms for a
    moment. If the module is killed in between, the altered values stay until that server restarts.
  - The nodes must reach each other on the cluster bus, by default port + 10000. On a host with several
    addresses set C(cluster-announce-ip) to the one that is listed.
  - Moving slots, removing nodes and repairing a damaged cluster are not done by this version.
seealso:
  - module: airflowops.cluster.redis_cluster_info
"""

EXAMPLES = r"""
- name: Form a cluster of three hosts with a master and a replica each
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

- name: Form a cluster of three masters on one host
  airflowops.cluster.redis_cluster:
    nodes:
      - {host: 127.0.0.1, port: 7000}
      - {host: 127.0.0.1, port: 7001}
      - {host: 127.0.0.1, port: 7002}
    replicas_per_master: 0
    password: "{{ redis_cluster_password }}"
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
  description: The steps, in order, that were (in check mode, would be) done. Empty if nothing was missing.
  returned: success, and on a failure after the first step
  type: list
  elements: dict
  contains:
    action:
      description: V(set_epoch), V(add_slots), V(meet) or V(replicate).
      type: str
    description:
      description: The step in words.
      type: str
    node:
      description: The node the step is about. Not for V(meet), which has C(nodes).
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
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.airflowops.cluster.plugins.module_utils.redis_cluster import (
    RedisClusterError,
    check_request,
    make_plan,
    predict,
    slots_covered,
    topology,
    topology_text,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.redis_connection import (
    REDIS_IMPORT_ERROR,
    Credentials,
    redis_argument_spec,
    resolve,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.redis_formation import Formation


def form(params: dict[str, Any], check_mode: bool, result: dict[str, Any]) -> None:
    """Observe, plan, apply. Fills `result` as far as it gets, so that a failure can say what was done
    before it.
    """
    addresses = resolve(params["nodes"])
    check_request(addresses, params["replicas_per_master"])
    credentials = Credentials(params["username"], params["password"], params["tls"], params["ca_cert"])
    formation = Formation(addresses, credentials, params["timeout"])
    try:
        before = formation.observe()
        plan = make_plan(before, params["replicas_per_master"])
        if check_mode:
            nodes = list(predict(before, plan))
        elif plan.steps:
            result.update(changed=True, plan=plan.as_dicts())
            nodes = formation.apply(plan)
        else:
            nodes = formation.wait(greet=False, nodes=before)
    finally:
        formation.close()
    result.update(
        changed=bool(plan.steps),
        plan=plan.as_dicts(),
        topology=topology(nodes),
        slots_covered=slots_covered(node.me for node in nodes),
        diff={"before": topology_text(before), "after": topology_text(nodes)},
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(redis_argument_spec(), replicas_per_master={"type": "int", "default": 1}),
        required_by={"username": "password"},
        supports_check_mode=True,
    )
    if REDIS_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("redis"), exception=REDIS_IMPORT_ERROR)
    result: dict[str, Any] = {"changed": False}
    try:
        form(module.params, module.check_mode, result)
    except RedisClusterError as error:
        module.fail_json(msg=str(error), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
