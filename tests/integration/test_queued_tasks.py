# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The patch queued-tasks in the scheduler, with Redis and RabbitMQ: what waits, and what is sent again."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from test_airflow_dag_run import airflow_python, environment
from test_airflow_queue_membership import PASSWORD, Broker, process
from test_celery_broker import USER, url
from test_other_brokers import Rabbit, rabbit

__all__ = ["rabbit"]
FILES = Path(__file__).resolve().parents[2] / "roles/airflow_common/files"
QUEUE = "{airflow}:slow"
TIMEOUT = 2
# In seconds: several time-outs, and what two checks may take to find that a message was lost.
MANY_TIMEOUTS = 5 * TIMEOUT
FOUND_WITHIN = 30
DAG = """
from airflow.sdk import dag, task

@dag(schedule=None)
def waiting():
    @task(queue="slow")
    def step(number):
        return number
    step.expand(number=[1, 2, 3])

waiting()
"""
# A worker that has taken one message and does not get to it, until it is configured to end.
HOLDER = """
import sys
from celery import Celery
app = Celery(broker=sys.argv[1])
app.conf.broker_transport_options = {"global_keyprefix": "{airflow}:"}
with app.connection_for_read() as connection:
    assert connection.default_channel.basic_get("slow")
    print("taken", flush=True)
    sys.stdin.readline()
"""
# A scheduler whose Airflow is another one: it has renamed a parameter.
OTHER_AIRFLOW = """
import sys
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
SchedulerJobRunner._reschedule_stuck_task = lambda self, task_instance, session: None
stock = SchedulerJobRunner._get_tis_stuck_in_queued
from airflowops_runtime.apply import is_on
assert not is_on("queued-tasks")
assert SchedulerJobRunner._get_tis_stuck_in_queued is stock
"""


class Scheduler:
    """Airflow's own with a metastore of SQLite, and three tasks for the queue `slow`, which nobody serves."""

    def __init__(self, home: Path, broker_url: str) -> None:
        self.home = home
        self.python = str(airflow_python())
        self.environment = environment(home, 1)
        shutil.copy(Path(self.python).parents[1] / "template" / "airflow.db", home / "airflow.db")
        (home / "dags").mkdir()
        (home / "dags" / "waiting.py").write_text(DAG)
        settings = {
            "CORE__EXECUTOR": "CeleryExecutor",
            "CORE__PARALLELISM": 8,
            "CELERY__BROKER_URL": broker_url,
            "CELERY__RESULT_BACKEND": f"db+sqlite:///{home}/results.db",
            "CELERY__CELERY_CONFIG_OPTIONS": "airflowops_runtime.celery_config.CELERY_CONFIG",
            "CELERY__TASK_PUBLISH_MAX_RETRIES": 100,
            "CELERY_BROKER_TRANSPORT_OPTIONS__GLOBAL_KEYPREFIX": "{airflow}:",
            "CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": 60,
            "SCHEDULER__TASK_QUEUED_TIMEOUT": TIMEOUT,
            "SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": 1,
        }
        self.environment |= {f"AIRFLOW__{name}": str(value) for name, value in settings.items()}
        self.environment |= {"PYTHONPATH": str(FILES), "AIRFLOWOPS_PATCHES_OFF": "speed"}
        self.log = home / "scheduler.log"
        self.run("dags", "reserialize")
        self.run("dags", "unpause", "waiting")
        self.run("dags", "trigger", "waiting")

    def run(self, *arguments: str) -> None:
        done = subprocess.run(
            [self.python, "-m", "airflow", *arguments],
            env=self.environment, cwd=self.home, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

    @contextlib.contextmanager
    def __call__(self, **more: str) -> Iterator[None]:
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                [self.python, "-m", "airflowops_runtime.entrypoint", "scheduler"],
                env=self.environment | more, cwd=self.home, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            yield
            # What is wrong with it is in its log.
            assert child.poll() is None, self.log.read_text()[-3000:]
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()

    def ask(self, query: str) -> list[Any]:
        with contextlib.closing(sqlite3.connect(self.home / "airflow.db", timeout=30)) as connection:
            return connection.execute(query).fetchall()

    @property
    def states(self) -> list[str]:
        return sorted(str(state) for (state,) in self.ask("SELECT state FROM task_instance"))

    @property
    def sent_again(self) -> int:
        return self.ask("SELECT count(*) FROM log WHERE event LIKE 'stuck in queued%'")[0][0]


def wait(what: Callable[[], bool], seconds: float = FOUND_WITHIN) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.2)


class Lab:
    def __init__(self, directory: Path) -> None:
        self.broker = Broker(directory)
        user = f"{USER} on >{PASSWORD} ~{{airflow}}:* &{{airflow}}:* +@all -@admin -@dangerous"
        self.broker.argv += ["--appendonly", "yes", "--user", *user.split()]
        self.client = redis.Redis(port=self.broker.port, password=PASSWORD)
        self.url = url(self.broker)
        self.servers = contextlib.ExitStack()
        self.start_broker()
        self.scheduler = Scheduler(directory / "home", self.url)

    def start_broker(self) -> None:
        self.servers.enter_context(self.broker())
        wait(self.answers)

    def answers(self) -> bool:
        with contextlib.suppress(redis.RedisError):
            return self.client.ping()
        return False

    def messages(self) -> list[bytes]:
        return self.client.lrange(QUEUE, 0, -1)

    def ids(self) -> list[str]:
        return [json.loads(message)["headers"]["id"] for message in self.messages()]

    def tokens(self) -> list[tuple[str, float]]:
        """Of each message the name of the key that its token is signed with, and for how long it lives."""
        tokens = []
        for message in self.messages():
            workload = json.loads(json.loads(base64.b64decode(json.loads(message)["body"]))[0][0])
            parts = workload["token"].split(".")[:2]
            head, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in parts)
            tokens.append((head["kid"], claims["exp"] - time.time()))
        return tokens

    def wait_for_messages(self, number: int = 3) -> list[str]:
        wait(lambda: len(self.messages()) == number, 60)
        return self.ids()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    with lab.servers:
        yield lab


def test_waiting_tasks_wait_and_a_lost_one_is_sent_again(lab: Lab) -> None:
    with lab.scheduler():
        ids = lab.wait_for_messages()
        # A queue whose workers are off, or busy: nothing is sent twice, loses its place or fails.
        time.sleep(MANY_TIMEOUTS)
        assert lab.ids() == ids
        assert lab.scheduler.states == ["queued"] * 3
        assert min(seconds for _, seconds in lab.tokens()) > 29 * 86400

        # Handed out to a worker that does not get to it: the broker has it still.
        argv = [lab.scheduler.python, "-c", HOLDER, lab.url]
        with process(argv, lab.scheduler.home / "holder.log", stdin=subprocess.PIPE) as holder:
            wait(lambda: lab.client.hlen("{airflow}:unacked") == 1)
            time.sleep(MANY_TIMEOUTS + FOUND_WITHIN / 2)
            assert sorted(lab.ids()) == sorted(ids[:2])
            assert lab.scheduler.sent_again == 0
            # It ends, and hands back what it had.
            holder.communicate(b"\n", timeout=30)
        wait(lambda: len(lab.messages()) == 3)

        # A broker that is away has lost nothing.
        lab.servers.close()
        time.sleep(MANY_TIMEOUTS)
        lab.start_broker()
        time.sleep(MANY_TIMEOUTS)
        assert sorted(lab.ids()) == sorted(ids)
        assert lab.scheduler.sent_again == 0

        # Nobody has the message of one: it alone is sent again.
        lab.client.lrem(QUEUE, 1, lab.messages()[1])
        wait(lambda: len(lab.messages()) == 3)
        assert len(set(lab.ids()) & set(ids)) == 2
        assert lab.scheduler.sent_again == 1

    # Another scheduler takes the tasks over, as they are.
    ids = lab.ids()
    takeover = {"SCHEDULER_HEALTH_CHECK_THRESHOLD": "2", "ORPHANED_TASKS_CHECK_INTERVAL": "2"}
    with lab.scheduler(
        AIRFLOW__API_AUTH__JWT_KID="new",
        **{f"AIRFLOW__SCHEDULER__{name}": value for name, value in takeover.items()},
    ):
        # The key that signs tokens is another one: messages that wait get a new token, each is there once.
        wait(lambda: {kid for kid, _ in lab.tokens()} == {"new"} and len(lab.messages()) == 3, 60)
        assert not set(lab.ids()) & set(ids)
        assert lab.scheduler.sent_again == 1
        assert lab.scheduler.states == ["queued"] * 3


def test_without_it_waiting_tasks_fail(lab: Lab) -> None:
    """When this fails, Airflow knows a long wait from a lost message: queued-tasks can go."""
    with lab.scheduler(AIRFLOWOPS_PATCHES_OFF="speed,queued-tasks"):
        lab.wait_for_messages()
        assert max(seconds for _, seconds in lab.tokens()) <= TIMEOUT
        wait(lambda: lab.scheduler.states == ["failed"] * 3, 60)


def test_broker_that_cannot_list_its_messages(tmp_path: Path, rabbit: Rabbit) -> None:
    with rabbit():
        wait(lambda: "Runtime" in rabbit.control("status"), 120)
        scheduler = Scheduler(tmp_path / "home", rabbit.url())
        with scheduler(AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES="1000"):
            wait(lambda: scheduler.sent_again >= 6, 90)
            begin = time.monotonic()
            # After the first and after twice the time-out; now four of them pass.
            wait(lambda: scheduler.sent_again >= 9, 60)
            assert time.monotonic() - begin > 2 * TIMEOUT
            assert not {"failed", "success"} & set(scheduler.states)


def test_another_airflow_is_left_as_it_is(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(airflow_python()), "-c", OTHER_AIRFLOW],
        env=environment(tmp_path / "home", 1) | {"PYTHONPATH": str(FILES)},
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert (done.stdout + done.stderr).count("queued-tasks is skipped") == 1
