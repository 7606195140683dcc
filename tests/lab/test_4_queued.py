# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks that wait for many time-outs succeed at their first try; one whose message was lost runs as well."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import Lab, wait_until

pytestmark = [pytest.mark.topology("single_node"), pytest.mark.usefixtures("long")]

DAG = Path(__file__).parent / "dags/lab_queued.py"
PLACE = "/opt/airflow/dags/lab_queued.py"
DROP_IN = "/run/systemd/system/airflow-scheduler.service.d/short.conf"
# By Airflow's rule a task fails when it has waited for three times as long.
TIMEOUT = 4
INSTANCES = "dags/lab_queued/dagRuns/~/taskInstances"
Q2 = "{airflow}:cloudwalker_q2"


def redis(lab: Lab, *command: str) -> str:
    return lab.run(
        "redis-cli", "-c", "-h", lab.address("node1"), "-p", "7000", *command,
        env={"REDISCLI_AUTH": lab.secret("redis")},
    ).strip()  # fmt: skip


def restart(lab: Lab, lines: str) -> None:
    lab.host("node1").run_expect(
        [0],
        f"mkdir -p $(dirname {DROP_IN}) && printf '[Service]\\n{lines}' > {DROP_IN}"
        " && systemctl daemon-reload && systemctl restart airflow-scheduler",
    )


@pytest.fixture
def queued(lab: Lab) -> Iterator[str]:
    """The DAG is known, the scheduler's time-outs are short, the only worker of the second queue is off."""
    host = lab.host("node1")
    host.run_expect([0], f"cat > {PLACE} <<'END'\n{DAG.read_text()}\nEND")
    short = {"TASK_QUEUED_TIMEOUT": TIMEOUT, "TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": 1}
    lines = [f"Environment=AIRFLOW__SCHEDULER__{name}={value}\\n" for name, value in short.items()]
    restart(lab, "".join(lines))
    host.run_expect([0], "systemctl stop airflow-worker@q2")
    try:
        wait_until("the DAG is known", lambda: lab.airflow.find("dags/lab_queued"), timeout=90)
        lab.airflow.patch("dags/lab_queued", {"is_paused": False})
        yield lab.airflow.post("dags/lab_queued/dagRuns", {"logical_date": None})["dag_run_id"]
    finally:
        host.run_expect([0], "systemctl start airflow-worker@q2")
        host.run_expect([0], f"rm {PLACE} {DROP_IN}; systemctl daemon-reload")
        host.run_expect([0], "systemctl restart airflow-scheduler")
        lab.airflow.delete("dags/lab_queued")


def states(lab: Lab) -> dict[str, int]:
    found: dict[str, int] = {}
    for instance in lab.airflow.get(INSTANCES, limit=100)["task_instances"]:
        found[instance["state"]] = found.get(instance["state"], 0) + 1
    return found


def events(lab: Lab, run: str, event: str) -> int:
    return lab.airflow.get("eventLogs", dag_id="lab_queued", run_id=run, event=event)["total_entries"]


def test_tasks_wait_for_a_slot_and_for_their_worker(lab: Lab, queued: str) -> None:
    wait_until("the messages wait", lambda: redis(lab, "llen", Q2) == "3", timeout=60)
    begin = time.monotonic()
    assert redis(lab, "rpop", Q2)
    wait_until("the lost one was sent again", lambda: redis(lab, "llen", Q2) == "3", timeout=120)
    time.sleep(max(0.0, begin + 8 * TIMEOUT - time.monotonic()))
    assert not {"failed", "up_for_retry"} & set(states(lab)), states(lab)
    lab.host("node1").run_expect([0], "systemctl start airflow-worker@q2")
    wait_until("all have run", lambda: states(lab) == {"success": 15}, timeout=180)
    assert events(lab, queued, "running") == 15
    # The one that was lost, and no other.
    assert events(lab, queued, "stuck in queued reschedule") == 1
