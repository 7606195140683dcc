"""A steady flow for the faults: short tasks, and one that is deferred, each of which notes when it runs.

All hosts of a lab share one kernel, so that its monotonic clock gives one order to what happens on them.
"""

from __future__ import annotations

import datetime
import os
import time
from typing import Any

from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import DAG, BaseOperator, get_current_context, task

RECORDS = "/var/lib/airflow/lab_flow"
TASKS, SECONDS = 3, 1.0


def note(kind: str, number: int) -> None:
    """One write each: lines of several processes do not mix."""
    line = f"{kind} {get_current_context()['run_id']}/{number} {time.monotonic():.4f}\n"
    descriptor = os.open(RECORDS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(descriptor, line.encode())
    os.close(descriptor)


class Deferred(BaseOperator):
    """Waits in a triggerer; what is noted is its end on a worker."""

    def execute(self, context: Any) -> None:  # noqa: ARG002 - Airflow gives it
        self.defer(trigger=TimeDeltaTrigger(datetime.timedelta(seconds=SECONDS)), method_name="go_on")

    def go_on(self, context: Any, event: Any = None) -> None:  # noqa: ARG002 - Airflow gives them
        note("s", TASKS)
        note("e", TASKS)


with DAG(
    dag_id="lab_flow",
    schedule=None,
    start_date=datetime.datetime(2026, 1, 1),
    max_active_runs=1000,
    max_active_tasks=1000,
    # A task that ends with its worker is tried again.
    default_args={"retries": 2, "retry_delay": datetime.timedelta(seconds=1)},
):

    @task
    def work(number: int) -> None:
        note("s", number)
        time.sleep(SECONDS)
        note("e", number)

    work.expand(number=list(range(TASKS)))
    Deferred(task_id="deferred")
