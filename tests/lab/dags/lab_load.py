"""Load for the tests of the lab: as many tasks as a run asks for, none of which is tried twice."""

from __future__ import annotations

import datetime
import time

from airflow.sdk import DAG, Param, get_current_context, task

with DAG(
    dag_id="lab_load",
    schedule=None,
    start_date=datetime.datetime(2026, 1, 1),
    default_args={"retries": 0},
    max_active_tasks=200,
    params={"tasks": Param(100, type="integer"), "seconds": Param(0.2, type="number")},
):

    @task
    def numbers() -> list[int]:
        return list(range(get_current_context()["params"]["tasks"]))

    @task
    def work(number: int) -> int:
        time.sleep(get_current_context()["params"]["seconds"])
        return number

    work.expand(number=numbers())
