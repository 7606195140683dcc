# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pausing real Celery workers on a real Redis: they take nothing, go on, and are not left deaf."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import redis
from ansible_collections.airflowops.cluster.plugins.module_utils.celery import pause as worker_pause
from redis_servers import run_module
from test_airflow_queue_membership import PASSWORD, PREFIX, Broker, celery_python, process

__all__ = ["celery_python"]
FILES = Path(__file__).resolve().parents[2] / "roles/airflow_common/files"
OPTIONS = {"global_keyprefix": PREFIX}
APP = f"""
import os, time
from celery import Celery
app = Celery(broker=os.environ["TEST_BROKER"])
app.conf.update(
    broker_transport_options={OPTIONS!r}, task_acks_late=True, worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True, broker_channel_error_retry=True,
    imports=os.environ["TEST_IMPORTS"].split(),
)
@app.task(name="work", ignore_result=True)
def work(file, seconds):
    with open(file, "a") as lines:
        lines.write("begun\\n")
    time.sleep(seconds)
    with open(file, "a") as lines:
        lines.write("ended\\n")
"""

pytestmark = pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server here")


class Place:
    """A broker, a worker, and a file in which tasks leave a trace."""

    def __init__(self, folder: Path, python: str) -> None:
        self.folder = folder
        self.python = python
        self.broker = Broker(folder)
        self.trace = folder / "trace"
        self.trace.touch()
        (folder / "paused.py").write_text(APP)

    def worker(
        self,
        imports: str = "airflowops_runtime.celery_worker",
        name: str = "a@w1",
        queues: str = "q1,q2",
        slots: str = "--concurrency=2",
    ):
        argv = [self.python, "-m", "celery", "-A", "paused", "worker", slots, "-n", name, "-Q", queues]
        argv += ["--without-gossip", "--without-mingle", "-l", "info"]
        log = self.folder / ("worker.log" if name == "a@w1" else f"{name}.log")
        return process(argv, log, cwd=self.folder, env=self.environment(imports))

    def environment(self, imports: str = "") -> dict[str, str]:
        return {
            **os.environ,
            "TEST_BROKER": self.broker.url,
            "TEST_IMPORTS": imports,
            "PYTHONPATH": str(FILES),
        }

    def publish(self, queue: str, seconds: float = 0.0) -> None:
        code = f"import paused; paused.work.apply_async(({str(self.trace)!r}, {seconds}), queue={queue!r})"
        subprocess.run(
            [self.python, "-c", code], cwd=self.folder, env=self.environment(), check=True, timeout=60
        )

    def lines(self) -> list[str]:
        return self.trace.read_text().split()

    def until(self, *expected: str, timeout: float = 20.0) -> None:
        deadline = time.monotonic() + timeout
        while self.lines() != [*expected] and time.monotonic() < deadline:
            time.sleep(0.05)
        assert self.lines() == [*expected], (self.folder / "worker.log").read_text()[-2000:]

    def pause(self, drain_timeout: float = 10.0) -> worker_pause.WorkerPause:
        return worker_pause.WorkerPause(self.python, self.broker.url, OPTIONS, drain_timeout, lambda: None)

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.broker.port, password=PASSWORD)


@pytest.fixture
def place(tmp_path: Path, celery_python: str) -> Place:
    return Place(tmp_path, celery_python)


def test_worker_takes_nothing_while_paused_and_is_not_deaf_after_its_next_reconnection(place: Place) -> None:
    with place.broker(), place.worker(), place.client() as client:
        place.publish("q1", 1.0)
        place.until("begun")
        with place.pause() as pause:
            # It waited for what ran.
            assert place.lines() == ["begun", "ended"]
            assert pause.paused.workers == {"a@w1": ["q1", "q2"]}
            assert pause.paused.running == []
            place.publish("q2")
            time.sleep(2)
            assert len(place.lines()) == 2
        place.until("begun", "ended", "begun", "ended")
        # Celery's own pair of commands leaves a worker without queues here.
        break_connections(client)
        place.publish("q1")
        place.until(*["begun", "ended"] * 3)


def test_task_that_runs_for_long_is_named_and_runs_on(place: Place) -> None:
    with place.broker(), place.worker():
        place.publish("q1", 4.0)
        place.until("begun")
        with place.pause(drain_timeout=0.5) as pause:
            assert len(pause.paused.running) == 1
        place.until("begun", "ended")


def test_worker_goes_on_when_the_one_who_paused_it_is_gone(place: Place) -> None:
    with place.broker(), place.worker():
        place.publish("q1")
        place.until("begun", "ended")
        pause = place.pause().__enter__()
        # As when the module is killed: its end of the pipe closes, and nobody says a word.
        pause._input.close()
        place.publish("q1")
        place.until(*["begun", "ended"] * 2)
        pause._process.wait(60)


def test_worker_goes_on_by_itself_when_nobody_can_tell_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_pause, "LONGEST_PAUSE", 3.0)
    with place.broker(), place.worker():
        place.publish("q1")
        place.until("begun", "ended")
        pause = place.pause(drain_timeout=1.0).__enter__()
        pause._process.kill()
        pause._process.wait(10)
        place.publish("q1")
        place.until(*["begun", "ended"] * 2)


def test_worker_that_does_not_know_how_is_named(place: Place) -> None:
    with place.broker(), place.worker(imports=""):
        place.publish("q1")
        place.until("begun", "ended")
        with place.pause() as pause:
            assert pause.paused.unpaused == ["a@w1"]
            assert pause.paused.workers == {}


def test_broker_that_cannot_be_reached_is_named_without_password(place: Place) -> None:
    with pytest.raises(
        worker_pause.PauseError, match=f"127.0.0.1:{place.broker.port}"
    ) as error, place.pause():
        pass
    assert PASSWORD not in str(error.value)


def break_connections(client: redis.Redis) -> None:
    client.execute_command("CLIENT", "KILL", "TYPE", "normal")
    client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")


def test_a_worker_that_grows_does_so_after_a_broken_connection(place: Place) -> None:
    with place.broker(), place.worker(slots="--autoscale=4,1"), place.client() as client:
        place.publish("q1")
        place.until("begun", "ended")
        break_connections(client)
        time.sleep(3)
        for _ in range(4):
            place.publish("q1", 8.0)
        place.until("begun", "ended", *["begun"] * 4, timeout=15)


WATCHED = """
import sys, threading, time
from airflowops_runtime import watchdog
from celery.signals import worker_ready
watchdog.LOOK_SECONDS = 0.5

@worker_ready.connect
def begin(sender, **_):
    watchdog.Watchdog(sender, 6.0).start()
"""


def test_the_watchdog_leaves_a_worker_alone_whose_slots_are_busy_after_a_broken_connection(
    place: Place,
) -> None:
    (place.folder / "watched.py").write_text(WATCHED)
    with place.broker(), place.worker("airflowops_runtime.celery_worker watched"), place.client() as client:
        for _ in range(2):
            place.publish("q1", 15.0)
        place.until("begun", "begun")
        # Their messages are back in the queue then, where nobody has a slot for them.
        break_connections(client)
        time.sleep(8)
        log = (place.folder / "worker.log").read_text()
        assert log.count("Connected to redis") == 2
        assert "Took no task for" not in log
        assert place.lines() == ["begun", "begun"]


# Deaf for a reason of its own, not by an operator's command.
DEAF = """
from celery.signals import worker_ready

@worker_ready.connect
def begin(sender, **_):
    sender.call_soon(sender.cancel_task_queue, "q2")
"""


def control(place: Place, command: str, queue: str) -> None:
    """As Flower's buttons do."""
    code = f"import paused; assert paused.app.control.{command}({queue!r}, reply=True)"
    subprocess.run(
        [place.python, "-c", code], cwd=place.folder, env=place.environment(), check=True, timeout=60
    )


def test_what_an_operator_cancels_stays_cancelled_and_what_is_added_again_stays(place: Place) -> None:
    (place.folder / "watched.py").write_text(WATCHED)
    (place.folder / "deaf.py").write_text(DEAF)
    with place.broker(), place.worker(
        "airflowops_runtime.celery_worker watched deaf"
    ), place.client() as client:
        place.publish("q1")
        place.until("begun", "ended")
        control(place, "cancel_consumer", "q1")
        place.publish("q1")
        place.publish("q2")
        # The watchdog repairs what nobody has cancelled, and that alone.
        place.until(*["begun", "ended"] * 2)
        time.sleep(5)
        with place.pause():
            pass
        break_connections(client)
        time.sleep(5)
        assert len(place.lines()) == 4
        control(place, "add_consumer", "q1")
        place.until(*["begun", "ended"] * 3)
        break_connections(client)
        time.sleep(1)
        place.publish("q1")
        # Earlier than the watchdog would.
        place.until(*["begun", "ended"] * 4, timeout=3)


def test_a_fork_does_not_wait_for_a_broker_that_does_not_answer(place: Place) -> None:
    code = """
import os, threading, time, types
import paused
paused.app.conf.broker_transport_options["socket_timeout"] = 30
import airflowops_runtime.celery_config
from airflowops_runtime import kombu_redis, watchdog
from airflowops_runtime.worker_shared import between_forks

asked = threading.Event()

def ask():
    with between_forks:
        asked.set()
        try:
            watchdog.backlog(paused.app, ["q1"])
        except Exception as error:
            print(type(error).__name__)

def put_back():
    asked.set()
    kombu_redis.put_back("tag", time.time(), {}, "", "q1")

paused.app.set_current()
threading.Thread(target={"ask": ask, "put_back": put_back}[os.environ["TEST_WHO"]], daemon=True).start()
asked.wait()
time.sleep(0.5)
begun = time.monotonic()
child = os.fork()
if child == 0:
    os._exit(0)
print("waited", time.monotonic() - begun, flush=True)
os._exit(0)
"""
    with place.broker() as server:
        with place.client() as client:
            while not answers(client):
                time.sleep(0.05)
        server.send_signal(signal.SIGSTOP)
        for who in ("ask", "put_back"):
            done = subprocess.run(
                [place.python, "-c", code], cwd=place.folder, env=place.environment() | {"TEST_WHO": who},
                check=True, timeout=120, capture_output=True, text=True,
            )  # fmt: skip
            assert float(done.stdout.split()[-1]) < 15, done.stdout + done.stderr


def answers(client: redis.Redis) -> bool:
    try:
        return client.ping()
    except redis.RedisError:
        return False


# --- airflow_worker_drain


def drain(place: Place, **options: object) -> dict:
    arguments = {
        "hosts": ["w1"],
        "timeout": 10,
        "broker_url": place.broker.url,
        "broker_transport_options": OPTIONS,
        "celery_python": place.python,
    }
    return run_module("airflow_worker_drain", **{**arguments, **options})


def test_drained_worker_finishes_and_takes_nothing_while_another_goes_on(place: Place) -> None:
    with place.broker(), place.worker(), place.worker(name="b@w2"):
        place.publish("q1", 2.0)
        place.until("begun")
        # Which of the two has it, is not known: drain both, one after the other.
        first = drain(place)
        assert not first.get("failed"), first
        assert first["changed"]
        assert first["drained"] == {"a@w1": ["q1", "q2"]}
        assert first["unserved"] == []
        for _ in range(4):
            place.publish("q2")
        place.until(*["begun", "ended"] * 5)
        log = (place.folder / "worker.log").read_text()
        assert "Paused for 70.0 s at the most" in log
        # Whoever does not stop it has it back soon, however long tasks were waited for.
        assert "Paused for 60.0 s at the most" in log
        assert log.count("succeeded") <= 1


def test_time_over_names_the_task_and_lets_the_worker_go_on(place: Place) -> None:
    with place.broker(), place.worker():
        place.publish("q1", 12.0)
        place.until("begun")
        result = drain(place, timeout=0.5, allow_unserved=True)
        assert result["failed"]
        assert "After 0.5 s these tasks still run: " in result["msg"]
        assert "on a@w1" in result["msg"]
        place.publish("q2")
        place.until("begun", "begun", "ended", "ended")


def test_queues_that_nobody_else_serves_are_named_before_anything_happens(place: Place) -> None:
    with place.broker(), place.worker(), place.worker(name="b@w2", queues="q1"):
        time.sleep(3)
        result = drain(place)
        assert result["failed"]
        assert result["unserved"] == ["q2"]
        assert "No other worker serves q2: drain the hosts one after the other" in result["msg"]
        place.publish("q2")
        place.until("begun", "ended")


def test_a_worker_that_runs_and_does_not_answer_is_named(place: Place) -> None:
    with place.broker(), place.worker(), place.worker(name="b@w2"):
        time.sleep(3)
        result = drain(place, running=["a@w1", "silent@w1"])
        assert result["failed"]
        assert result["msg"].startswith("silent@w1 did not answer through the broker within 10 s")
        place.publish("q1")
        place.until("begun", "ended")
        result = drain(place, running=["a@w1"])
        assert result["drained"] == {"a@w1": ["q1", "q2"]}


def test_a_host_without_workers_has_nothing_to_drain(place: Place) -> None:
    with place.broker(), place.worker():
        time.sleep(3)
        result = drain(place, hosts=["w9"])
        assert (result["changed"], result["drained"]) == (False, {})


def test_a_fork_waits_for_what_a_thread_does(place: Place) -> None:
    """A lock that a thread holds meanwhile would stay held in the new slot."""
    code = """
import os, threading, time
from airflowops_runtime.worker_shared import between_forks

held = threading.Event()

def work():
    with between_forks:
        held.set()
        time.sleep(1)

threading.Thread(target=work).start()
held.wait()
begun = time.monotonic()
child = os.fork()
if child == 0:
    os._exit(0 if between_forks.acquire(timeout=5) else 1)
assert time.monotonic() - begun > 0.9, "the fork did not wait"
assert os.waitpid(child, 0)[1] == 0, "the new process cannot get the lock"
"""
    subprocess.run([place.python, "-c", code], env=place.environment(), check=True, timeout=60)
