# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""airflow_dag_run against a real Airflow (LocalExecutor, SQLite) behind a path prefix, on loopback."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.airflowops.cluster.plugins.module_utils.airflow.api import AirflowApi
from ansible_collections.airflowops.cluster.plugins.modules import airflow_dag_run

ROOT = Path(__file__).resolve().parents[2]
# What hosts have by default, and Amazon's provider besides.
LOCK = ROOT / "roles" / "airflow_common" / "files" / "locks" / "airflow-3.3.2-amazon.txt"
# One of those that the lock file is made for; the interpreter of the tests may be another.
PYTHON = shutil.which("python3.11", path="/usr/bin") or sys.executable
PASSWORD = "adm1n-p4ss"

pytestmark = pytest.mark.skipif(not LOCK.exists(), reason="no lock file of Airflow")

DAGS = {
    "good.py": """
from airflow.sdk import dag, task, get_current_context

@dag(schedule=None)
def good():
    @task(queue="q2")
    def after(values):
        print(list(values))

    @task(queue="q1")
    def each(n):
        return n

    after(each.expand(n=[1, 2]))

@dag(schedule=None)
def quick():
    @task
    def only():
        return get_current_context()["dag_run"].conf
    only()

good()
quick()
""",
    "bad.py": """
from datetime import timedelta
from airflow.sdk import dag, task

@dag(schedule=None)
def bad():
    @task(queue="q1", retries=1, retry_delay=timedelta(seconds=0.2))
    def breaks():
        raise RuntimeError("as it must")

    @task
    def after():
        pass

    breaks() >> after()

@dag(schedule=None)
def retried():
    @task(retries=2, retry_delay=timedelta(seconds=0.2))
    def second_time():
        from airflow.sdk import get_current_context
        if get_current_context()["ti"].try_number < 2:
            raise RuntimeError("not yet")
    second_time()

bad()
retried()
""",
    "slow.py": """
import pathlib, time
from airflow.sdk import dag, task

@dag(schedule=None, params={"until": ""})
def slow():
    @task
    def waits(params):
        while not pathlib.Path(params["until"]).exists():
            time.sleep(0.2)
    waits()

slow()
""",
    # Files are looked into only if they speak of Airflow and of a DAG.
    "broken.py": "import airflow.sdk.dag_that_is_not_there\n",
}


def airflow_python():
    """A virtualenv with the project's locked Airflow, kept between runs.

    The lock is for test runs side by side.
    """
    if given := os.environ.get("AIRFLOWOPS_TEST_PYTHON"):
        return Path(given)
    venv = ROOT / ".cache" / "airflow-venv"
    venv.parent.mkdir(exist_ok=True)
    wanted = hashlib.sha256(LOCK.read_bytes() + PYTHON.encode()).hexdigest()
    done = venv / ".lock-sha256"
    python = venv / "bin" / "python"
    with (venv.parent / "airflow-venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists() or done.read_text() != wanted:
            uv = str(Path(sys.executable).with_name("uv"))
            subprocess.run([uv, "venv", "--clear", "-q", "-p", PYTHON, str(venv)], check=True)
            install = [uv, "pip", "install", "-q", "--compile-bytecode", "--require-hashes"]
            subprocess.run([*install, "-p", str(python), "-r", str(LOCK)], check=True)
            # A migrated database is kept as well: migrating takes longer than all tests.
            subprocess.run(
                [python, "-m", "airflow", "db", "migrate"], check=True, env=environment(venv / "template", 0)
            )
            done.write_text(wanted)
    return python


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def environment(home, port):
    home.mkdir(exist_ok=True)
    settings = {
        "CORE__DAGS_FOLDER": home / "dags",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": 2,
        "CORE__LOAD_EXAMPLES": False,
        "CORE__FERNET_KEY": "",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": home / "passwords.json",
        "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/prefix/execution/",
        "CORE__HOSTNAME_CALLABLE": "socket.gethostname",
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "API__BASE_URL": f"http://127.0.0.1:{port}/prefix",
        "API__HOST": "127.0.0.1",
        "API__PORT": port,
        "API__WORKERS": 1,
        "API__SECRET_KEY": "for-tests-only",
        # Pages shorter than those that the module asks for.
        "API__MAXIMUM_PAGE_LIMIT": 2,
        "API_AUTH__JWT_SECRET": "for-tests-only-for-tests-only-for-tests-only-for-tests-only-1234",
        "DAG_PROCESSOR__REFRESH_INTERVAL": 1,
        "DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": 1,
        "DAG_PROCESSOR__PARSING_PROCESSES": 1,
        "LOGGING__BASE_LOG_FOLDER": home / "logs",
        "LOGGING__WORKER_LOG_SERVER_HOST": "127.0.0.1",
        "LOGGING__WORKER_LOG_SERVER_PORT": free_port(),
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.1,
        "WORKERS__MIN_HEARTBEAT_INTERVAL": 1,
        # A task outlives its api-server, however long that takes to start on a busy machine.
        "WORKERS__EXECUTION_API_RETRIES": 3,
        "WORKERS__EXECUTION_API_RETRY_WAIT_MAX": 1,
        "WORKERS__MAX_FAILED_HEARTBEATS": 200,
    }
    ours = {f"AIRFLOW__{name}": str(value) for name, value in settings.items()}
    return {"AIRFLOW_HOME": str(home), "HOME": str(home), "PATH": os.environ["PATH"], "NO_PROXY": "*", **ours}


class Airflow:
    def __init__(self, python, home):
        self.python = python
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/prefix"
        self.environment = environment(home, self.port)
        self.children = {}
        shutil.copy(python.parents[1] / "template" / "airflow.db", home / "airflow.db")
        (home / "passwords.json").write_text(json.dumps({"admin": PASSWORD}))
        (home / "dags").mkdir()
        for name, text in DAGS.items():
            (home / "dags" / name).write_text(text)

    def start(self, component):
        with (self.home / f"{component}.log").open("ab") as log:
            self.children[component] = subprocess.Popen(
                [self.python, "-m", "airflow", component],
                env=self.environment,
                cwd=self.home,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a group of its own, so that its children can be stopped with it
            )

    def kill(self, component):
        """The process that we started, with its children. Nothing of theirs is worth a slow end."""
        child = self.children.pop(component)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()

    def await_api(self):
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                    f"{self.url}/api/v2/version", timeout=5
                ).close()
                return
            assert self.children["api-server"].poll() is None, (self.home / "api-server.log").read_text()
            time.sleep(0.2)
        raise AssertionError((self.home / "api-server.log").read_text())


@pytest.fixture(scope="module")
def airflow(tmp_path_factory):
    airflow = Airflow(airflow_python(), tmp_path_factory.mktemp("airflow"))
    try:
        for component in ("api-server", "scheduler", "dag-processor"):
            airflow.start(component)
        airflow.await_api()
        yield airflow
    finally:
        for component in list(airflow.children):
            airflow.kill(component)


@pytest.fixture
def dag_run(airflow, capsys):
    """Runs the module in this process and returns its outcome."""

    def run(dag_id, **options):
        arguments = {
            "url": airflow.url,
            "username": "admin",
            "password": PASSWORD,
            "dag_id": dag_id,
            "poll_interval": 0.2,
            "timeout": 60,
            **options,
        }
        with patch_module_args(arguments), pytest.raises(SystemExit):
            airflow_dag_run.main()
        result = json.loads(capsys.readouterr().out)
        assert arguments["password"] not in json.dumps(result)
        return result

    return run


def test_success(dag_run):
    result = dag_run("good")
    assert "failed" not in result, result["msg"]
    assert result["changed"] is True
    assert result["state"] == "success"
    assert result["duration"] > 0
    assert result["run_id"].startswith("ansible__")
    tasks = result["tasks"]
    assert sorted((task["task_id"], task["map_index"], task["queue"]) for task in tasks) == [
        ("after", -1, "q2"),
        ("each", 0, "q1"),
        ("each", 1, "q1"),
    ]
    assert tasks[-1]["task_id"] == "after"
    for task in tasks:
        assert (task["state"], task["try_number"], task["host"]) == ("success", 1, socket.gethostname())
        assert task["duration"] > 0


def test_a_run_id_makes_it_idempotent(dag_run):
    first = dag_run("quick", run_id="once+1", conf={"a": 1})
    second = dag_run("quick", run_id="once+1", conf={"a": 2})
    assert (first["changed"], second["changed"]) == (True, False)
    assert (first["state"], second["state"]) == ("success", "success")
    assert first["tasks"] == second["tasks"]


def test_a_logical_date(dag_run):
    date = "2026-03-01T00:00:00+00:00"
    assert dag_run("quick", run_id="dated", logical_date=date)["state"] == "success"
    assert "already has a run for logical_date" in dag_run("quick", run_id="dated2", logical_date=date)["msg"]


def test_a_failing_task(airflow, dag_run):
    result = dag_run("bad", run_id="bad1")
    assert result["failed"]
    assert (result["changed"], result["state"]) == (True, "failed")
    tasks = {task["task_id"]: task for task in result["tasks"]}
    assert (tasks["breaks"]["state"], tasks["breaks"]["try_number"]) == ("failed", 2)
    assert tasks["after"]["state"] == "upstream_failed"
    host = socket.gethostname()
    assert f"task breaks failed on host {host}, queue q1, try 2" in result["msg"]
    assert f"log: {airflow.url}/dags/bad/runs/bad1/tasks/breaks?try_number=2" in result["msg"]
    again = dag_run("bad", run_id="bad1")
    assert (again["failed"], again["changed"]) == (True, False)


def test_a_task_that_succeeds_at_its_second_try(dag_run):
    result = dag_run("retried")
    assert result["state"] == "success"
    assert result["tasks"][0]["try_number"] == 2


def test_a_paused_dag(dag_run):
    # All are paused at creation; the tests before have unpaused theirs.
    result = dag_run("slow", unpause=False, timeout=5)
    assert "DAG slow is paused" in result["msg"]
    result = dag_run("slow", unpause=False, wait=False, run_id="still_paused")
    assert (result["changed"], result["state"]) == (True, "queued")


def test_check_mode(dag_run):
    result = dag_run("quick", run_id="never", _ansible_check_mode=True)
    assert (result["changed"], result["dag_exists"], result["state"]) == (True, True, None)
    result = dag_run("quick", run_id="never", _ansible_check_mode=True)
    assert result["state"] is None  # the first one has triggered nothing
    result = dag_run("nosuch", _ansible_check_mode=True)
    assert (result["changed"], result["dag_exists"]) == (True, False)


def test_an_unknown_dag_and_an_import_error(dag_run):
    result = dag_run("broken", dag_timeout=1)
    assert "DAG broken is not known" in result["msg"]
    assert (
        "broken.py: ModuleNotFoundError: No module named 'airflow.sdk.dag_that_is_not_there'" in result["msg"]
    )


def test_a_dag_whose_file_breaks_and_is_mended(airflow, dag_run):
    path = airflow.home / "dags" / "fixed.py"
    path.write_text(DAGS["good.py"].replace("quick", "fixed").replace("good", "mended_too"))
    assert dag_run("fixed")["state"] == "success"
    path.write_text("from airflow.sdk import dag\n1 / 0\n")
    api = AirflowApi(airflow.url, "admin", PASSWORD)
    deadline = time.monotonic() + 60
    while not api.get("dags/fixed")["has_import_errors"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    result = dag_run("fixed", dag_timeout=0.5)
    assert "fixed.py: ZeroDivisionError" in result["msg"]
    path.write_text(DAGS["good.py"].replace("quick", "fixed").replace("good", "mended_too"))
    assert dag_run("fixed", dag_timeout=30)["state"] == "success"


def test_a_wrong_password(dag_run):
    result = dag_run("quick", password="wr0ng-one")
    assert "refuses the user name or the password (user admin)" in result["msg"]


def test_a_wrong_prefix(airflow, dag_run):
    result = dag_run("quick", url=f"http://127.0.0.1:{airflow.port}", dag_timeout=2)
    assert f"no Airflow 3 API at http://127.0.0.1:{airflow.port}" in result["msg"]


def test_no_server(dag_run):
    port = free_port()
    result = dag_run("quick", url=f"http://127.0.0.1:{port}", dag_timeout=1)
    assert f"cannot reach the Airflow API at http://127.0.0.1:{port}" in result["msg"]
    assert "refused" in result["msg"]


def at_the_wait(monkeypatch, action):
    """Something happens just when the run has been triggered and the module begins to wait."""
    await_end = airflow_dag_run.DagRun.await_end

    def act_first(*arguments):
        action()
        return await_end(*arguments)

    monkeypatch.setattr(airflow_dag_run.DagRun, "await_end", act_first)


def test_a_timeout_and_an_api_server_that_dies_while_waiting(airflow, dag_run, tmp_path, monkeypatch):
    """Two tests in one, for a start of the api-server takes long."""
    until = tmp_path / "until"
    options = {"run_id": "outlived", "conf": {"until": str(until)}}
    result = dag_run("slow", timeout=3, **options)
    assert "run outlived of DAG slow is still running after 3 s: task waits is" in result["msg"]
    assert (result["changed"], result["state"]) == (True, "running")

    def come_back():
        airflow.await_api()
        until.touch()

    comes_back = threading.Thread(target=come_back)

    def die():
        airflow.kill("api-server")
        airflow.start("api-server")
        comes_back.start()

    at_the_wait(monkeypatch, die)
    result = dag_run("slow", timeout=150, **options)
    comes_back.join()
    assert "failed" not in result, result["msg"]
    assert (result["changed"], result["state"]) == (False, "success")


def test_a_server_that_is_gone_for_good(airflow, dag_run, tmp_path, monkeypatch):
    at_the_wait(monkeypatch, lambda: airflow.kill("api-server"))
    result = dag_run("slow", run_id="lost", conf={"until": str(tmp_path / "until")}, timeout=5)
    assert "run lost of DAG slow was" in result["msg"]
    assert "when last seen; after 5 s: cannot reach" in result["msg"]
    assert (result["run_id"], result["changed"]) == ("lost", True)
