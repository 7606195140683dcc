# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A steady flow of DAG runs through the lab's nginx: what users and schedules make of a cluster."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import Counter

import results
from lab import Lab, wait_until
from lab_flow import each
from results import Records, Round
from test_4_faults import put_dag

RECORDS = "/var/lib/airflow/lab_flow"
# Seconds between two runs, and the tasks of each: see tests/lab/dags/lab_flow.py.
EVERY, TASKS = 3.0, 4
# Worker host -> when its tasks were killed in this round; noted by the fault that does so.
killed: dict[str, float] = {}


class Runs:
    """A run is accepted when the REST API has answered; its tasks count as accepted then."""

    note = (
        f"a DAG run of {TASKS} tasks every {EVERY:g} s by the REST API, one task of each deferred, "
        "with two retries a second later"
    )

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.workers = lab.group("airflow_worker")
        self.runs: dict[str, float] = {}
        self.ending = threading.Event()
        self.thread: threading.Thread | None = None

    def install(self) -> None:
        put_dag(self.lab, "lab_flow")

    def start_workers(self) -> None:
        """Airflow's own."""

    def begin(self) -> None:
        killed.clear()
        each(lambda host: self.lab.host(host).run_expect([0], f"rm -f {RECORDS}"), self.workers)
        self.runs = {}
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._trigger)
        self.thread.start()

    def _trigger(self) -> None:
        following = time.monotonic()
        while not self.ending.wait(max(0.0, following - time.monotonic())):
            following = time.monotonic() + EVERY
            try:
                run = self.lab.airflow.post("dags/lab_flow/dagRuns", {"logical_date": None})
            except Exception as error:  # Not accepted: the next one takes its place.
                print(f"a run was not accepted: {error}", flush=True)
                following = time.monotonic() + 0.5
            else:
                self.runs[run["dag_run_id"]] = time.monotonic()

    def end(self) -> None:
        if self.thread is not None:
            self.ending.set()
            self.thread.join()
            self.thread = None

    stop = end

    def records(self) -> Records:
        lines = [f"a {run}/{number} {at}" for run, at in self.runs.items() for number in range(TASKS)]
        for host, text in zip(
            self.workers,
            each(lambda host: self.lab.host(host).run(f"cat {RECORDS}").stdout, self.workers),
            strict=True,
        ):
            noted = text.splitlines()
            lines += noted
            if host in killed:
                lines += cut_short(noted, killed[host])
        return Records.of(lines)

    def flowing(self, since: float, timeout: float = 180.0) -> None:
        """Until a run was accepted, and a task begun, some seconds after the moment."""

        def steady() -> bool:
            records = self.records()
            begun = [moment for moments in records.begun.values() for moment in moments]
            return all(
                any(moment > since + EVERY for moment in moments)
                for moments in (records.accepted.values(), begun)
            )

        wait_until("runs flow steadily", steady, timeout=timeout)

    def drained(self, timeout: float) -> Records:
        """The records when every run has ended, or when the time is over."""
        deadline = time.monotonic() + timeout
        while not set(self.states()) <= {"success", "failed"} and time.monotonic() < deadline:
            time.sleep(1)
        return self.records()

    def states(self) -> Counter[str]:
        runs = self.lab.airflow.get_all("dags/lab_flow/dagRuns", "dag_runs", order_by="-id")
        return Counter(run["state"] for run in runs if run["dag_run_id"] in self.runs)

    def count(self, records: Records, fault_at: float, **_: int) -> Round:
        states = self.states()
        done = results.count(
            records, fault_at, sum(states.values()), sum(states.values()) - states["success"]
        )
        return dataclasses.replace(done, again=results.again(records))


def cut_short(noted: list[str], at: float) -> list[str]:
    """Of a host's lines: the executions that were under way when its tasks were killed."""
    under_way: set[str] = set()
    for kind, number, moment in map(str.split, noted):
        if float(moment) < at:
            (under_way.add if kind == "s" else under_way.discard)(number)
    return [f"k {number} {at}" for number in sorted(under_way)]
