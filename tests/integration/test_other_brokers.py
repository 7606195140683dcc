# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles make of `airflow_broker_url`, with real brokers: RabbitMQ, Redis Sentinel, SQS (moto).

Celery gets the very settings that airflow.cfg would hold. Tasks flow while the broker is broken.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from test_airflow_queue_membership import PACKAGES, ROOT, ask, broker, free_port, process

__all__ = ["ask", "broker"]
FILES = ROOT / "roles/airflow_common/files"
PASSWORD = "n0t/s0:s3cret"
QUOTED = "n0t%2Fs0%3As3cret"
MORE_PACKAGES = [*PACKAGES, "kombu[sqs]==5.7.0", "moto[server]"]
# Airflow's provider makes its Celery app of the options in the same way.
APP = """
import json, os
from celery import Celery
settings = json.load(open(os.environ["SETTINGS"]))
app = Celery("tasks", broker=settings["broker_url"])
app.conf.broker_transport_options = settings["broker_transport_options"]
app.conf.update(settings["celery"])
app.conf.update(
    worker_enable_remote_control=settings["remote_control"],
    task_acks_late=True, worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True, task_ignore_result=True, task_default_queue="default",
)
app.set_default()

@app.task(name="note")
def note(number):
    with open(os.environ["EXECUTED"], "a") as file:
        file.write(f"{number}\\n")
"""
# What cannot be queued is tried again, as Airflow does (task_publish_max_retries).
PUBLISH = """
import sys, time
from kombu.exceptions import OperationalError
from tasks import app
for number in range(int(sys.argv[1]), int(sys.argv[2])):
    while True:
        try:
            app.send_task("note", [number], retry=True, retry_policy=app.conf.task_publish_retry_policy)
            break
        except OperationalError:
            time.sleep(0.2)
    time.sleep(0.02)
"""


@pytest.fixture(scope="session")
def celery_python() -> str:
    """A virtualenv with Celery, what it needs for SQS, and moto's server."""
    venv = ROOT / ".cache" / "brokers-venv"
    venv.parent.mkdir(exist_ok=True)
    done = venv / ".packages"
    with (venv.parent / "brokers-venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists() or done.read_text() != " ".join(MORE_PACKAGES):
            uv, python = str(Path(sys.executable).with_name("uv")), str(venv / "bin" / "python")
            subprocess.run([uv, "venv", "--clear", "-q", "-p", sys.executable, str(venv)], check=True)
            subprocess.run([uv, "pip", "install", "-q", "-p", python, *MORE_PACKAGES], check=True)
            done.write_text(" ".join(MORE_PACKAGES))
    return str(venv / "bin" / "python")


class Flow:
    """A Celery worker with the roles' settings, and tasks for it."""

    def __init__(self, directory: Path, python: str, url: str, **options: Any) -> None:
        self.directory = directory
        self.python = python
        self.executed_file = directory / "executed"
        self.executed_file.touch()
        settings = directory / "settings.json"
        wanted = {
            "airflow_broker_url": url,
            "airflow_broker_transport_options": options,
            "settings_file": str(settings),
        }
        subprocess.run(
            ["ansible-playbook", "-i", "127.0.0.1,", "-e", json.dumps(wanted),
             str(ROOT / "tests/integration/other_brokers.yml")],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        self.settings = json.loads(settings.read_text())
        (directory / "tasks.py").write_text(APP)
        self.environment = {
            **os.environ,
            "SETTINGS": str(settings),
            "EXECUTED": str(self.executed_file),
            "PYTHONPATH": f"{directory}:{FILES}",
            "AWS_DEFAULT_REGION": "eu-central-1",
        }

    def worker(self) -> contextlib.AbstractContextManager[Any]:
        argv = [
            self.python,
            "-m",
            "celery",
            "-A",
            "tasks",
            "worker",
            "-P",
            "prefork",
            "-c",
            "2",
            "-n",
            "a@w1",
        ]
        argv += ["-Q", "default", "--without-gossip", "--without-mingle", "-l", "info"]
        log = self.directory / "worker.log"
        return process(argv, log, cwd=self.directory, env=self.environment)

    def publish(self, first: int, last: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [self.python, "-c", PUBLISH, str(first), str(last)], cwd=self.directory, env=self.environment
        )

    def executed(self) -> list[int]:
        return [int(line) for line in self.executed_file.read_text().split()]

    def wait_for(self, number: int, seconds: float = 60) -> None:
        until(lambda: len(set(self.executed())) >= number, seconds, self.log)

    def log(self) -> str:
        return (self.directory / "worker.log").read_text()[-3000:]


def until(met: Callable[[], Any], seconds: float = 30, report: Callable[[], str] = str) -> Any:
    deadline = time.monotonic() + seconds
    while not (result := met()):
        assert time.monotonic() < deadline, report()
        time.sleep(0.1)
    return result


def answers(port: int) -> bool:
    with contextlib.suppress(redis.RedisError):
        return bool(redis.Redis(port=port, password=PASSWORD, socket_timeout=1).ping())
    return False


# --- RabbitMQ


class Rabbit:
    """Debian's rabbitmq-server as a process of its own, with all its files in a directory."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.directory = directory
        name = f"test{self.port}@localhost"
        (directory / "rabbitmq.conf").write_text(
            f"listeners.tcp.default = 127.0.0.1:{self.port}\ndefault_user = airflow\n"
            f"default_pass = {PASSWORD}\ndefault_vhost = airflow\n"
        )
        (directory / "plugins").write_text("[].")
        self.epmd_port = free_port()
        self.environment = {
            **os.environ,
            "HOME": str(directory),
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": name,
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(directory / "log"),
            "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
            "RABBITMQ_PID_FILE": str(directory / "pid"),
        }

    def __call__(self) -> contextlib.AbstractContextManager[Any]:
        # Debian's wrapper in /usr/sbin changes the user; this one does not.
        server = "/usr/lib/rabbitmq/bin/rabbitmq-server"
        return process([server], self.directory / "server.log", env=self.environment)

    def url(self) -> str:
        return f"amqp://airflow:{QUOTED}@127.0.0.1:{self.port}/airflow"

    def control(self, *arguments: str) -> str:
        done = subprocess.run(
            ["/usr/lib/rabbitmq/bin/rabbitmqctl", "--quiet", "-p", "airflow", *arguments],
            env=self.environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return done.stdout


@pytest.fixture
def rabbit(tmp_path: Path) -> Iterator[Rabbit]:
    if not Path("/usr/lib/rabbitmq/bin/rabbitmq-server").exists():
        pytest.skip("no rabbitmq-server here")
    rabbit = Rabbit(tmp_path)
    yield rabbit
    subprocess.run(["epmd", "-port", str(rabbit.epmd_port), "-kill"], capture_output=True, check=False)


def test_rabbitmq_restarts_under_tasks(rabbit: Rabbit, tmp_path: Path, celery_python: str, ask: Any) -> None:
    flow = Flow(tmp_path, celery_python, rabbit.url())
    with flow.worker():
        with rabbit():
            publisher = flow.publish(0, 300)
            flow.wait_for(20, seconds=90)
            queues = rabbit.control("list_queues", "name", "type")
            assert "default\tquorum" in queues, queues
            result = ask(
                broker_url=rabbit.url(),
                broker_transport_options=flow.settings["broker_transport_options"],
                queues={"default": 1},
                celery_python=celery_python,
                timeout=30,
            )
            assert result["queues"] == {"default": ["a@w1"]}
        with rabbit():
            assert publisher.wait(120) == 0
            flow.wait_for(300, seconds=90)
    assert set(flow.executed()) == set(range(300))


# --- Redis Sentinel


@pytest.fixture
def sentinels(tmp_path: Path) -> Iterator[tuple[list[int], list[int], list[Any]]]:
    """A master, a replica, and three sentinels: their ports, and the processes of the servers."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server here")
    servers, watchers = [free_port(), free_port()], [free_port() for _ in range(3)]
    common = f'bind 127.0.0.1\nsave ""\nappendonly yes\nrequirepass {PASSWORD}\nmasterauth {PASSWORD}\n'
    with contextlib.ExitStack() as stack:
        children = []
        for number, port in enumerate([*servers, *watchers]):
            home = tmp_path / str(port)
            home.mkdir()
            config = home / "redis.conf"
            if number < len(servers):
                text = common + (f"replicaof 127.0.0.1 {servers[0]}\n" if number else "")
            else:
                text = (
                    f"bind 127.0.0.1\nrequirepass {PASSWORD}\nsentinel sentinel-pass {PASSWORD}\n"
                    f"sentinel monitor mymaster 127.0.0.1 {servers[0]} 2\n"
                    f"sentinel auth-pass mymaster {PASSWORD}\n"
                    "sentinel down-after-milliseconds mymaster 1000\n"
                    "sentinel failover-timeout mymaster 5000\n"
                )
            config.write_text(f"port {port}\ndir {home}\n{text}")
            argv = [program, str(config), *(["--sentinel"] if number >= len(servers) else [])]
            children.append(stack.enter_context(process(argv, home / "log")))
            until(lambda port=port: answers(port))
        until(lambda: sentinel_sees(watchers[0]) == servers[0])
        yield servers, watchers, children


def sentinel_sees(port: int) -> int | None:
    """The port of the master, once a replica and the other sentinels are known."""
    client = redis.Redis(port=port, password=PASSWORD, decode_responses=True)
    master = client.sentinel_master("mymaster")
    complete = master["num-other-sentinels"] == 2 and master["num-slaves"] == 1
    return int(master["port"]) if complete else None


def test_sentinel_promotes_a_replica_under_tasks(sentinels: Any, tmp_path: Path, celery_python: str) -> None:
    servers, watchers, children = sentinels
    url = ";".join(f"sentinel://:{QUOTED}@127.0.0.1:{port}" for port in watchers)
    flow = Flow(tmp_path, celery_python, url, master_name="mymaster", sentinel_kwargs={"password": PASSWORD})
    with flow.worker():
        publisher = flow.publish(0, 300)
        flow.wait_for(20)
        children[0].kill()
        assert publisher.wait(120) == 0
        # What the master had confirmed and not yet sent to its replica is Sentinel's to lose.
        until(lambda: len(set(flow.executed())) >= 290 and 299 in flow.executed(), 90, flow.log)
    assert answers(servers[1])


# --- Amazon SQS


def test_sqs(tmp_path: Path, celery_python: str) -> None:
    port = free_port()
    server = [str(Path(celery_python).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)]
    with process(server, tmp_path / "moto.log"):

        def up() -> bool:
            with contextlib.suppress(OSError):
                return urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=2).status == 200
            return False

        until(up, 60)
        # An endpoint of its own is reported in the URL; AWS itself needs `sqs://` alone.
        url = f"sqs://AKIAEXAMPLEKEY:{QUOTED}@127.0.0.1:{port}"
        flow = Flow(
            tmp_path, celery_python, url, region="eu-central-1", is_secure=False, wait_time_seconds=1,
            polling_interval=0.1,
        )  # fmt: skip
        assert flow.settings["remote_control"] is False
        with flow.worker():
            publisher = flow.publish(0, 40)
            assert publisher.wait(120) == 0
            flow.wait_for(40)
        assert sorted(flow.executed()) == list(range(40))
