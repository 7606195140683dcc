# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The flow of plain Celery tasks in the lab: workers on its worker hosts, publishers on its masters."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import results
from lab import Lab, credential, wait_until
from results import Records

HERE = Path(__file__).parent
FOLDER = "/var/lib/airflow/flow"
WORKER, PUBLISHER = "faults-flow-worker", "faults-flow-publisher"
# Tasks a second over all publishers, and how many run at a time on each worker host.
PER_SECOND = 24
CONCURRENCY = 8

Result = TypeVar("Result")


def each(function: Callable[[str], Result], hosts: Iterable[str]) -> list[Result]:
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(function, hosts))


class Flow:
    """Transient systemd units on the lab's hosts, with the environment of Airflow's own services."""

    note = f"{PER_SECOND} plain Celery tasks a second on three workers of {CONCURRENCY} slots each"
    count = staticmethod(results.count)

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.publishers = lab.group("airflow_master")
        self.workers = lab.group("airflow_worker")

    def _start(self, host: str, unit: str, command: str, *properties: str) -> None:
        options = [
            f"--unit={unit} --uid=airflow --working-directory={FOLDER}",
            credential("AIRFLOW__CELERY__BROKER_URL"),
            credential("AIRFLOW__CELERY__RESULT_BACKEND"),
            "--setenv=AIRFLOW_HOME=/var/lib/airflow --setenv=AIRFLOW_CONFIG=/etc/airflow/airflow.cfg",
            f"--setenv=PYTHONPATH={FOLDER}:/opt/airflow/current/runtime",
            *(f"--property={text}" for text in properties),
        ]
        self.lab.host(host).run_expect([0], f"systemd-run --collect {' '.join(options)} {command}")

    def install(self) -> None:
        source = (HERE / "flow.py").read_text()

        def one(host: str) -> None:
            self.lab.host(host).run_expect(
                [0],
                f"install -d -o airflow -g airflow {FOLDER}; cat > {FOLDER}/flow.py <<'END'\n{source}\nEND",
            )

        each(one, {*self.publishers, *self.workers})

    def start_workers(self) -> None:
        def one(host: str) -> None:
            self._start(
                host,
                WORKER,
                "/opt/airflow/current/bin/celery -A flow worker --queues flow --without-mingle "
                f"--without-gossip --concurrency {CONCURRENCY} --hostname flow@{host} --loglevel INFO",
                "Restart=always",
                "RestartSec=2",
                "KillMode=mixed",
            )

        each(one, self.workers)

    def begin(self) -> None:
        """Empties the records and publishes."""
        each(
            lambda host: self.lab.host(host).run_expect([0], f"rm -f {FOLDER}/accepted {FOLDER}/executed"),
            {*self.publishers, *self.workers},
        )
        rate = PER_SECOND / len(self.publishers)
        python = "/opt/airflow/current/bin/python"
        each(
            lambda host: self._start(
                host, PUBLISHER, f"{python} {FOLDER}/flow.py {FOLDER}/accepted {rate}", "TimeoutStopSec=30"
            ),
            self.publishers,
        )

    def end(self) -> None:
        each(lambda host: self.lab.host(host).run(f"systemctl stop {PUBLISHER}"), self.publishers)

    def stop(self) -> None:
        self.end()
        each(lambda host: self.lab.host(host).run(f"systemctl stop {WORKER}"), self.workers)

    def records(self) -> Records:
        def one(item: tuple[str, str]) -> list[str]:
            host, file = item
            return self.lab.host(host).run(f"cat {FOLDER}/{file}").stdout.splitlines()

        files = [(host, "accepted") for host in self.publishers] + [
            (host, "executed") for host in self.workers
        ]
        with ThreadPoolExecutor(8) as pool:
            return Records.of(line for lines in pool.map(one, files) for line in lines)

    def flowing(self, since: float, seconds: float = 3.0, timeout: float = 180.0) -> None:
        """Until tasks have been accepted and begun in each of the last seconds."""

        def steady() -> bool:
            records = self.records()
            now = time.monotonic()
            if now - since < seconds:
                return False
            begun = [moment for moments in records.begun.values() for moment in moments]
            for moments in (records.accepted.values(), begun):
                recent = {int(now - moment) for moment in moments if now - moment < seconds}
                if len(recent) < seconds:
                    return False
            return True

        wait_until("tasks flow steadily", steady, timeout=timeout)

    def drained(self, timeout: float) -> Records:
        """The records when every accepted task has been executed, or when the time is over."""
        deadline = time.monotonic() + timeout
        while True:
            records = self.records()
            if not records.outstanding() or time.monotonic() > deadline:
                return records
            time.sleep(1)
