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

import time
import uuid
from datetime import datetime, timezone
from typing import Any, Callable, NoReturn

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.airflowops.cluster.plugins.module_utils.airflow.api import (
    FINISHED_RUN,
    AirflowApi,
    AirflowApiError,
    StatusError,
    TransientError,
    argument_spec,
    describe_failure,
    describe_import_errors,
    describe_unfinished,
    parse_time,
    seconds_between,
    segment,
    summarize_tasks,
)


class DagRunError(Exception):
    """The run did not succeed, or could not be begun. `result` is what is known of it."""

    def __init__(self, message: str, result: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.result = result or {}


class DagRun:
    """One run of one DAG, from finding the DAG to the end of its tasks."""

    def __init__(
        self,
        api: AirflowApi,
        params: dict[str, Any],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.api = api
        self.params = params
        self.clock = clock
        self.sleep = sleep
        self.dag_id = params["dag_id"]
        self.dag_path = f"dags/{segment(self.dag_id)}"
        self.run_id = params["run_id"] or "ansible__{}_{}".format(
            datetime.now(timezone.utc).isoformat(timespec="seconds"), uuid.uuid4().hex[:8]
        )
        self.run_path = f"{self.dag_path}/dagRuns/{segment(self.run_id)}"

    def check(self) -> dict[str, Any]:
        """What check mode returns. A server that does not answer is an error there as well."""
        dag = self.api.find(self.dag_path)
        known = dag is not None and not dag["is_stale"]
        run = self.api.find(self.run_path) if known and self.params["run_id"] else None
        return {
            "changed": run is None or bool(self.params["unpause"] and dag and dag["is_paused"]),
            "dag_exists": known,
            "run_id": self.params["run_id"],
            "state": run["state"] if run else None,
            "duration": seconds_between(run["start_date"], run["end_date"]) if run else None,
            "tasks": [],
        }

    def run(self) -> dict[str, Any]:
        dag = self.await_dag(self.clock() + self.params["dag_timeout"])
        deadline = self.clock() + self.params["timeout"]
        unpaused = False
        if dag["is_paused"]:
            unpaused = self.unpause(deadline)
        run, triggered = self.trigger(deadline)
        changed = triggered or unpaused
        if self.params["wait"]:
            run = self.await_end(run, changed, deadline)
        tasks = self.tasks(deadline) if self.params["wait"] else []
        result = self.result(run, tasks, changed)
        if self.params["wait"] and run["state"] == "failed":
            raise DagRunError(describe_failure(self.api.url, self.dag_id, self.run_id, tasks), result)
        return result

    def await_dag(self, deadline: float) -> dict[str, Any]:
        """The DAG as the server knows it: parsed, in use, and without an import error."""
        while True:
            dag = self.patiently(lambda: self.api.find(self.dag_path), deadline)
            if dag is not None and not dag["is_stale"] and not dag["has_import_errors"]:
                return dag
            remaining = deadline - self.clock()
            if remaining <= 0:
                raise DagRunError(self.why_no_dag(dag))
            self.sleep(min(self.params["poll_interval"], remaining))

    def why_no_dag(self, dag: dict[str, Any] | None) -> str:
        """A DAG that was never parsed has no file to ask for, so then every import error is told."""
        try:
            errors = self.api.get_all("importErrors", "import_errors", order_by="id")
        except AirflowApiError as error:
            errors, told = [], f" (import errors could not be read: {error})"
        else:
            told = ""
        waited = f"after {self.params['dag_timeout']:g} s"
        if dag is not None and dag["has_import_errors"] and not dag["is_stale"]:
            of_file = [
                error
                for error in errors
                if error["filename"] == dag["relative_fileloc"] and error["bundle_name"] == dag["bundle_name"]
            ]
            detail = describe_import_errors(of_file) or f"{dag['relative_fileloc']}{told}"
            return f"DAG {self.dag_id} still has an import error {waited}: {detail}"
        text = f"DAG {self.dag_id} is not known to {self.api.url} {waited}"
        if errors:
            return f"{text}. Files with import errors: {describe_import_errors(errors)}"
        return (
            f"{text}, and no file has an import error{told}: "
            f"is it deployed, and is the dag-processor running?"
        )

    def unpause(self, deadline: float) -> bool:
        if not self.params["unpause"]:
            if self.params["wait"]:
                raise DagRunError(f"DAG {self.dag_id} is paused, so its run would never end: see unpause")
            return False
        self.patiently(
            lambda: self.api.patch(self.dag_path, {"is_paused": False}, update_mask="is_paused"), deadline
        )
        return True

    def trigger(self, deadline: float) -> tuple[dict[str, Any], bool]:
        """The run, and whether it is ours. Repeated without harm: the identifier is the same each time."""
        if self.params["run_id"]:
            run = self.patiently(lambda: self.api.find(self.run_path), deadline)
            if run is not None:
                return run, False
        body = {
            "dag_run_id": self.run_id,
            "logical_date": self.params["logical_date"],
            "conf": self.params["conf"],
        }
        attempts: list[None] = []

        def send() -> dict[str, Any]:
            attempts.append(None)
            return self.api.post(f"{self.dag_path}/dagRuns", body)

        try:
            return self.patiently(send, deadline), True
        except TransientError as error:
            # No answer is not a no: the run may be there, and a call with its run_id finds it.
            raise DagRunError(
                f"run {self.run_id} of DAG {self.dag_id} could not be triggered within "
                f"{self.params['timeout']:g} s, or the answer was lost: {error}",
                {
                    "changed": True,
                    "dag_exists": True,
                    "run_id": self.run_id,
                    "state": None,
                    "duration": None,
                    "tasks": [],
                },
            ) from None
        except StatusError as error:
            if error.status != 409:
                raise
            run = self.patiently(lambda: self.api.find(self.run_path), deadline)
            if run is None:  # then it is the logical date that is taken
                raise DagRunError(
                    f"DAG {self.dag_id} already has a run for logical_date {self.params['logical_date']}, "
                    f"under another run_id"
                ) from None
            # An earlier attempt of ours, whose answer was lost, or somebody else who was quicker.
            return run, len(attempts) > 1

    def await_end(self, run: dict[str, Any], changed: bool, deadline: float) -> dict[str, Any]:
        while run["state"] not in FINISHED_RUN:
            remaining = deadline - self.clock()
            if remaining <= 0:
                self.time_is_over(run, changed)
            self.sleep(min(self.params["poll_interval"], max(0.0, remaining)))
            try:
                run = self.patiently(lambda: self.api.get(self.run_path), deadline)
            except TransientError as error:
                self.time_is_over(run, changed, error)
        return run

    def time_is_over(
        self, run: dict[str, Any], changed: bool, error: TransientError | None = None
    ) -> NoReturn:
        try:
            if error is not None:
                raise error
            tasks = self.tasks(self.clock())
            message = describe_unfinished(self.dag_id, run, tasks, self.params["timeout"])
        except TransientError as trouble:
            tasks = []
            message = (
                f"run {self.run_id} of DAG {self.dag_id} was {run['state']} when last seen; "
                f"after {self.params['timeout']:g} s: {trouble}"
            )
        raise DagRunError(message, self.result(run, tasks, changed))

    def tasks(self, deadline: float) -> list[dict[str, Any]]:
        return summarize_tasks(
            self.patiently(
                lambda: self.api.get_all(f"{self.run_path}/taskInstances", "task_instances", order_by="id"),
                deadline,
            )
        )

    def result(self, run: dict[str, Any], tasks: list[dict[str, Any]], changed: bool) -> dict[str, Any]:
        return {
            "changed": changed,
            "dag_exists": True,
            "run_id": self.run_id,
            "state": run["state"],
            "duration": seconds_between(run["start_date"], run["end_date"]),
            "tasks": tasks,
        }

    def patiently(self, call: Callable[[], Any], deadline: float) -> Any:
        return self.api.patiently(call, deadline, self.clock, self.sleep)


def check_params(params: dict[str, Any]) -> None:
    """Says what is wrong with the options before anything is sent."""
    for name in ("timeout", "poll_interval"):
        if params[name] <= 0:
            raise DagRunError(f"{name} must be more than 0 seconds")
    if params["dag_timeout"] < 0:
        raise DagRunError("dag_timeout must be 0 seconds or more")
    if params["logical_date"]:
        try:
            moment = parse_time(params["logical_date"])
            aware = moment is not None and moment.tzinfo is not None
        except ValueError:
            aware = False
        if not aware:
            raise DagRunError(
                f"logical_date {params['logical_date']!r} must be ISO 8601 with a time zone, "
                f"as 2026-03-01T00:00:00+00:00"
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
