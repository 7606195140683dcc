# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Breaks things under load: no task may be lost or fail, and nobody helps."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from lab import ROOT, Lab, wait_until
from test_2_verify import redis_info, run_dag


@pytest.fixture(scope="module")
def load_dag(lab: Lab) -> None:
    put_load_dag(lab)


def put_load_dag(lab: Lab) -> None:
    put_dag(lab, "lab_load")


def put_dag(lab: Lab, name: str, folder: Path = ROOT / "tests/lab/dags") -> None:
    """Puts a DAG of the tests beside the others; the next run of site.yml removes it."""
    source = (folder / f"{name}.py").read_text()
    for host in {*lab.group("airflow_master"), *lab.group("airflow_worker")}:
        lab.host(host).run_expect([0], f"cat > /opt/airflow/dags/{name}.py <<'END'\n{source}\nEND")
    wait_until(
        f"the DAG {name} is known",
        lambda: (dag := lab.airflow.find(f"dags/{name}")) and not dag["is_stale"],
        timeout=90,
    )
    lab.airflow.patch(f"dags/{name}", {"is_paused": False})


class Load:
    """A run of many tasks, each of which may be tried once only."""

    def __init__(self, lab: Lab, tasks: int = 100, seconds: float = 0.2) -> None:
        self.lab = lab
        self.number = tasks
        run = lab.airflow.post(
            "dags/lab_load/dagRuns", {"logical_date": None, "conf": {"tasks": tasks, "seconds": seconds}}
        )
        self.path = f"dags/lab_load/dagRuns/{run['dag_run_id']}"

    def tasks(self) -> list[dict]:
        return [
            task
            for task in self.lab.airflow.get_all(
                f"{self.path}/taskInstances", "task_instances", order_by="id"
            )
            if task["task_id"] == "work"
        ]

    def under_way(self, least: int) -> None:
        wait_until(
            f"{least} of {self.number} tasks done",
            lambda: Counter(task["state"] for task in self.tasks())["success"] >= least,
            timeout=120,
        )

    def ended(self, timeout: float) -> str:
        return wait_until(
            "the end of the run",
            lambda: (state := self.lab.airflow.get(self.path)["state"]) in ("success", "failed") and state,
            timeout=timeout,
            poll=1,
        )

    def results(self) -> Counter:
        return Counter((task["state"], task["try_number"]) for task in self.tasks())

    def all_done(self, timeout: float) -> None:
        state = self.ended(timeout)
        assert self.results() == {("success", 1): self.number}
        assert state == "success"


@pytest.fixture(scope="module")
def long_tasks(lab: Lab, load_dag: None) -> Load | None:  # noqa: ARG001 - a fixture asks for another by name
    """Two tasks that outlast the faults and the visibility timeout: offered again, but not run again.

    On the many hosts alone, whose other faults take as long anyway.
    """
    return Load(lab, tasks=2, seconds=170) if lab.topology == "multi_node" else None


@pytest.mark.topology("multi_node")
def test_a_queue_survives_one_of_its_workers(lab: Lab) -> None:
    stopped, other = lab.host("worker2"), "worker3"
    stopped.run_expect([0], "systemctl stop airflow-worker@q2")
    try:
        run = run_dag(lab, "hello_world2")
        assert run["state"] == "success"
        assert {task["host"] for task in run["tasks"] if task["queue"] == "cloudwalker_q2"} == {other}
    finally:
        stopped.run_expect([0], "systemctl start airflow-worker@q2")


@pytest.mark.topology("multi_node")
def test_the_membership_check_names_what_is_missing(lab: Lab) -> None:
    for host in ("worker2", "worker3"):
        lab.host(host).run_expect([0], "systemctl stop airflow-worker@q2")
    try:
        output = lab.playbook(ROOT / "tests/lab/membership.yml", check=False)
        text = " ".join(output.split())
        assert "cloudwalker_q2" in text, output
        assert "worker2" in text
        assert "worker3" in text
        assert "failed=1" in output
    finally:
        for host in ("worker2", "worker3"):
            lab.host(host).run_expect([0], "systemctl start airflow-worker@q2")


@pytest.mark.topology("multi_node")
@pytest.mark.usefixtures("load_dag", "long_tasks")
def test_the_slot_owner_is_killed_while_tasks_are_queued(lab: Lab) -> None:
    owner = redis_info(lab, key="{airflow}:x")["owner_of"]
    host = next(name for name in lab.group("redis_cluster") if lab.address(name) == owner["host"])
    load = Load(lab)
    load.under_way(5)
    # Held down for longer than the node timeout: systemd would have it back in a second.
    unit = f"redis-cluster@{owner['port']}"
    lab.host(host).run_expect([0], f"systemctl mask --runtime {unit} && systemctl kill --signal=KILL {unit}")
    try:
        load.all_done(timeout=300)
        promoted = redis_info(lab, key="{airflow}:x")["owner_of"]
        assert promoted["id"] != owner["id"], "no replica was promoted"
    finally:
        lab.host(host).run_expect([0], f"systemctl unmask --runtime {unit} && systemctl start {unit}")
    wait_until("every node is back", lambda: not redis_info(lab)["unreachable_nodes"], timeout=60)


@pytest.mark.topology("multi_node")
@pytest.mark.usefixtures("load_dag", "long_tasks")
def test_the_metastore_is_gone_for_thirty_seconds(lab: Lab) -> None:
    """Longer than a scheduler takes to end, and to end again in the middle of its start."""
    (host,) = lab.group("postgres_metastore")
    unit = "postgresql@" + lab.host(host).check_output("ls /etc/postgresql") + "-main"
    load = Load(lab)
    load.under_way(5)
    lab.host(host).run_expect([0], f"systemctl stop {unit}")
    time.sleep(30)
    lab.host(host).run_expect([0], f"systemctl start {unit}")
    load.all_done(timeout=240)


@pytest.mark.usefixtures("load_dag", "long_tasks")
def test_the_whole_broker_is_gone_for_twenty_seconds(lab: Lab) -> None:
    hosts = lab.group("redis_cluster")
    load = Load(lab)
    load.under_way(5)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda host: lab.host(host).run_expect([0], "systemctl stop 'redis-cluster@*'"), hosts))
        time.sleep(20)
        ports = lab.variables(hosts[0]).get("redis_cluster_ports", [7000, 7001])
        units = " ".join(f"redis-cluster@{port}" for port in ports)
        list(pool.map(lambda host: lab.host(host).run_expect([0], f"systemctl start {units}"), hosts))
    load.all_done(timeout=300)


@pytest.mark.topology("multi_node")
def test_tasks_that_ran_all_the_while_have_succeeded(long_tasks: Load) -> None:
    long_tasks.all_done(timeout=300)


def test_every_host_reboots(lab: Lab) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda host: lab.podman("restart", [host], "--time=60"), lab.hosts))
    wait_until("the API is back", lambda: lab.airflow.get("dags"), timeout=180)

    def dag_succeeds() -> bool:
        return run_dag(lab, "hello_world2", timeout=120)["state"] == "success"

    assert dag_succeeds()
    for host in lab.hosts:
        assert wait_until(
            f"{host} is up",
            lambda host=host: (
                lab.host(host).run("systemctl is-system-running").stdout.strip() in ("running", "degraded")
            ),
            timeout=180,
        )
        assert lab.host(host).check_output("systemctl --failed --plain --no-legend") == ""
