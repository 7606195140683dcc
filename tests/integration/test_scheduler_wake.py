# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patches scheduler-wake and -notify with a real PostgreSQL: what ends the scheduler's sleep."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis_servers import free_port
from test_airflow_dag_run import airflow_python
from test_postgres_probe import PROGRAMS, as_postgres

FILES = Path(__file__).resolve().parents[2] / "roles/airflow_common/files"

# Sleeps or works for as many seconds as a line says; reports for how long, and whether it listens.
SCHEDULER = """
import sys, time
sys.path.insert(0, sys.argv[1])
sys.argv = ["airflow", "scheduler"]
import airflowops_runtime.entrypoint
from airflowops_runtime import scheduler_wake as ours
from airflow import settings
settings.initialize()
ours.RETRY_SECONDS = 0.2
sleeper = ours.Sleeper()
for line in sys.stdin:
    begin, worked = time.monotonic(), time.process_time()
    if line.startswith("work "):
        while time.process_time() - worked < float(line.split()[1]):
            pass
    else:
        sleeper.sleep(float(line))
    print("=", time.monotonic() - begin, int(sleeper.listens), flush=True)
"""
# Does what a line says, as an API server does.
API_SERVER = """
import sys
sys.path.insert(0, sys.argv[1])
sys.argv = ["airflow", "api-server"]
import airflowops_runtime.entrypoint
from airflow import settings
settings.initialize()
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, update
tables = MetaData()
task = Table("task_instance", tables, Column("id", Integer), Column("state", String))
run = Table("dag_run", tables, Column("id", Integer))
tables.create_all(settings.engine)
with settings.engine.begin() as connection:
    connection.execute(insert(task), {"id": 1})
for line in sys.stdin:
    word, _, times = line.strip().partition(" ")
    for _ in range(int(times or 1)):
        with settings.engine.connect() as connection:
            begun = connection.begin()
            if word == "run":
                connection.execute(insert(run), {"id": 1})
            else:
                connection.execute(update(task).where(task.c.id == 1).values(state=word.removeprefix("not-")))
            begun.rollback() if word.startswith("not-") else begun.commit()
    print("= done", flush=True)
"""


class Process:
    def __init__(self, program: str, port: int, home: Path) -> None:
        url = f"postgresql+psycopg2://postgres@127.0.0.1:{port}/postgres?sslmode=require"
        self.process = subprocess.Popen(
            [airflow_python(), "-c", program, str(FILES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                "PATH": os.environ["PATH"],
                "AIRFLOW_HOME": str(home),
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url,
            },
        )

    def say(self, line: object) -> None:
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def ask(self, line: object) -> str:
        self.say(line)
        return self.answer()

    def answer(self) -> str:
        """Without what Airflow says in between."""
        return next(line for line in self.process.stdout if line.startswith("= "))[2:].strip()

    def sleep(self, seconds: float) -> tuple[float, bool]:
        slept, listens = self.ask(seconds).split()
        return float(slept), listens == "1"

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


class Lab:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port("127.0.0.1")
        self.control = PROGRAMS[-1] / "pg_ctl"
        as_postgres(PROGRAMS[-1] / "initdb", "-D", directory / "data", "-A", "trust", "-U", "postgres")
        as_postgres(
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=metastore",
            "-out", directory / "data/server.crt", "-keyout", directory / "data/server.key",
        )  # fmt: skip
        self.server("start")
        self.processes: list[Process] = []
        self.start_api()

    def server(self, action: str) -> None:
        options = f"-p {self.port} -k {self.directory} -c listen_addresses=127.0.0.1 -c ssl=on"
        log = self.directory / "log"
        as_postgres(
            self.control, "-D", self.directory / "data", "-l", log, "-m", "fast", "-w", "-o", options, action
        )

    def start(self, program: str) -> Process:
        self.processes.append(Process(program, self.port, self.directory / "home"))
        return self.processes[-1]

    def start_api(self) -> None:
        """Returns when it is there: its start takes seconds beside other tests."""
        self.api = self.start(API_SERVER)
        assert self.api.ask("running") == "done"

    def scheduler(self) -> Process:
        process = self.start(SCHEDULER)
        process.sleep(0.01)
        return process

    def slept_while(self, scheduler: Process, seconds: float, word: str) -> float:
        scheduler.say(seconds)
        time.sleep(0.3)
        assert self.api.ask(word) == "done"
        return float(scheduler.answer().split()[0])

    def end(self) -> None:
        for process in self.processes:
            process.end()
        self.server("stop")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    if not PROGRAMS:
        pytest.skip("PostgreSQL is not installed")
    # A folder that the user postgres may walk to.
    directory = Path(tempfile.mkdtemp(prefix="scheduler-wake."))
    if os.geteuid() == 0:
        postgres = pwd.getpwnam("postgres")
        os.chown(directory, postgres.pw_uid, postgres.pw_gid)
    lab = Lab(directory)
    yield lab
    lab.end()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def scheduler(lab: Lab) -> Iterator[Process]:
    process = lab.scheduler()
    yield process
    process.end()


@pytest.mark.parametrize("word", ["success", "failed", "up_for_retry", "run"])
def test_what_makes_work_ends_the_sleep(lab: Lab, scheduler: Process, word: str) -> None:
    assert lab.slept_while(scheduler, 10, word) < 2


@pytest.mark.parametrize("word", ["running", "queued", "not-success"])
def test_what_makes_none_does_not(lab: Lab, scheduler: Process, word: str) -> None:
    assert lab.slept_while(scheduler, 1, word) >= 1


def test_what_came_while_it_was_awake(lab: Lab, scheduler: Process) -> None:
    assert lab.api.ask("success") == "done"
    assert scheduler.sleep(10)[0] < 1
    assert scheduler.sleep(0.5)[0] >= 0.5


def test_many_are_looked_at_together(lab: Lab, scheduler: Process) -> None:
    assert lab.api.ask("success 5") == "done"
    assert scheduler.sleep(10)[0] < 0.5
    scheduler.ask("work 0.2")
    assert lab.api.ask("success 5") == "done"
    # Four times as long as it has worked, and once for all.
    assert 0.7 < scheduler.sleep(10)[0] < 2
    assert scheduler.sleep(0.5)[0] >= 0.5


def test_one_after_the_other_are_looked_at_at_once(lab: Lab, scheduler: Process) -> None:
    for _ in range(3):
        assert lab.api.ask("success") == "done"
        assert scheduler.sleep(10)[0] < 0.5
        scheduler.ask("work 0.2")


def test_without_a_metastore_it_sleeps_as_it_was_told(lab: Lab, scheduler: Process) -> None:
    lab.server("stop")
    try:
        for _ in range(3):
            assert 0.5 <= scheduler.sleep(0.5)[0] < 2
    finally:
        lab.server("start")
    # Its pool finds the old connections broken, once.
    lab.api.end()
    lab.start_api()
    time.sleep(0.3)
    scheduler.sleep(0.3)
    scheduler.sleep(0.3)
    assert lab.slept_while(scheduler, 10, "success") < 2


def test_one_of_two_listens_and_the_other_takes_over(lab: Lab, scheduler: Process) -> None:
    other = lab.scheduler()
    assert scheduler.sleep(0.01)[1]
    assert not other.sleep(0.5)[1]
    assert lab.slept_while(other, 1, "success") >= 1
    scheduler.end()
    time.sleep(0.5)
    other.sleep(0.01)
    assert lab.slept_while(other, 10, "success") < 2
    other.end()
