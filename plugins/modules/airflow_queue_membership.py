#!/usr/bin/python
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: airflow_queue_membership
short_description: Report and check which Celery worker serves which queue
version_added: 0.1.0
description:
  - Asks the running Celery workers, through the broker, which queues they take work from, and compares
    the answer with a demand. A worker that is not listed here takes no work, whatever its unit's state
    is.
  - Runs on any host that has the Airflow virtualenv and reaches the broker. Airflow itself is not
    imported and the metastore is not touched.
  - Read only. The result is never C(changed), and check mode does the same as a normal run.
author:
  - The airflowops.cluster maintainers (@airflowops)
extends_documentation_fragment:
  - airflowops.cluster.attributes.read_only
  - airflowops.cluster.celery
options:
  queues:
    description:
      - Queue names, each with the minimum number of workers that must serve it. A worker is one Celery
        node, usually one C(airflow-worker@) unit; a host may run several.
      - Without it the module reports what it hears within a second and demands nothing.
    type: dict
    default: {}
  timeout:
    description:
      - How long to keep asking, in seconds, until the demand is met. Workers that have just been started
        need a few.
      - A broker that cannot be reached is tried again for as long, since it may be failing over. A
        refused password ends the module at once.
    type: float
    default: 10
  expected:
    description:
      - Queue names, each with the list of inventory host names that should serve it. Used for the error
        message only, to say which of them did not answer.
      - An inventory name is compared with the host part of the worker's name. A short name matches a
        fully qualified one.
    type: dict
    default: {}
notes:
  - Fails when a queue has fewer workers than demanded, naming each such queue, by how many it is short,
    and which hosts were expected to serve it; when the broker cannot be used; when O(celery_python) has
    no Celery. RV(queues), RV(workers) and RV(missing) are returned in the first case as well.
  - Workers answer only while C([celery] worker_enable_remote_control) is on, which is Airflow's default.
seealso:
  - module: airflowops.cluster.airflow_dag_run
"""

EXAMPLES = r"""
- name: Two workers for each queue, or fail
  airflowops.cluster.airflow_queue_membership:
    broker_url: >-
      redis://airflow:{{ redis_cluster_broker_password | airflowops.cluster.url_quote }}@127.0.0.1:16379/0
    broker_transport_options:
      global_keyprefix: "{airflow}:"
    queues:
      cloudwalker_q1: 2
      cloudwalker_q2: 2
    expected:
      cloudwalker_q1: [worker1, worker2]
      cloudwalker_q2: [worker2, worker3]
    timeout: 60

- name: Who serves what
  airflowops.cluster.airflow_queue_membership:
    broker_url: "{{ my_broker_url }}"
    broker_transport_options:
      global_keyprefix: "{airflow}:"
  register: membership
"""

RETURN = r"""
queues:
  description:
    - Each queue with the names of the workers that serve it. A demanded queue without workers has an
      empty list.
  returned: when the workers could be asked
  type: dict
  sample:
    cloudwalker_q1: [general@worker1, general@worker2]
    cloudwalker_q2: [general@worker2]
workers:
  description: Each worker that answered, by its Celery node name, with the queues it serves.
  returned: when the workers could be asked
  type: dict
  sample:
    general@worker1: [cloudwalker_q1]
    general@worker2: [cloudwalker_q1, cloudwalker_q2]
missing:
  description:
    - The queues with fewer workers than demanded. Empty when the demand is met.
    - C(required) and C(found) are numbers of workers; C(expected_hosts) is what O(expected) says;
      C(absent_hosts) are those of them on which no worker serves the queue.
  returned: when the workers could be asked
  type: dict
  sample:
    cloudwalker_q2:
      required: 2
      found: 1
      expected_hosts: [worker2, worker3]
      absent_hosts: [worker3]
"""

from ansible_collections.airflowops.cluster.plugins.module_utils.celery.inspect import (
    QueueMembershipError,
    ask_celery,
    by_queue,
    describe_missing,
    find_missing,
    parse_demand,
    parse_expected,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.unlogged_module import QuietModule


def main() -> None:
    module = QuietModule(
        argument_spec={
            "queues": {"type": "dict", "default": {}},
            "timeout": {"type": "float", "default": 10},
            "broker_url": {"type": "str", "required": True, "no_log": True},
            "broker_transport_options": {"type": "dict", "default": {}},
            "broker_secret_options": {"type": "dict", "default": {}, "no_log": True},
            "celery_python": {"type": "path", "default": "/opt/airflow/current/bin/python"},
            "expected": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    params = module.params
    if params["timeout"] <= 0:
        module.fail_json(msg="timeout must be more than 0 seconds")
    try:
        demand = parse_demand(params["queues"])
        expected = parse_expected(params["expected"])
        answer = ask_celery(
            params["celery_python"],
            params["broker_url"],
            {**params["broker_transport_options"], **params["broker_secret_options"]},
            demand,
            params["timeout"],
        )
    except QueueMembershipError as error:
        module.fail_json(msg=str(error))
    for name in answer.duplicates:
        module.warn(f"More than one worker is named {name}; they count as one. Give each a name of its own.")
    missing = find_missing(demand, answer.workers, expected)
    result = {
        "changed": False,
        "queues": by_queue(answer.workers, list(demand)),
        "workers": answer.workers,
        "missing": missing,
    }
    if missing:
        module.fail_json(msg=describe_missing(missing, answer.workers), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
