#!/usr/bin/python
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_cluster_failover
short_description: Fail a Redis Cluster master over to one of its replicas
version_added: 0.1.0
description:
  - Makes a replica master in place of a node that is about to be restarted or taken away. No key is lost and
    no write refused for longer than the moment of the change.
  - The old master becomes a replica of the new one. Nothing is done when O(node) is a replica already.
  - On request the Celery workers take no new task around the change, so that no task is executed twice. What
    a worker has taken and not confirmed goes back into the queue when the connection breaks.
author:
  - The airflowops.cluster maintainers (@airflowops)
extends_documentation_fragment:
  - airflowops.cluster.redis
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    description: Returns what would be done and changes nothing.
    support: full
  diff_mode:
    description: RV(promoted) says the same.
    support: none
  platform:
    platforms: posix
options:
  nodes:
    description:
      - The nodes of the cluster. Members that are not listed may not be reached under a name, but their views
        are waited for as well.
  node:
    description: The node that shall not be master.
    type: dict
    required: true
    suboptions:
      host:
        description: Its host, as in O(nodes).
        type: str
        required: true
      port:
        description: Its port, as in O(nodes).
        type: int
        required: true
  timeout:
    description:
      - Seconds that the failover may take, without the pause of the workers. A single connection or answer
        may take at most 5 seconds of them.
    default: 60
  workers:
    description:
      - How to reach the Celery workers that are paused around the failover. Without it none is paused.
      - They are paused only if O(node) owns the slot of O(workers.key).
      - If this module is killed in between, the workers go on as soon as it is gone.
    type: dict
    suboptions:
      key:
        description: A key of the broker, or the start of one that holds its hash tag, such as V({airflow}:).
        type: str
        required: true
      broker_url:
        description: Broker of the workers, as seen from the host on which the module runs.
        type: str
        required: true
      broker_transport_options:
        description: As C(broker_transport_options) of Celery.
        type: dict
        default: {}
      broker_secret_options:
        description: More of them, which no output shows, such as C(sentinel_kwargs) with a password.
        type: dict
        default: {}
      celery_python:
        description: Interpreter that has Celery, on the host on which the module runs.
        type: path
        default: /opt/airflow/current/bin/python
      drain_timeout:
        description:
          - Seconds to wait for running tasks. What still runs then goes on, and is offered to the workers a
            second time.
          - Airflow refuses to run such a task twice; plain Celery does not. RV(still_running) names them.
        type: float
        default: 10
notes:
  - Workers obey only while Celery's remote control is on, which is Airflow's default, and if they were
    configured by the role P(airflowops.cluster.airflow_worker#role).
  - Fails, and changes nothing, when O(node) is no member, is master without a replica that is in step, or
    when a node or the broker cannot be reached. Fails after the failover when a worker does not take tasks
    again.
seealso:
  - module: airflowops.cluster.redis_cluster
  - module: airflowops.cluster.airflow_queue_membership
"""

EXAMPLES = r"""
- name: Hand over before the old master is restarted, without executing a task twice
  airflowops.cluster.redis_cluster_failover:
    nodes: "{{ my_redis_nodes }}"
    password: "{{ redis_cluster_password }}"
    node: {host: redis1.example.org, port: 7000}
    workers:
      key: "{airflow}:"
      broker_url: "{{ my_broker_url }}"
      broker_transport_options: {global_keyprefix: "{airflow}:"}
  delegate_to: worker1.example.org
"""

RETURN = r"""
promoted:
  description: The replica that became master, or would; none if O(node) was no master.
  returned: success
  type: str
  sample: 192.0.2.12:7001
paused_workers:
  description: The workers that were paused, with their queues.
  returned: success
  type: dict
  sample: {q1@worker1: [default, cloudwalker_q1]}
unpaused_workers:
  description:
    - Workers that took tasks all the while, as they do not know the command. A warning names them too.
  returned: success
  type: list
  elements: str
  sample: []
still_running:
  description: Ids of the Celery tasks that ran on while the slot changed hands.
  returned: success
  type: list
  elements: str
  sample: []
seconds:
  description: How long the failover took, without the pause before it.
  returned: when a failover was made
  type: float
  sample: 0.31
"""

import contextlib
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.airflowops.cluster.plugins.module_utils.celery.arguments import celery_argument_spec
from ansible_collections.airflowops.cluster.plugins.module_utils.celery.inspect import QueueMembershipError
from ansible_collections.airflowops.cluster.plugins.module_utils.celery.pause import WorkerPause
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.client import (
    REDIS_IMPORT_ERROR,
    Credentials,
    redis_argument_spec,
    resolve,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.cluster import Cluster
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.failover import (
    LONGEST_WAIT_FOR_WORKERS,
    count_subscribers,
    end_waits,
    fail_over,
    move_subscribers,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.failover_plan import plan_failover
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.model import (
    Address,
    NotConverged,
    RedisClusterError,
    State,
    expand_slots,
    key_slot,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.steps import Failover

POLL_SECONDS = 0.2


def owns(state: State, node_id: str, key: str) -> bool:
    slot = key_slot(key)
    return any(node.id == node_id and slot in expand_slots(node.me.slots) for node in state.alive)


def await_plan(cluster: Cluster, subject: Address) -> tuple[State, Failover | None]:
    """Waits for a replica that is on its way into step, as after its own restart."""
    while True:
        state = cluster.observe()
        try:
            return state, plan_failover(state, subject)
        except NotConverged:
            if time.monotonic() > cluster.deadline:
                raise
            time.sleep(POLL_SECONDS)


def hand_over(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    listed = [{"host": node["host"], "port": node["port"]} for node in params["nodes"]]
    if params["node"] not in listed:
        # Of a node that is about to leave the inventory. It answers, so it can be asked like the others.
        params["nodes"].append(params["node"])
        listed.append(params["node"])
    addresses = resolve(params["nodes"])
    subject = addresses[listed.index(params["node"])]
    credentials = Credentials(params["username"], params["password"], params["tls"], params["ca_cert"])
    cluster = Cluster(addresses, credentials, params["timeout"])
    try:
        state, step = await_plan(cluster, subject)
        result: dict[str, Any] = {
            "changed": step is not None,
            "promoted": step.name if step else None,
            "paused_workers": {},
            "unpaused_workers": [],
            "still_running": [],
        }
        if step is None or check_mode:
            return result
        old_master = step.master
        workers = params["workers"]
        with contextlib.ExitStack() as stack:
            if workers and owns(state, old_master, workers["key"]):
                pause = WorkerPause(
                    workers["celery_python"],
                    workers["broker_url"],
                    {**workers["broker_transport_options"], **workers["broker_secret_options"]},
                    workers["drain_timeout"],
                    lambda: end_waits(cluster, old_master),
                )
                stack.enter_context(pause)
                result.update(
                    paused_workers=pause.paused.workers,
                    unpaused_workers=pause.paused.unpaused,
                    still_running=pause.paused.running,
                )
                cluster.extend_deadline(params["timeout"])
            subscribers = count_subscribers(cluster, old_master)
            start = time.monotonic()
            fail_over(cluster, step)
            result["seconds"] = round(time.monotonic() - start, 2)
            if result["paused_workers"]:
                cluster.extend_deadline(LONGEST_WAIT_FOR_WORKERS)
                move_subscribers(cluster, step, subscribers)
        return result
    finally:
        cluster.close()


def main() -> None:
    spec = redis_argument_spec()
    spec["node"] = {
        "type": "dict",
        "required": True,
        "options": {"host": {"type": "str", "required": True}, "port": {"type": "int", "required": True}},
    }
    spec["workers"] = {
        "type": "dict",
        "options": {
            "key": {"type": "str", "required": True, "no_log": False},  # The name of a key is no secret.
            **celery_argument_spec(),
            "drain_timeout": {"type": "float", "default": 10},
        },
    }
    module = AnsibleModule(argument_spec=spec, required_by={"username": "password"}, supports_check_mode=True)
    if REDIS_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("redis"), exception=REDIS_IMPORT_ERROR)
    try:
        result = hand_over(module.params, module.check_mode)
    except (RedisClusterError, QueueMembershipError) as error:
        module.fail_json(msg=str(error))
    if result["unpaused_workers"]:
        module.warn(
            f"These workers do not know how to pause, and may have executed a task twice: "
            f"{', '.join(result['unpaused_workers'])}. Restart them; site.yml gives them what they need."
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
