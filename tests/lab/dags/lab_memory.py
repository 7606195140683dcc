"""What a worker's limits are for: a task that takes all memory, and two that report their surroundings."""

from __future__ import annotations

import datetime
import os
import signal
from pathlib import Path

from airflow.sdk import DAG, task

with DAG(
    dag_id="lab_memory",
    schedule=None,
    start_date=datetime.datetime(2026, 1, 1),
    default_args={"retries": 0, "queue": "lab_memory"},
):

    @task
    def hog() -> None:
        """Takes 2 GiB. If it is still there, as in a lab whose cgroups have no memory controller, it does to
        itself what the kernel would have done.
        """
        _blocks = [b"x" * (32 << 20) for _ in range(64)]
        os.kill(os.getpid(), signal.SIGKILL)

    @task(trigger_rule="all_done")
    def word() -> list[str]:
        return [os.environ["LAB_WORD"], Path("/proc/self/oom_score_adj").read_text().strip()]

    @task(trigger_rule="all_done")
    def places() -> dict[str, str]:
        """What a task that writes to a place meets there."""
        met = {}
        for place in ("/tmp", "/srv/lab", "/srv"):
            try:
                Path(place, "lab_memory").write_text("here")
                met[place] = "written"
            except OSError as error:
                met[place] = str(error.strerror)
        return met

    hog() >> [word(), places()]
