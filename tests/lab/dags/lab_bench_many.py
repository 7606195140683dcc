"""One of many DAGs of the benchmark, each of which is a copy of this file: ten rows of ten tasks."""

from __future__ import annotations

import datetime
from pathlib import Path

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG


def nothing() -> None:
    """As its name says."""


with DAG(
    dag_id=Path(__file__).stem,
    schedule=None,
    start_date=datetime.datetime(2026, 1, 1),
    max_active_tasks=1000,
    default_args={"retries": 0},
):
    for column in range(10):
        before = None
        for row in range(10):
            now = PythonOperator(task_id=f"row_{row}_column_{column}", python_callable=nothing)
            if before is not None:
                before >> now
            before = now
