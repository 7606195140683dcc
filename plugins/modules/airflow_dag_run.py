#!/usr/bin/python
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: airflow_dag_run
short_description: Trigger an Airflow DAG and wait for its end
version_added: 0.1.0
description:
  - Triggers a run of a DAG through the public REST API (v2) of Airflow 3 and waits until the run has ended.
  - Returns for each task its state, the queue and the host that it ran on, and the number of the try.
  - Connection errors and answers with a 5xx status are tried again until the time is over, since a
    master may be failing over. A run is never triggered twice because of that, for it has an identifier
    of the module's choice.
author:
  - The airflowops.cluster maintainers (@airflowops)
extends_documentation_fragment:
  - airflowops.cluster.airflow_api
options:
  dag_id:
    description: Identifier of the DAG.
    type: str
    required: true
  conf:
    description: Configuration of the run, in Airflow C(params) and C(dag_run.conf).
    type: dict
    default: {}
  run_id:
    description:
      - Identifier of the run. If the DAG has such a run already, none is triggered; the module waits for
        that one.
      - By default one is made of the prefix C(ansible__), the time, and a random part, so that each call
        triggers a run.
    type: str
  logical_date:
    description: Logical date of the run, in ISO 8601 with a time zone. By default the run has none.
    type: str
  unpause:
    description: Whether a paused DAG is unpaused before. The run of a paused DAG does not start.
    type: bool
    default: true
  wait:
    description: Whether to wait for the end of the run. Without it RV(tasks) is empty.
    type: bool
    default: true
  timeout:
    description:
      - How long the run may take, in seconds, counted from the moment the DAG is known to the server.
    type: float
    default: 600
  poll_interval:
    description: Seconds between two questions about the state of the run.
    type: float
    default: 1.0
  dag_timeout:
    description:
      - How long to wait, in seconds, until the server can be reached and knows the DAG. A DAG that has
        just been deployed must be parsed first.
      - Also how long to wait for an import error of the DAG's file to go, since it may be of the file's
        previous version.
    type: float
    default: 60
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    details:
      - Nothing is triggered nor unpaused, and nothing is waited for. RV(dag_exists) says whether the DAG is
        known. C(changed) is what a run without check mode would return if it succeeded.
    support: partial
  diff_mode:
    description: A run has no state before.
    support: none
notes:
  - Fails when the run fails, naming the failed tasks with host, queue and log; when O(timeout) is over,
    naming the unfinished tasks; when the DAG is unknown after O(dag_timeout), naming import errors; when
    the user is refused. The return values are there in the first two cases as well.
seealso:
  - module: airflowops.cluster.airflow_queue_membership
"""

EXAMPLES = r"""
- name: Run the sample DAG and wait for it
  airflowops.cluster.airflow_dag_run:
    url: https://airflow.example.com
    username: admin
    password: "{{ airflow_admin_password }}"
    dag_id: hello_world2
  register: run

- name: Where the tasks ran
  ansible.builtin.debug:
    msg: "{{ run.tasks | items2dict(key_name='task_id', value_name='host') }}"

- name: Once for each release, however often the playbook runs
  airflowops.cluster.airflow_dag_run:
    url: http://127.0.0.1:8080/airflow
    username: admin
    password: "{{ airflow_admin_password }}"
    dag_id: load_reference_data
    run_id: "release_{{ release }}"
    conf:
      release: "{{ release }}"
    timeout: 1800
"""

RETURN = r"""
run_id:
  description: Identifier of the run. In check mode V(null), unless O(run_id) is given.
  returned: always
  type: str
  sample: ansible__2026-03-01T08:30:00+00:00_6f1c9a02
state:
  description: State of the run. V(null) in check mode if there is no such run.
  returned: always
  type: str
  sample: success
duration:
  description: Seconds from the start of the run to its end. V(null) while it has not ended.
  returned: always
  type: float
  sample: 4.218
dag_exists:
  description: Whether the server knows the DAG. Always V(true) without check mode.
  returned: always
  type: bool
  sample: true
tasks:
  description: The task instances of the run, in the order in which they started.
  returned: always
  type: list
  elements: dict
  contains:
    task_id:
      description: Identifier of the task.
      type: str
    map_index:
      description: Index of a mapped task, V(-1) for others.
      type: int
    state:
      description: State, V(null) if not scheduled yet.
      type: str
    queue:
      description: Celery queue of the task.
      type: str
    host:
      description: Host on which the last try ran, by the name that Airflow has for it, V(null) if none did.
      type: str
    try_number:
      description: Number of the last try; V(1) is the first.
      type: int
    duration:
      description: Seconds that the last try took, V(null) while it has not ended.
      type: float
  sample:
    - task_id: on_q1
      map_index: -1
      state: success
      queue: cloudwalker_q1
      host: worker1
      try_number: 1
      duration: 0.412
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.airflowops.cluster.plugins.module_utils.airflow.api import (
    AirflowApi,
    AirflowApiError,
    argument_spec,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.airflow.dag_run import (
    DagRun,
    DagRunError,
    check_params,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **argument_spec(),
            "dag_id": {"type": "str", "required": True},
            "conf": {"type": "dict", "default": {}},
            "run_id": {"type": "str"},
            "logical_date": {"type": "str"},
            "unpause": {"type": "bool", "default": True},
            "wait": {"type": "bool", "default": True},
            "timeout": {"type": "float", "default": 600},
            "poll_interval": {"type": "float", "default": 1.0},
            "dag_timeout": {"type": "float", "default": 60},
        },
        supports_check_mode=True,
    )
    try:
        check_params(module.params)
        run = DagRun(AirflowApi.from_params(module.params), module.params)
        result = run.check() if module.check_mode else run.run()
    except DagRunError as error:
        module.fail_json(msg=str(error), **error.result)
    except AirflowApiError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
