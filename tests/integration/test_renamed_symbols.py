# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release in which upstream has renamed something of each patch: services start, a task succeeds."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_airflow_dag_run import airflow_python, environment, free_port
from test_airflow_queue_membership import Broker

FILES = Path(__file__).resolve().parents[2] / "roles/airflow_common/files"
sys.path.insert(0, str(FILES))
from airflowops_runtime.registry import PATCHES

# Renamed wherever they stand in these packages, as a release of upstream does it.
PACKAGES = ("airflow", "cadwyn", "celery", "kombu")
SYMBOLS = (
    "_remove_from_indices", "retry_errors", "_ensure_connection", "connection_class_ssl", "select_add",
    "max_prefetch_count", "worker_process_init", "_service_subprocess", "_send_heartbeat_if_needed", "ToTask",
    "get_listener_manager", "_reschedule_stuck_task", "SessionManager", "run_command", "_cadwyn_initialize",
    "_fetch_logs_from_service", "_fetch_bare_repo", "s3_dags_dir", "remote_base",
)  # fmt: skip
RENAME = re.compile(rf"\b({'|'.join(SYMBOLS)})\b")
# The module `time` of the scheduler is one of Python's, which it may import otherwise.
OWN_TIME = {"import time\n": "from time import sleep\nimport time as clock\n", "time.sleep(": "sleep("}
# These have nothing private to be renamed.
PUBLIC = {"scheduler-notify", "garbage-collection"}
# Patches of what this release is not asked for.
NOT_HERE = {"git-bundle", "s3-bundle", "remote-logs"}
DAG = """
from airflow.sdk import dag, task

@dag(schedule=None)
def simple():
    @task
    def step():
        return 1
    step()

simple()
"""


def renamed_packages(python: Path, target: Path) -> None:
    source = next(python.parents[1].glob("lib/python3*/site-packages"))
    for package in PACKAGES:
        # Links, but for what is written again.
        shutil.copytree(source / package, target / package, copy_function=os.link)
    for file in target.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        new = RENAME.sub(r"\1_renamed", text)
        if file.name == "scheduler_job_runner.py":
            for old, other in OWN_TIME.items():
                new = new.replace(old, other)
        if new != text:
            file.unlink()
            file.write_text(new, encoding="utf-8")


class Release:
    def __init__(self, home: Path, broker_url: str) -> None:
        self.home = home
        self.python = airflow_python()
        port = free_port()
        renamed_packages(self.python, home / "packages")
        self.environment = environment(home, port) | {"PYTHONPATH": f"{home / 'packages'}:{FILES}"}
        settings = {
            "CORE__EXECUTOR": "CeleryExecutor",
            # A busy machine is no reason to fail.
            "WORKERS__EXECUTION_API_TIMEOUT": "120",
            "CELERY__BROKER_URL": broker_url,
            "CELERY__RESULT_BACKEND": f"db+sqlite:///{home}/results.db",
            "CELERY__CELERY_CONFIG_OPTIONS": "airflowops_runtime.celery_config.CELERY_CONFIG",
            "CELERY__EXTRA_CELERY_CONFIG": json.dumps({"imports": ["airflowops_runtime.celery_worker"]}),
        }
        self.environment |= {f"AIRFLOW__{name}": value for name, value in settings.items()}
        shutil.copy(self.python.parents[1] / "template/airflow.db", home / "airflow.db")
        (home / "passwords.json").write_text("{}")
        (home / "dags").mkdir()
        (home / "dags/simple.py").write_text(DAG)

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [self.python, "-m", *arguments],
            env=self.environment, cwd=self.home, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode in (0, 1), done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    @contextlib.contextmanager
    def service(self, name: str, *arguments: str) -> Iterator[None]:
        with self.log(name).open("ab") as log:
            child = subprocess.Popen(
                [self.python, "-m", *arguments],
                env=self.environment, cwd=self.home, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            yield
            assert child.poll() is None, self.log(name).read_text()[-3000:]
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()

    def log(self, name: str) -> Path:
        return self.home / f"{name}.log"

    def states(self) -> list[str]:
        with contextlib.closing(sqlite3.connect(self.home / "airflow.db", timeout=30)) as connection:
            return [state for (state,) in connection.execute("SELECT state FROM task_instance")]


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server here")
def test_a_release_with_renamed_symbols_runs_tasks_and_says_what_is_missing(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    release = Release(tmp_path, broker.url)
    found = json.loads(release.run("airflowops_runtime", "check", "--json").splitlines()[-1])["patches"]
    assert {name for name, patch in found.items() if patch["state"] != "skipped"} == PUBLIC
    entrypoint = "airflowops_runtime.entrypoint"
    with contextlib.ExitStack() as services:
        services.enter_context(broker())
        services.enter_context(release.service("api-server", entrypoint, "api-server"))
        release.run("airflow", "dags", "reserialize")
        release.run("airflow", "dags", "unpause", "simple")
        release.run("airflow", "dags", "trigger", "simple")
        services.enter_context(release.service("scheduler", entrypoint, "scheduler"))
        worker = ["celery", "worker", "--concurrency", "1", "--skip-serve-logs", "--without-mingle"]
        services.enter_context(release.service("worker", "airflow", *worker))
        deadline = time.monotonic() + 300
        while release.states() != ["success"]:
            assert time.monotonic() < deadline, (release.states(), release.log("worker").read_text()[-3000:])
            time.sleep(1)
    logs = {name: release.log(name).read_text() for name in ("api-server", "scheduler", "worker")}
    for name in {*PATCHES} - PUBLIC - NOT_HERE:
        warned = [text.count(f"The patch {name} is skipped") for text in logs.values()]
        # Once by each service that would have it.
        assert max(warned) == 1, (name, warned)
