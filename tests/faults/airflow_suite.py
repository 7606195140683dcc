# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of Airflow's own parts and their hosts. Each makes one, and returns when its part is back."""

from __future__ import annotations

import itertools
import time
from functools import partial

import redis_suite
from lab import MASTER_UNITS, ROOT, Lab, wait_until
from lab_runs import Runs, killed
from results import RUNS_HEADER as HEADER
from suite import Fault

__all__ = ["HEADER"]
# A worker's host stays off for longer than its tasks may take to run again; a master's for longer than the
# others take to see that its scheduler is gone (`[scheduler] scheduler_health_check_threshold`, 30 s).
OFF_SECONDS = {"airflow_worker": 60, "airflow_master": 40}
# Another host at each round.
turns = itertools.count()


def lab() -> Lab:
    return Lab("multi_node")


def flow(lab: Lab) -> Runs:
    return Runs(lab)


def prepare(lab: Lab) -> None:
    """Nothing."""


def units(lab: Lab, host: str) -> list[str]:
    if host in lab.group("airflow_master"):
        return list(MASTER_UNITS)
    if host in lab.group("airflow_worker"):
        return [f"airflow-worker@{worker['name']}" for worker in lab.variables(host)["airflow_workers"]]
    return []


def active(lab: Lab, host: str) -> bool:
    return all(lab.host(host).run(f"systemctl is-active --quiet {unit}").rc == 0 for unit in units(lab, host))


def whole(lab: Lab) -> None:
    """Every unit is active."""
    for host in lab.group("airflow_master") + lab.group("airflow_worker"):
        wait_until(f"all of {host} is back", partial(active, lab, host), timeout=120)


def queues_served(lab: Lab) -> None:
    """Each queue has its workers again."""
    whole(lab)
    lab.playbook(ROOT / "tests/lab/membership.yml")


def one_of(lab: Lab, group: str) -> str:
    hosts = lab.group(group)
    return hosts[next(turns) % len(hosts)]


def kill_unit(unit: str, lab: Lab) -> None:
    host = one_of(lab, "airflow_master")
    lab.host(host).run_expect([0], f"systemctl kill --kill-whom=main --signal=KILL {unit}")
    # Until systemd has seen it.
    time.sleep(2)
    wait_until(f"{unit} is back", lambda: active(lab, host), timeout=60)


def ran_again(lab: Lab) -> None:
    """Until nothing that was killed is still to run, or for too long."""
    deadline = time.monotonic() + 2 * AGAIN
    seen = Runs(lab)
    while time.monotonic() < deadline:
        records = seen.records()
        if all(len(records.begun[number]) > 1 for number in records.killed):
            return
        time.sleep(1)


def kill_worker(lab: Lab) -> None:
    host = one_of(lab, "airflow_worker")
    (unit,) = units(lab, host)
    busy(lab, host)
    # Its tasks end with it: systemd leaves none behind.
    lab.host(host).run_expect([0], f"systemctl kill --kill-whom=all --signal=KILL {unit}")
    killed[host] = time.monotonic()
    ran_again(lab)
    queues_served(lab)


def busy(lab: Lab, host: str) -> None:
    """Until the host has a task under way that has just begun."""

    def under_way() -> bool:
        noted = lab.host(host).run("tail -n 1 /var/lib/airflow/lab_flow").stdout.split()
        return bool(noted) and noted[0] == "s" and time.monotonic() - float(noted[2]) < 0.5

    wait_until(f"{host} has a task under way", under_way, timeout=60, poll=0.1)


def power_off(group: str, lab: Lab) -> None:
    host = one_of(lab, group)
    if group == "airflow_worker":
        busy(lab, host)
    lab.podman("kill", [host], "--signal=KILL")
    killed[host] = time.monotonic()
    try:
        time.sleep(OFF_SECONDS[group])
    finally:
        lab.podman("start", [host])
    wait_until("the host is back", lambda: lab.host(host).run("true").rc == 0, timeout=60)
    if group == "airflow_worker":
        queues_served(lab)


def reboot_each(lab: Lab) -> None:
    for host in lab.hosts:
        lab.podman("restart", [host], "--time=90")
        wait_until(
            f"{host} is up",
            lambda host=host: (
                lab.host(host).run("systemctl is-system-running --wait").stdout.strip() == "running"
                and active(lab, host)
            ),
            timeout=180,
        )
        redis_suite.answers(lab)
    queues_served(lab)


# What the loss of a master or a part of it may cost: seconds without a run accepted, or a task begun.
MASTER_GAP = 15.0
# Until a lost worker's tasks run again.
AGAIN = 60.0
FAULTS = [
    *(
        Fault(
            f"{unit.removeprefix('airflow-').replace('-', '_')}_killed",
            f"`{unit}` of a master: SIGKILL",
            partial(kill_unit, unit),
            most_gap=MASTER_GAP,
        )
        for unit in MASTER_UNITS
    ),
    Fault("worker_killed", "a worker and its tasks: SIGKILL", kill_worker, most_again=AGAIN),
    Fault(
        "master_off",
        f"a master's host: power off for {OFF_SECONDS['airflow_master']} s",
        partial(power_off, "airflow_master"),
        most_gap=MASTER_GAP,
    ),
    Fault(
        "worker_off",
        f"a worker's host: power off for {OFF_SECONDS['airflow_worker']} s",
        partial(power_off, "airflow_worker"),
        most_again=AGAIN,
    ),
    Fault("reboot", "each of the ten hosts rebooted, one after the other", reboot_each, planned=True),
]
