"""What the benchmark measures: tasks that do nothing, side by side and in a row."""

from __future__ import annotations

import datetime

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG

COMMON = {
    "schedule": None,
    "start_date": datetime.datetime(2026, 1, 1),
    "max_active_tasks": 1000,
    "default_args": {"retries": 0},
}


def nothing() -> None:
    """As its name says."""


with DAG(dag_id="lab_bench_parallel", **COMMON):
    for number in range(100):
        PythonOperator(task_id=f"task_{number}", python_callable=nothing)

with DAG(dag_id="lab_bench_chain", **COMMON):
    before = None
    for number in range(20):
        now = PythonOperator(task_id=f"task_{number:02}", python_callable=nothing)
        if before is not None:
            before >> now
        before = now
