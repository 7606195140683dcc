"""Eight tasks at once over all workers, and one that describes the host it ran on."""

from __future__ import annotations

import datetime
import socket
import time

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Param, get_current_context, task


@task
def worker_test() -> str:
    """Waits as long as the run asks for and names the host."""
    time.sleep(get_current_context()["params"]["sleep_seconds"])
    host = socket.gethostname()
    print(f"ran on {host}")
    return host


with DAG(
    dag_id="test_ha_celery_workers",
    description="Spreads tasks over the workers",
    schedule=None,
    start_date=datetime.datetime(2026, 1, 1),
    default_args={"retries": 1, "retry_delay": datetime.timedelta(seconds=10)},
    params={"sleep_seconds": Param(2, type="number", minimum=0, description="Seconds each task waits")},
    tags=["airflowops", "sample"],
):
    system_info = BashOperator(
        task_id="system_info",
        bash_command="hostname; uptime; free -m; df -h /; python3 --version",
    )
    for number in range(8):
        worker_test.override(task_id=f"worker_test_{number}")() >> system_info
