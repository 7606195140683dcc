#!/usr/bin/python
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_cluster_info
short_description: Read the topology of a Redis Cluster
version_added: 0.1.0
description:
  - Returns the members of a cluster, their roles and slots, and on request which master owns a key.
  - Never changes anything.
author:
  - The airflowops.cluster maintainers (@airflowops)
extends_documentation_fragment:
  - airflowops.cluster.attributes.read_only
  - airflowops.cluster.redis
  - ansible.builtin.action_common_attributes
attributes:
  platform:
    platforms: posix
options:
  nodes:
    description:
      - Nodes to ask, any number of them. The answer of the first in this order that answers is returned.
      - All of them are contacted at the same time, so that RV(unreachable_nodes) is complete.
  key:
    description:
      - A key, for which RV(owner_of) is returned. It need not exist.
    type: str
  timeout:
    description:
      - Seconds that a node may take to connect and to answer each time, at most 5.
    default: 5
seealso:
  - module: airflowops.cluster.redis_cluster
"""

EXAMPLES = r"""
- name: Ask which node has the broker's queues
  airflowops.cluster.redis_cluster_info:
    nodes:
      - {host: redis1, port: 7000}
      - {host: redis2, port: 7000}
    password: "{{ redis_cluster_password }}"
    key: "{airflow}:default"
  register: broker

- name: Show it
  ansible.builtin.debug:
    msg: "{{ broker.owner_of.host }}:{{ broker.owner_of.port }}"
"""

RETURN = r"""
topology:
  description:
    - The members of the cluster that the node knows. Those that are among O(nodes) come first, in that order.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Identity of the node.
      type: str
    host:
      description: The host as it is listed in O(nodes), or the address the cluster knows if it is not listed.
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
cluster_state:
  description: The state of the cluster in the eyes of the node that was asked, V(ok) or V(fail).
  returned: success
  type: str
  sample: ok
owner_of:
  description: The master that owns O(key). Its C(id), C(host) and C(port) are null if the slot has no master.
  returned: success, if O(key) is given
  type: dict
  contains:
    key:
      description: The key.
      type: str
    slot:
      description: The slot of the key.
      type: int
    id:
      description: Identity of the master.
      type: str
    host:
      description: Its host.
      type: str
    port:
      description: Its port.
      type: int
  sample: {key: "{airflow}:default", slot: 161, id: 07c37dfeb235213a872192d90877d0cd55635b91, host:
  10.0.0.11, port: 7000}
memory:
  description: What each node that answered has in memory, and how much it may.
  returned: success
  type: list
  elements: dict
  contains:
    host:
      description: The host as it is listed.
      type: str
    port:
      description: The port.
      type: int
    used:
      description: Memory in use, in bytes.
      type: int
    limit:
      description: The node's C(maxmemory), in bytes. V(0) is none.
      type: int
    percent:
      description: C(used) as a share of C(limit), null without limit.
      type: float
  sample: [{host: 10.0.0.11, port: 7000, used: 2871120, limit: 1073741824, percent: 0.3}]
unreachable_nodes:
  description: The nodes of O(nodes) that did not answer, each with the reason.
  returned: success
  type: list
  elements: dict
  contains:
    host:
      description: The host as it is listed.
      type: str
    port:
      description: The port.
      type: int
    reason:
      description: Why.
      type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.client import (
    CONNECTION_TIMEOUT,
    REDIS_IMPORT_ERROR,
    Connection,
    Credentials,
    call_for_all,
    redis_argument_spec,
    resolve_one,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.cluster import (
    observe_node,
    parse_reply,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.model import (
    Node,
    NodeUnreachable,
    RedisClusterError,
    collect_slots,
    describe_member,
    key_slot,
)


def memory_of(connection: Connection) -> dict[str, Any]:
    """Used and allowed memory of a node in bytes, and the share in percent."""
    info = parse_reply(connection.ask(("INFO", "memory"))[0])
    used, limit = int(info["used_memory"]), int(info["maxmemory"])
    return {"used": used, "limit": limit, "percent": round(100 * used / limit, 1) if limit else None}


def look(params: dict[str, Any]) -> dict[str, Any]:
    credentials = Credentials(params["username"], params["password"], params["tls"], params["ca_cert"])
    timeout = min(params["timeout"], CONNECTION_TIMEOUT)

    memory: dict[tuple[str, int], dict[str, Any]] = {}

    def ask(listed: dict[str, Any]) -> Node | NodeUnreachable:
        """A node that is gone is a result. A wrong password is not: it would be wrong everywhere."""
        try:
            connection = Connection(resolve_one(listed), credentials, timeout)
            try:
                node = observe_node(connection)
                memory[listed["host"], listed["port"]] = memory_of(connection)
                return node
            finally:
                connection.close()
        except NodeUnreachable as error:
            return error

    answers = list(zip(params["nodes"], call_for_all(ask, params["nodes"])))
    unreachable = [
        {"host": listed["host"], "port": listed["port"], "reason": str(answer)}
        for listed, answer in answers
        if not isinstance(answer, Node)
    ]
    nodes = [answer for _, answer in answers if isinstance(answer, Node)]
    if not nodes:
        raise NodeUnreachable("No node answers. " + " ".join(str(entry["reason"]) for entry in unreachable))
    first = nodes[0]
    names: dict[str, tuple[str, int]] = {}
    for node in nodes:
        names.setdefault(node.id, (node.address.host, node.address.port))
    order = list(names)
    members = sorted(
        first.members,
        key=lambda m: (order.index(m.id) if m.id in names else len(order), m.ip, m.port),
    )
    topology: list[dict[str, Any]] = [describe_member(m, *names.get(m.id, (m.ip, m.port))) for m in members]
    result: dict[str, Any] = {
        "changed": False,
        "topology": topology,
        "slots_covered": len(collect_slots(first.members)),
        "cluster_state": "ok" if first.cluster_ok else "fail",
        "memory": [
            {"host": host, "port": port, **memory[host, port]}
            for host, port in ((listed["host"], listed["port"]) for listed in params["nodes"])
            if (host, port) in memory
        ],
        "unreachable_nodes": unreachable,
    }
    if params["key"] is not None:
        slot = key_slot(params["key"])
        owner = next((m for m in topology if any(low <= slot <= high for low, high in m["slots"])), {})
        result["owner_of"] = {
            "key": params["key"],
            "slot": slot,
            **{n: owner.get(n) for n in ("id", "host", "port")},
        }
    return result


def main() -> None:
    spec = redis_argument_spec()
    spec["timeout"]["default"] = 5
    spec["key"] = {"type": "str", "no_log": False}  # The name of a key, which is no secret.
    module = AnsibleModule(argument_spec=spec, required_by={"username": "password"}, supports_check_mode=True)
    if REDIS_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("redis"), exception=REDIS_IMPORT_ERROR)
    try:
        result = look(module.params)
    except RedisClusterError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
