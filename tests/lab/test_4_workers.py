# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers are taken away while they work, and have limits: tasks of others notice nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import ROOT, Lab, recap, wait_until
from test_4_faults import Load, put_dag, put_load_dag

pytestmark = pytest.mark.topology("multi_node")
WORKER = {
    "name": "lab",
    "queues": ["lab_memory"],
    "autoscale": {"min": 1, "max": 3},
    "memory_max": "700M",
    "cpu_weight": 50,
    "environment": {"LAB_WORD": "50 % of $words"},
    "write_paths": ["/srv/lab"],
}


@pytest.fixture(scope="module", autouse=True)
def load_dag(lab: Lab) -> None:
    put_load_dag(lab)


def units(lab: Lab, host: str) -> list[str]:
    return [f"airflow-worker@{worker['name']}.service" for worker in lab.variables(host)["airflow_workers"]]


def test_a_busy_worker_that_is_stopped_fails_no_task(lab: Lab) -> None:
    worker = lab.host("worker2")
    load = Load(lab, tasks=60, seconds=1)
    load.under_way(8)
    try:
        worker.run_expect([0], f"systemctl stop {' '.join(units(lab, 'worker2'))}")
        load.all_done(120)
    finally:
        worker.run_expect([0], f"systemctl start {' '.join(units(lab, 'worker2'))}")


def test_drain_under_load(lab: Lab) -> None:
    worker = lab.host("worker3")
    load = Load(lab, tasks=80, seconds=1)
    load.under_way(8)
    try:
        output = lab.playbook("playbooks/worker_drain.yml", "--limit", "worker3")
        assert "now stopped" in output, output[-2000:]
        for unit in units(lab, "worker3"):
            assert worker.check_output(f"systemctl is-active {unit} || true") == "inactive"
        load.all_done(120)
        # Warm: none was ended by force.
        assert "Killing" not in worker.check_output("journalctl -u 'airflow-worker@*' --since -3min -o cat")
    finally:
        worker.run_expect([0], f"systemctl start {' '.join(units(lab, 'worker3'))}")


def test_drain_with_a_time_limit_names_what_still_runs(lab: Lab) -> None:
    # One for each worker, so that worker3 has some.
    load = Load(lab, tasks=12, seconds=30)
    wait_until(
        "worker3 has tasks",
        lambda: any(task["hostname"] == "worker3" and task["state"] == "running" for task in load.tasks()),
        timeout=60,
    )
    output = lab.playbook(
        "playbooks/worker_drain.yml", "--limit", "worker3", "-e", "worker_drain_timeout=2", check=False
    )
    words = " ".join(output.split())
    assert "After 2 s these tasks still run: lab_load.work of manual__" in words, output[-2000:]
    for unit in units(lab, "worker3"):
        assert lab.host("worker3").check_output(f"systemctl is-active {unit}") == "active"
    load.all_done(120)


def test_drain_refuses_to_leave_a_queue_without_workers(lab: Lab) -> None:
    output = lab.playbook("playbooks/worker_drain.yml", "--limit", "airflow_worker", check=False)
    assert "No other worker serves cloudwalker_q1, cloudwalker_q2, default" in " ".join(output.split())
    output = lab.playbook("playbooks/worker_drain.yml", check=False)
    assert "--limit HOST" in output


def test_workers_are_removed_and_come_back(lab: Lab) -> None:
    worker = lab.host("worker3")
    load = Load(lab, tasks=60, seconds=1)
    load.under_way(8)
    recaps = recap(lab.playbook("playbooks/worker_remove.yml", "--limit", "worker3"))
    assert set(recaps) == {"worker3"}
    assert worker.check_output("ls /etc/systemd/system | grep -c airflow-worker || true") == "0"
    assert worker.check_output("systemctl list-units --all --plain --no-legend 'airflow-worker@*'") == ""
    assert worker.service("airflow-task-logs").is_running
    load.all_done(120)
    lab.playbook("site.yml", "--limit", "worker3", *lab.with_load)
    for unit in units(lab, "worker3"):
        assert worker.service(unit).is_running
        assert worker.service(unit).is_enabled


@pytest.fixture
def worker4(lab: Lab) -> Iterator[Path]:
    """A bare host that the inventory at the path adds to the lab."""
    inventory = lab.directory / "worker4.yml"
    variables = {
        "ansible_host": "10.123.7.44",
        "airflow_workers": [{"name": "late", "queues": ["late"], "concurrency": 2}],
        # Which is worked out from where an inventory lies.
        "lab_directory": str(lab.directory),
    }
    inventory.write_text(json.dumps({"airflow_worker": {"hosts": {"worker4": variables}}}))
    lab.playbook("molecule/shared/create.yml", "-i", inventory)
    yield inventory
    lab.podman("rm", ["worker4"], "--force")


def test_a_worker_is_added_by_a_run_for_it_alone(lab: Lab, worker4: Path) -> None:
    source = ROOT / "tests/lab/dags/lab_late.py"
    shutil.copy(source, lab.with_load[1].partition("=")[2])
    output = lab.playbook("playbooks/worker_add.yml", "-i", worker4, "--limit", "worker4", *lab.with_load)
    assert set(recap(output)) == {"worker4"}
    put_dag(lab, "lab_late")
    run = lab.airflow.post("dags/lab_late/dagRuns", {"logical_date": None})
    path = f"dags/lab_late/dagRuns/{run['dag_run_id']}"
    wait_until("the run's end", lambda: lab.airflow.get(path)["state"] in ("success", "failed"), timeout=60)
    assert returned(lab, path, "where") == ["worker4"]
    # From the worker, by its name, through any master.
    for master in lab.group("airflow_master"):
        lab.host(master).run_expect([0], "getent hosts worker4")
    log = lab.airflow.get(f"{path}/taskInstances/where/logs/1", full_content="true")
    assert "this ran late" in json.dumps(log)
    # What Celery notes of its tasks got into the metastore.
    state = "select count(*) from celery_taskmeta where status = 'SUCCESS'"
    count = lab.host("metastore1").check_output(f'sudo -u postgres psql -Atd airflow_results -c "{state}"')
    assert int(count) >= 1
    again = lab.playbook("site.yml", "-i", worker4, "--limit", "worker4", *lab.with_load)
    assert recap(again)["worker4"]["changed"] == 0


@pytest.fixture(scope="module")
def limited(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One more worker on worker3, by site.yml for that host alone."""
    variables: Path = tmp_path_factory.mktemp("limited") / "workers.json"
    workers = [*lab.variables("worker3")["airflow_workers"], WORKER]
    variables.write_text(json.dumps({"airflow_workers": workers}))
    # Both for everyone, so that systemd alone stands in the way.
    lab.host("worker3").run_expect([0], "install -d -m 1777 /srv /srv/lab")
    output = lab.playbook("site.yml", "--limit", "worker3", "-e", f"@{variables}", *lab.with_load)
    assert "failed=0" in output
    put_dag(lab, "lab_memory")
    yield "airflow-worker@lab.service"
    lab.host("worker3").run_expect(
        [0],
        "chmod 755 /srv && systemctl disable --now airflow-worker@lab"
        " && rm /etc/systemd/system/airflow-worker@lab.service && systemctl daemon-reload",
    )


def test_memory_ends_a_task_and_not_its_worker(lab: Lab, limited: str) -> None:
    worker = lab.host("worker3")
    before = worker.check_output(f"systemctl show -P MainPID {limited}")
    run = lab.airflow.post("dags/lab_memory/dagRuns", {"logical_date": None})
    path = f"dags/lab_memory/dagRuns/{run['dag_run_id']}"
    wait_until(
        "the end of the run", lambda: lab.airflow.get(path)["state"] in ("success", "failed"), timeout=120
    )
    states = {
        task["task_id"]: task["state"] for task in lab.airflow.get(f"{path}/taskInstances")["task_instances"]
    }
    assert states == {"hog": "failed", "word": "success", "places": "success"}
    assert worker.check_output(f"systemctl show -P MainPID {limited}") == before
    assert int(worker.check_output(f"systemctl show -P NRestarts {limited}")) == 0
    word, oom_score = returned(lab, path, "word")
    assert word == WORKER["environment"]["LAB_WORD"]
    # The kernel's choice falls on tasks first.
    assert oom_score == "500"
    assert worker.check_output(f"cat /proc/{before}/oom_score_adj") == "0"


def returned(lab: Lab, path: str, task: str) -> Any:
    value = lab.airflow.get(f"{path}/taskInstances/{task}/xcomEntries/return_value")["value"]
    return json.loads(value) if isinstance(value, str) else value


def test_tasks_write_where_they_are_let(lab: Lab, limited: str) -> None:  # noqa: ARG001 - it is there
    run = lab.airflow.get("dags/lab_memory/dagRuns", order_by="-id")["dag_runs"][0]
    met = returned(lab, f"dags/lab_memory/dagRuns/{run['dag_run_id']}", "places")
    assert met == {"/tmp": "written", "/srv/lab": "written", "/srv": "Read-only file system"}
    # Their /tmp is their own.
    assert not lab.host("worker3").file("/tmp/lab_memory").exists


def test_the_unit_has_what_the_inventory_says(lab: Lab, limited: str) -> None:
    shown = lab.host("worker3").check_output(
        f"systemctl show {limited} -p MemoryMax -p CPUWeight -p OOMPolicy -p ExecStart"
    )
    assert f"MemoryMax={700 << 20}" in shown
    assert "CPUWeight=50" in shown
    assert "OOMPolicy=continue" in shown
    assert "--autoscale 3,1" in shown
