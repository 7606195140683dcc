"""One task on each of two queues; each prints the host that ran it."""

from __future__ import annotations

import datetime

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG(
    dag_id="hello_world2",
    description="A task for each of two queues",
    schedule=None,
    start_date=datetime.datetime(2026, 1, 1),
    default_args={"retries": 1, "retry_delay": datetime.timedelta(seconds=10)},
    tags=["airflowops", "sample"],
):
    for queue in ("q1", "q2"):
        BashOperator(
            task_id=f"task_for_{queue}",
            bash_command=f'echo "queue cloudwalker_{queue} served by $(hostname)"',
            queue=f"cloudwalker_{queue}",
        )
