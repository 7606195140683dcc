# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""airflow_queue_membership against a real Redis and real Celery workers, on loopback."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.airflowops.cluster.plugins.modules import airflow_queue_membership

ROOT = Path(__file__).resolve().parents[2]
# kombu needs packaging without saying so.
PACKAGES = ["celery==5.6.3", "kombu==5.7.0", "redis==8.1.0", "packaging"]
PASSWORD = "s3cr/t@p:w%d&\"x'"
PREFIX = "{airflow}:"

pytestmark = pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server here")


@pytest.fixture(scope="session")
def celery_python():
    """A virtualenv with Celery, kept between runs. The lock is for test runs side by side."""
    if given := os.environ.get("AIRFLOWOPS_TEST_PYTHON"):
        return given
    venv = ROOT / ".cache" / "celery-venv"
    venv.parent.mkdir(exist_ok=True)
    done = venv / ".packages"
    with (venv.parent / "celery-venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists() or done.read_text() != " ".join(PACKAGES):
            uv = str(Path(sys.executable).with_name("uv"))
            python = str(venv / "bin" / "python")
            subprocess.run([uv, "venv", "--clear", "-q", "-p", sys.executable, str(venv)], check=True)
            subprocess.run(
                [uv, "pip", "install", "-q", "--compile-bytecode", "-p", python, *PACKAGES], check=True
            )
            done.write_text(" ".join(PACKAGES))
    return str(venv / "bin" / "python")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def process(argv, log, **options):
    """A process that is gone afterwards, and only that one."""
    with log.open("wb") as output:
        child = subprocess.Popen(argv, stdout=output, stderr=subprocess.STDOUT, **options)
    try:
        yield child
    finally:
        stop(child)


def stop(child):
    if child.poll() is None:
        child.send_signal(signal.SIGCONT)
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


class Broker:
    """redis-server with a password, which can be stopped and started on the same port."""

    def __init__(self, directory):
        self.directory = directory
        self.port = free_port()
        self.url = f"redis://:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/0"
        config = directory / "redis.conf"
        quoted = PASSWORD.replace("\\", "\\\\").replace('"', '\\"')
        config.write_text(
            f'bind 127.0.0.1\nport {self.port}\nsave ""\ndir {directory}\nrequirepass "{quoted}"\n'
        )
        self.argv = [shutil.which("redis-server"), str(config)]

    def __call__(self):
        return process(self.argv, self.directory / "redis.log")


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    broker = Broker(tmp_path_factory.mktemp("redis"))
    with broker():
        yield broker


@pytest.fixture(scope="module")
def start_worker(broker, celery_python, tmp_path_factory):
    directory = tmp_path_factory.mktemp("workers")
    (directory / "probed.py").write_text(
        "import os\n"
        "from celery import Celery\n"
        "app = Celery(broker=os.environ['TEST_BROKER'])\n"
        f"app.conf.broker_transport_options = {{'global_keyprefix': {PREFIX!r}}}\n"
        "app.conf.broker_connection_retry_on_startup = True\n"
    )

    def start(name, queues):
        argv = [celery_python, "-m", "celery", "-A", "probed", "worker", "-P", "solo", "-c", "1"]
        argv += ["-n", name, "-Q", queues, "--without-gossip", "--without-mingle", "-l", "warning"]
        environment = {**os.environ, "TEST_BROKER": broker.url}
        return process(argv, directory / f"{name}.log", cwd=directory, env=environment)

    return start


@pytest.fixture(scope="module")
def workers(start_worker):
    """Two workers on q1, one of them on q2 as well."""
    with start_worker("a@w1", "q1"), start_worker("a@w2.example.com", "q1,q2"):
        yield


@pytest.fixture
def ask(broker, celery_python, capsys):
    """Runs the module in this process; its outcome and how long it took."""

    def run(**options):
        arguments = {
            "broker_url": broker.url,
            "broker_transport_options": {"global_keyprefix": PREFIX},
            "celery_python": celery_python,
            **options,
        }
        begun = time.monotonic()
        with patch_module_args(arguments), pytest.raises(SystemExit):
            airflow_queue_membership.main()
        captured = capsys.readouterr()
        result = json.loads(captured.out)
        result["warned"] = captured.err  # where warnings go when a module runs in this process
        result["seconds"] = time.monotonic() - begun
        text = json.dumps(result)
        assert PASSWORD not in text
        assert quote(PASSWORD, safe="") not in text
        assert json.dumps(PASSWORD)[1:-1] not in text
        return result

    return run


@pytest.mark.usefixtures("workers")
def test_a_met_demand(ask):
    result = ask(queues={"q1": 2, "q2": 1}, timeout=30)
    assert "failed" not in result
    assert result["changed"] is False
    assert result["queues"] == {"q1": ["a@w1", "a@w2.example.com"], "q2": ["a@w2.example.com"]}
    assert result["workers"] == {"a@w1": ["q1"], "a@w2.example.com": ["q1", "q2"]}
    assert result["missing"] == {}


@pytest.mark.usefixtures("workers")
def test_it_returns_as_soon_as_the_demand_is_met(ask):
    ask(queues={"q1": 2, "q2": 1}, timeout=30)
    result = ask(queues={"q1": 2, "q2": 1}, timeout=30)
    assert "failed" not in result
    assert result["seconds"] < 5  # most of it is the start of Python and Celery


@pytest.mark.usefixtures("workers")
def test_without_a_demand_it_reports(ask):
    result = ask()
    assert "failed" not in result
    assert result["queues"] == {"q1": ["a@w1", "a@w2.example.com"], "q2": ["a@w2.example.com"]}


@pytest.mark.usefixtures("workers")
def test_check_mode_is_the_same(ask):
    result = ask(queues={"q1": 2}, _ansible_check_mode=True)
    assert result["workers"] == {"a@w1": ["q1"], "a@w2.example.com": ["q1", "q2"]}


@pytest.mark.usefixtures("workers")
def test_a_short_queue(ask):
    result = ask(
        queues={"q1": 2, "q2": 2, "q9": 1},
        expected={"q1": ["w1", "w2"], "q2": ["w2", "w3"], "q9": ["w1"]},
        timeout=2,
    )
    assert result["failed"]
    assert 2 <= result["seconds"] < 7
    assert result["missing"] == {
        "q2": {"required": 2, "found": 1, "expected_hosts": ["w2", "w3"], "absent_hosts": ["w3"]},
        "q9": {"required": 1, "found": 0, "expected_hosts": ["w1"], "absent_hosts": ["w1"]},
    }
    assert "q1" in result["queues"]
    assert "Queue q2 is 1 short: 1 of 2" in result["msg"]
    assert "w3 did not answer" in result["msg"]
    assert "queue q9 is 1 short: 0 of 1" in result["msg"]
    assert "w1 answered, but serves q1 instead" in result["msg"]
    assert "On w3: systemctl status 'airflow-worker@*'" in result["msg"]


def test_a_worker_that_comes_is_waited_for(start_worker, ask):
    with contextlib.ExitStack() as late:
        timer = threading.Timer(2, lambda: late.enter_context(start_worker("late@w3", "q3")))
        timer.start()
        result = ask(queues={"q3": 1}, timeout=30)
        timer.join()
    assert result["queues"]["q3"] == ["late@w3"]


def test_a_worker_that_is_stopped_no_longer_counts(start_worker, ask):
    with start_worker("b@w4", "q4") as child:
        assert ask(queues={"q4": 1}, timeout=30)["queues"]["q4"] == ["b@w4"]
        stop(child)
        result = ask(queues={"q4": 1}, expected={"q4": ["w4"]}, timeout=1)
    assert result["failed"]
    assert result["missing"]["q4"]["absent_hosts"] == ["w4"]


@pytest.mark.usefixtures("workers")
def test_a_worker_that_hangs_does_not_count(start_worker, ask):
    with start_worker("c@w5", "q5") as child:
        assert ask(queues={"q5": 1}, timeout=30)["queues"]["q5"] == ["c@w5"]
        child.send_signal(signal.SIGSTOP)
        result = ask(queues={"q5": 1}, timeout=1)
    assert result["failed"]
    assert result["queues"]["q1"]


def test_two_workers_of_one_name_count_as_one_and_are_warned_of(start_worker, ask):
    with start_worker("d@w6", "q6"), start_worker("d@w6", "q6,q7"):
        first = ask(queues={"q6": 1, "q7": 1}, timeout=30)
        result = ask(queues={"q6": 2}, timeout=3)
    assert result["missing"]["q6"]["found"] == 1
    # Ansible shows a warning once in a process.
    assert "More than one worker is named d@w6" in first["warned"] + result["warned"]


@pytest.mark.usefixtures("workers")
def test_another_prefix_reaches_nobody(ask):
    result = ask(queues={"q1": 1}, broker_transport_options={"global_keyprefix": "{other}:"}, timeout=1)
    assert result["workers"] == {}
    assert "global_keyprefix" in result["msg"]


def test_a_wrong_password_is_refused_at_once(broker, ask):
    result = ask(broker_url=f"redis://:wrongone@127.0.0.1:{broker.port}/0", timeout=30)
    assert result["seconds"] < 10
    assert f"the broker 127.0.0.1:{broker.port} refuses the user or the password" in result["msg"]
    assert "wrongone" not in json.dumps(result)


def test_no_broker(ask):
    port = free_port()
    result = ask(broker_url=f"redis://:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/0", timeout=2)
    assert f"the broker 127.0.0.1:{port} cannot be used" in result["msg"]
    assert result["seconds"] < 8


def test_a_broker_that_says_nothing(ask):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        result = ask(broker_url=f"redis://:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/0", timeout=2)
    assert f"the broker 127.0.0.1:{port} cannot be used" in result["msg"]
    assert result["seconds"] < 8


def test_a_broker_that_comes_is_waited_for(tmp_path, ask):
    other = Broker(tmp_path)
    with contextlib.ExitStack() as late:
        timer = threading.Timer(2, lambda: late.enter_context(other()))
        timer.start()
        result = ask(broker_url=other.url, timeout=20)
        timer.join()
    assert "failed" not in result
    assert result["workers"] == {}


def test_settings_that_celery_cannot_use(ask):
    assert "cannot use broker_url" in ask(broker_url="nosuch://127.0.0.1:1/0", timeout=10)["msg"]
    assert "percent-encoded" in ask(broker_url="redis://:half/word@127.0.0.1:1/0")["msg"]
    assert "whole number" in ask(queues={"q1": "many"})["msg"]
    assert "timeout" in ask(timeout=0)["msg"]


@pytest.mark.usefixtures("workers")
def test_through_ansible_and_its_most_verbose_output(broker, celery_python, tmp_path):
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [
            {
                "airflowops.cluster.airflow_queue_membership": {
                    "broker_url": broker.url,
                    "broker_transport_options": {"global_keyprefix": PREFIX},
                    "celery_python": celery_python,
                    "queues": {"q2": 3},
                    "timeout": 1,
                }
            }
        ],
    }
    playbook = tmp_path / "play.yml"  # YAML holds JSON
    playbook.write_text(json.dumps([play]))
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-vvvv", playbook],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_PYTHON_INTERPRETER": sys.executable, "ANSIBLE_LOCAL_TEMP": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    text = done.stdout + done.stderr
    assert done.returncode == 2, text
    assert "Queue q2 is 2 short" in text
    for spelling in (PASSWORD, quote(PASSWORD, safe=""), json.dumps(PASSWORD)[1:-1]):
        assert spelling not in text
