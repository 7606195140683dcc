#!/usr/bin/python
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Airflow says of its own health, by its REST API."""

from __future__ import annotations

DOCUMENTATION = r"""
module: airflow_health_info
short_description: Read the health of Airflow's schedulers, DAG files and waiting tasks
version_added: 0.1.0
author:
  - The airflowops.cluster maintainers (@airflowops)
description:
  - Asks one API server of Airflow for its version, for the heartbeats of every scheduler, DAG processor and
    triggerer, not of the latest one alone, for import errors, for the age of what was read of the DAG files,
    and for the tasks that wait for a worker.
  - Changes nothing. An API server that does not answer is no error but a result, RV(answers).
extends_documentation_fragment:
  - airflowops.cluster.attributes.read_only
  - airflowops.cluster.airflow_api
options:
  timeout:
    description: Seconds that each answer may take, instead of the 15 that the other modules wait.
    type: float
    default: 5
attributes:
  platform:
    description: The systems it runs on.
    support: full
    platforms: posix
notes:
  - The user must be allowed to see jobs, import errors, DAGs and task instances, as Airflow's role C(Op) and
    C(Admin) are. What the user may not see is named in RV(errors).
seealso:
  - module: airflowops.cluster.host_health_info
  - module: airflowops.cluster.airflow_queue_membership
"""

EXAMPLES = r"""
- name: Ask this master's own API server
  airflowops.cluster.airflow_health_info:
    url: http://127.0.0.1:8080
    username: admin
    password: "{{ airflow_admin_password }}"
  register: airflow

- name: Report whose heart does not beat
  ansible.builtin.debug:
    msg: "{{ airflow.jobs | selectattr('heartbeat_age', '>', 30) | list }}"
"""

RETURN = r"""
answers:
  description: Whether the API server answered and let the user in.
  returned: always
  type: bool
login_refused:
  description: Whether it answered and did not let the user in.
  returned: always
  type: bool
reason:
  description: Why it did not answer, or why the user was not let in. Empty if neither.
  returned: always
  type: str
version:
  description: Airflow's version, null if it could not be had.
  returned: always
  type: str
  sample: 3.3.2
metastore_reached:
  description: Whether the API server reaches its database, null if it did not answer.
  returned: always
  type: bool
jobs:
  description:
    - The latest job of each kind on each host. A host that was taken away stays listed for as long as Airflow
      remembers its jobs.
  returned: always
  type: list
  elements: dict
  contains:
    type:
      description: V(SchedulerJob), V(DagProcessorJob) or V(TriggererJob).
      type: str
    host:
      description: The host by the name that it has for itself.
      type: str
    state:
      description: What Airflow noted, such as V(running). A process that was killed stays V(running).
      type: str
    heartbeat_age:
      description: Seconds since the last heartbeat, by the clock of the host that runs the module.
      type: float
  sample: [{type: SchedulerJob, host: master1, state: running, heartbeat_age: 2.3}]
import_errors:
  description: DAG files that could not be read, at most 100 of them, with the last line of the error.
  returned: always
  type: list
  elements: dict
  sample: [{file: broken.py, bundle: dags-folder, error: "ModuleNotFoundError: No module named 'pandas'"}]
import_error_count:
  description: How many such files there are.
  returned: always
  type: int
dags:
  description: How many DAGs are in use, and how many seconds ago the oldest was read, of the first 500.
  returned: always
  type: dict
  sample: {count: 12, oldest: sales, oldest_age: 31.2}
queued:
  description:
    - Tasks that wait for a worker, by queue. C(oldest_age) is in seconds. The first 500 are looked at,
      C(count) is all.
  returned: always
  type: dict
  sample: {count: 3, queues: {default: {tasks: 3, oldest_age: 4.2, dag: sales}}}
errors:
  description: What of all this could not be had, with the reason.
  returned: always
  type: dict
  sample: {jobs: "GET /api/v2/jobs answered 403: Forbidden"}
"""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.airflowops.cluster.plugins.module_utils.airflow.api import (
    AirflowApi,
    AirflowApiError,
    AuthenticationError,
    argument_spec,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.airflow.health import (
    JOB_TYPES,
    describe_dags,
    describe_errors,
    describe_jobs,
    describe_queued,
)

MOST_JOBS = 100
MOST_PAGES = 5


def jobs(api: AirflowApi) -> list[dict[str, Any]]:
    found = []
    for kind in JOB_TYPES:
        found += api.get("jobs", job_type=kind, limit=MOST_JOBS, order_by="-latest_heartbeat")["jobs"]
    return describe_jobs(found, time.time())


def first_pages(api: AirflowApi, path: str, key: str, **query: Any) -> tuple[list[dict[str, Any]], int]:
    """(entries, how many there are in all): a cluster that is in trouble may have very many."""
    entries: list[dict[str, Any]] = []
    total = 0
    for _ in range(MOST_PAGES):
        page = api.get(path, limit=100, offset=len(entries), **query)
        entries += page[key]
        total = page["total_entries"]
        if not page[key] or len(entries) >= total:
            break
    return entries, total


def queued(api: AirflowApi) -> dict[str, Any]:
    path = "dags/~/dagRuns/~/taskInstances"
    return describe_queued(
        *first_pages(api, path, "task_instances", state="queued", order_by="id"), time.time()
    )


def dags(api: AirflowApi) -> dict[str, Any]:
    return describe_dags(*first_pages(api, "dags", "dags", order_by="dag_id"), time.time())


def ask(api: AirflowApi) -> dict[str, Any]:
    """All of it. Of one thing that cannot be had the reason is reported, and the others all the same."""
    result: dict[str, Any] = {
        "answers": False,
        "login_refused": False,
        "reason": "",
        "version": None,
        "metastore_reached": None,
        "jobs": [],
        "import_errors": [],
        "import_error_count": 0,
        "dags": {},
        "queued": {},
        "errors": {},
    }
    try:
        api.log_in()
    except AuthenticationError as error:
        return {**result, "login_refused": True, "reason": str(error)}
    except AirflowApiError as error:
        return {**result, "reason": str(error)}
    result["answers"] = True
    questions: dict[str, Callable[[], Any]] = {
        "version": lambda: api.get("version")["version"],
        "metastore_reached": lambda: api.get("monitor/health")["metadatabase"]["status"] == "healthy",
        "jobs": lambda: jobs(api),
        "import_errors": lambda: api.get("importErrors", limit=100, order_by="id"),
        "dags": lambda: dags(api),
        "queued": lambda: queued(api),
    }
    with ThreadPoolExecutor(len(questions)) as pool:
        futures = {name: pool.submit(question) for name, question in questions.items()}
    for name, future in futures.items():
        try:
            result[name] = future.result()
        except AirflowApiError as error:
            result["errors"][name] = str(error)
        except (KeyError, TypeError) as error:
            result["errors"][name] = f"it did not answer like Airflow 3 ({type(error).__name__}: {error})"
    if isinstance(result["import_errors"], dict):
        result["import_error_count"] = result["import_errors"]["total_entries"]
        result["import_errors"] = describe_errors(result["import_errors"]["import_errors"])
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={**argument_spec(), "timeout": {"type": "float", "default": 5}},
        supports_check_mode=True,
    )
    if module.params["timeout"] <= 0:
        module.fail_json(msg="timeout must be more than 0 seconds")
    try:
        api = AirflowApi.from_params(module.params)
    except AirflowApiError as error:
        module.fail_json(msg=str(error))
    api.timeout = module.params["timeout"]
    module.exit_json(changed=False, **ask(api))


if __name__ == "__main__":
    main()
