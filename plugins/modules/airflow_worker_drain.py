#!/usr/bin/python
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: airflow_worker_drain
short_description: Drain the Celery workers of a host, so that they finish their tasks and take no new ones
version_added: 0.1.0
description:
  - Stops the workers of some hosts from taking more tasks, and waits until their running tasks have ended.
    Then the workers can be stopped, and nothing has to wait for them. To stop them is left to the caller; a
    minute later they would take tasks again.
  - If tasks still run when O(timeout) is over, the workers take tasks again and the module fails, naming
    these tasks.
  - Works through Celery's remote control, with the commands that the role
    P(airflowops.cluster.airflow_common#role) brings to the workers.
author:
  - The airflowops.cluster maintainers (@airflowops)
extends_documentation_fragment:
  - airflowops.cluster.celery
options:
  hosts:
    description: The hosts whose workers are drained. Compared with the host part of the workers' names.
    type: list
    elements: str
    required: true
  running:
    description:
      - Workers that are known to run, by their Celery node names. If one does not answer within ten seconds,
        the module fails and names it, and nothing is changed. Without it, whoever answers is drained.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds to wait for running tasks, more than 0.
    type: float
    default: 3600
  allow_unserved:
    description:
      - Whether a queue may be left without any worker. Its tasks wait then until there is one.
    type: bool
    default: false
attributes:
  check_mode:
    description: Lists which workers would be drained.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
seealso:
  - module: airflowops.cluster.airflow_queue_membership
"""

EXAMPLES = r"""
- name: Let worker3 finish what it has, for half an hour at the most
  airflowops.cluster.airflow_worker_drain:
    hosts: [worker3]
    running: [default@worker3]
    timeout: 1800
    broker_url: "{{ my_broker_url }}"
    broker_transport_options:
      global_keyprefix: "{airflow}:"
"""

RETURN = r"""
drained:
  description: The workers, by their Celery node names, with the queues that they served.
  returned: when the workers could be asked
  type: dict
  sample: {default@worker3: [default]}
unserved:
  description: Queues that no other worker serves.
  returned: when the workers could be asked
  type: list
  elements: str
running:
  description: What still ran when the time was over.
  returned: when that is why it failed
  type: list
  elements: str
  sample: ["etl.load of manual__2026-03-01T00:00:00+00:00 on default@worker3"]
waited:
  description: Seconds that the workers took to finish.
  returned: when they were drained
  type: float
"""

import time
from functools import partial

from ansible_collections.airflowops.cluster.plugins.module_utils.celery.arguments import celery_argument_spec
from ansible_collections.airflowops.cluster.plugins.module_utils.celery.inspect import (
    QueueMembershipError,
    ask_celery,
    drain_plan,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.celery.pause import WorkerPause
from ansible_collections.airflowops.cluster.plugins.module_utils.unlogged_module import QuietModule

# Seconds. A worker that waited at the broker when it was asked to stop takes one more message: kombu's Redis
# transport waits for up to a second at a time.
LAST_MESSAGE = 1.5
# Seconds in which workers answer who they are.
ROLL_CALL = 10.0


def roll_call(celery: tuple[str, str, dict], running: list[str]) -> tuple[dict[str, list[str]], list[str]]:
    """The workers that answer, with their queues, and those of the running ones that do not."""
    deadline = time.monotonic() + ROLL_CALL
    while True:
        workers = ask_celery(*celery, {}, ROLL_CALL).workers
        silent = sorted(set(running) - set(workers))
        if not silent or time.monotonic() >= deadline:
            return workers, silent


def main() -> None:
    module = QuietModule(
        argument_spec={
            "hosts": {"type": "list", "elements": "str", "required": True},
            "running": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "float", "default": 3600},
            "allow_unserved": {"type": "bool", "default": False},
            **celery_argument_spec(),
        },
        supports_check_mode=True,
    )
    params = module.params
    if params["timeout"] <= 0:
        module.fail_json(msg="timeout must be more than 0 seconds")
    options = {**params["broker_transport_options"], **params["broker_secret_options"]}
    celery = (params["celery_python"], params["broker_url"], options)
    result: dict = {"changed": False}
    try:
        workers, silent = roll_call(celery, params["running"])
        if silent:
            module.fail_json(
                msg=f"{', '.join(silent)} did not answer through the broker within {ROLL_CALL:g} s, so "
                "nobody knows what tasks run there (journalctl -u airflow-worker@NAME may show why). "
                "Restart it and run again, or stop it by systemctl, which waits for its tasks for "
                "airflow_worker_stop_timeout. Nothing was changed.",
                **result,
            )
        drained, unserved = drain_plan(workers, params["hosts"])
        result.update(drained=drained, unserved=unserved)
        if unserved and not params["allow_unserved"]:
            module.fail_json(
                msg=f"No other worker serves {', '.join(unserved)}: drain the hosts one after the other, "
                "start workers elsewhere, or allow it, and the tasks of these queues wait.",
                **result,
            )
        if not drained or module.check_mode:
            module.exit_json(**{**result, "changed": bool(drained)}, waited=0.0)
        start = time.monotonic()
        quiet = partial(time.sleep, LAST_MESSAGE)
        with WorkerPause(*celery, params["timeout"], quiet, only=list(drained)) as pause:
            running = pause.paused.running
            if not running:
                pause.leave()
    except QueueMembershipError as error:
        module.fail_json(msg=str(error), **result)
    for name in pause.paused.unpaused:
        module.warn(f"{name} runs with an older configuration and takes tasks until it is stopped.")
    if running:
        module.fail_json(
            msg=f"After {params['timeout']:g} s these tasks still run: {', '.join(running)}. The workers "
            "take tasks again. Wait for longer, or stop the tasks in Airflow.",
            running=running,
            **result,
        )
    module.exit_json(**{**result, "changed": True}, waited=round(time.monotonic() - start, 1))


if __name__ == "__main__":
    main()
