# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each task would make again is made once by the worker, before its slots are forked.

A task runs in a fork of its slot, and leaves nothing behind. AIRFLOWOPS_PRELOAD in the environment names
modules that the worker also imports, such as what all DAG files import:
"pandas airflow.providers.amazon.aws.hooks.s3".
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
from typing import Any

import pydantic
from celery.signals import worker_init

log = logging.getLogger(__name__)


class Adapters:
    """Stands for pydantic's TypeAdapter where tasks make one: the same for the same type."""

    def __init__(self) -> None:
        # With the type, as another one could get its id.
        self.made: dict[int, tuple[Any, pydantic.TypeAdapter[Any]]] = {}

    def __call__(self, kind: Any, **options: Any) -> pydantic.TypeAdapter[Any]:
        if options:
            return pydantic.TypeAdapter(kind, **options)
        if id(kind) not in self.made:
            self.made[id(kind)] = kind, pydantic.TypeAdapter(kind)
        return self.made[id(kind)][1]

    def __getitem__(self, kind: Any) -> Any:
        return pydantic.TypeAdapter[kind]

    def __getattr__(self, name: str) -> Any:
        return getattr(pydantic.TypeAdapter, name)


def keep_adapters() -> None:
    from airflow.sdk.execution_time import comms, task_runner

    adapters = Adapters()
    for module in (comms, task_runner):
        module.TypeAdapter = adapters  # type: ignore[attr-defined]

    def prepare(**_: Any) -> None:
        adapters(comms.ToTask)
        adapters(pydantic.JsonValue)

    worker_init.connect(prepare, weak=False)


def prepare(**_: Any) -> None:
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import BundleDagBag  # noqa: F401 - imports most of what a task does
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.providers.standard.operators.python import PythonOperator
    from airflow.sdk import DAG
    from airflow.sdk.listener import get_listener_manager

    get_listener_manager()
    DagBundlesManager()
    # Of no use but for what is looked up once for all operators.
    with DAG(dag_id="airflowops", schedule=None):
        BashOperator(task_id="bash", bash_command="true")
        PythonOperator(task_id="python", python_callable=print)


def preload(modules: list[str]) -> None:
    """What cannot be imported is left to the tasks that need it, and to their error."""
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:
            log.warning("AIRFLOWOPS_PRELOAD names %s, which cannot be imported: %s", module, error)


def before_slots(**_: Any) -> None:
    try:
        prepare()
    except Exception as error:
        log.warning("The worker cannot prepare what its tasks need, each does it itself: %s", error)
    preload(os.environ.get("AIRFLOWOPS_PRELOAD", "").split())
    # Out of the garbage collector's sight, so that it does not write to what forks share.
    gc.collect()
    gc.freeze()


def install() -> None:
    worker_init.connect(before_slots)
