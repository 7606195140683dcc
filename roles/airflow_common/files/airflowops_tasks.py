# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task costs its worker besides its own work, made less.

The end of a task. Its slot waits for what the task's process sends, and looks whether that has ended when
something came or after `[workers] min_heartbeat_interval`, five seconds. What closes its ends a moment before
it is gone holds the slot for so long: with Airflow's default 76 tasks of 242, and with an interval of one
second every running task sends a heartbeat a second. Here the slot looks every few milliseconds once there is
nothing left to wait for.

The first heartbeat, sent in the moment in which the start of the task has been reported, which counts as one.
It is a fourth of what a short task asks of the execution API.

What each task makes anew: it runs in a fork of its slot, and leaves nothing behind. Here the worker makes it
once, before there are slots. AIRFLOWOPS_PRELOAD in the environment names modules that it also imports then,
such as what all DAG files import: "pandas airflow.providers.amazon.aws.hooks.s3".

AIRFLOWOPS_SPEED=0 in the environment leaves Airflow as it is.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
from typing import Any

import pydantic
from airflow.sdk.execution_time import comms, supervisor, task_runner
from celery.signals import worker_init

# Between two looks at a process that has nothing more to send.
LOOK_SECONDS = 0.01

log = logging.getLogger(__name__)

service_of_airflow = supervisor.WatchedSubprocess._service_subprocess
heartbeat_of_airflow = supervisor.ActivitySubprocess._send_heartbeat_if_needed


def service(self: Any, max_wait_time: float, *args: Any, **kwargs: Any) -> int | None:
    if not self.selector.get_map():
        max_wait_time = min(max_wait_time, LOOK_SECONDS)
    return service_of_airflow(self, max_wait_time, *args, **kwargs)


def heartbeat(self: Any) -> None:
    self._last_heartbeat_attempt = self._last_heartbeat_attempt or self._last_successful_heartbeat
    heartbeat_of_airflow(self)


class Adapters:
    """Stands for pydantic's TypeAdapter where tasks make one: the same for the same type."""

    def __init__(self) -> None:
        # With the type, as another one could get its id.
        self.made: dict[int, tuple[Any, pydantic.TypeAdapter[Any]]] = {}

    def __call__(self, kind: Any) -> pydantic.TypeAdapter[Any]:
        if id(kind) not in self.made:
            self.made[id(kind)] = kind, pydantic.TypeAdapter(kind)
        return self.made[id(kind)][1]


def prepare(**_: Any) -> None:
    """Before the slots are forked."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import BundleDagBag  # noqa: F401 - imports most of what a task does
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.providers.standard.operators.python import PythonOperator
    from airflow.sdk import DAG
    from airflow.sdk.listener import get_listener_manager

    adapters = Adapters()
    for module in (comms, task_runner):
        module.TypeAdapter = adapters  # type: ignore[attr-defined]
    adapters(comms.ToTask)
    adapters(pydantic.JsonValue)
    get_listener_manager()
    DagBundlesManager()
    # Of no use but for what is looked up once for all operators.
    with DAG(dag_id="airflowops", schedule=None):
        BashOperator(task_id="bash", bash_command="true")
        PythonOperator(task_id="python", python_callable=print)
    preload(os.environ.get("AIRFLOWOPS_PRELOAD", "").split())
    # Out of the garbage collector's sight, so that it does not write to what forks share.
    gc.collect()
    gc.freeze()


def preload(modules: list[str]) -> None:
    """What cannot be imported is left to the tasks that need it, and to what they say of it."""
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:
            log.warning("AIRFLOWOPS_PRELOAD names %s, which cannot be imported: %s", module, error)


if os.environ.get("AIRFLOWOPS_SPEED") != "0":
    supervisor.WatchedSubprocess._service_subprocess = service
    supervisor.ActivitySubprocess._send_heartbeat_if_needed = heartbeat
    worker_init.connect(prepare)
