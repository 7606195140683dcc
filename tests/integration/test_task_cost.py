# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patches of the kind `speed` with the real Airflow: what a task does not cost any more."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from test_airflow_dag_run import airflow_python

FILES = Path(__file__).resolve().parents[2] / "roles/airflow_common/files"
BEGIN = "import json, sys; sys.path.insert(0, sys.argv[1]); "

# A process that has nothing more to send, and is there for half a second more. Heartbeats go nowhere.
TASK = """
import os, time, types, uuid
import airflowops_runtime.celery_worker
from airflow.sdk.execution_time import supervisor

def target():
    time.sleep(float(sys.argv[2]))
    sys.stdin.close(), sys.stdout.close(), sys.stderr.close()
    os.closerange(0, 64)
    time.sleep(0.5)
    os._exit(0)

sent = []
api = types.SimpleNamespace(heartbeat=lambda *_, **__: sent.append(time.monotonic()))
supervisor.MIN_HEARTBEAT_INTERVAL = 5
process = super(supervisor.ActivitySubprocess, supervisor.ActivitySubprocess).start(
    id=uuid.uuid4(), client=types.SimpleNamespace(task_instances=api), target=target
)
process._last_successful_heartbeat = begin = time.monotonic()
process._monitor_subprocess()
print(json.dumps({"seconds": time.monotonic() - begin, "heartbeats": [at - begin for at in sent]}))
"""
# How often a secret's command is run when it is asked for three times, by each of Airflow's two parsers.
COMMAND = """
sys.argv[1:] = ["api-server"]
import airflowops_runtime.entrypoint
from pathlib import Path
from airflow.configuration import conf
from airflow.sdk.configuration import conf as conf_of_sdk
Path("ran").write_text("")
for _ in range(3):
    assert conf.get("core", "fernet_key") == conf_of_sdk.get("core", "fernet_key") == "secret"
print(Path("ran").read_text().count("x"))
"""
# The connections to the result backend, of the scheduler and of a fork of it.
RESULTS = """
import os
from airflowops_runtime.apply import apply
from celery import Celery
if sys.argv[2] == "ours":
    apply("result-connections")
app = Celery(backend="db+sqlite:///results.sqlite")
engine = lambda: app.backend.session_manager.get_engine("sqlite:///results.sqlite")
engines = [engine() for _ in range(2)]
if not os.fork():
    os._exit(engine() is engines[1])
same_in_fork = os.waitstatus_to_exitcode(os.wait()[1]) == 1
print(json.dumps([engines[0] is engines[1], same_in_fork, engine() is engines[1]]))
"""
# What a worker prepares serves its tasks: types that are asked for again are not looked at again.
WORKER = """
import airflowops_runtime.celery_worker, pydantic
from airflow.sdk.execution_time import comms, task_runner
from celery.signals import worker_init
worker_init.send(None)
print(json.dumps([
    comms.TypeAdapter(comms.ToTask) is comms.TypeAdapter(comms.ToTask),
    task_runner.TypeAdapter(pydantic.JsonValue).validate_python({"a": [1]}) == {"a": [1]},
]))
"""
# One module that is not there yet, one that is none, and one that ends in an error.
PRELOAD = """
import airflowops_runtime.celery_worker
from celery.signals import worker_init
assert "sched" not in sys.modules
worker_init.send(None)
print(json.dumps(["sched" in sys.modules, "broken" in sys.modules]))
"""


def run(program: str, directory: Path, *arguments: str, **environment: str) -> Any:
    done = subprocess.run(
        [airflow_python(), "-c", BEGIN + program.strip(), str(FILES), *arguments],
        cwd=directory,
        env={"PATH": os.environ["PATH"], "AIRFLOW_HOME": str(directory / "home"), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_slot_is_free_when_its_task_has_ended(tmp_path: Path) -> None:
    assert run(TASK, tmp_path, "0")["seconds"] < 2
    # As Airflow does it, which says when this is not needed any more.
    assert run(TASK, tmp_path, "0", AIRFLOWOPS_PATCHES_OFF="task-end")["seconds"] > 4


def test_the_report_of_the_start_is_the_first_heartbeat(tmp_path: Path) -> None:
    ours = run(TASK, tmp_path, "6")["heartbeats"]
    assert len(ours) == 1
    assert 4.5 < ours[0] < 6
    assert run(TASK, tmp_path, "0", AIRFLOWOPS_PATCHES_OFF="first-heartbeat,task-end")["heartbeats"][0] < 1


@pytest.mark.parametrize(("off", "times"), [("", 2), ("secret-commands", 6), ("speed", 6)])
def test_a_secrets_command_is_run_once(tmp_path: Path, off: str, times: int) -> None:
    command = {"AIRFLOW__CORE__FERNET_KEY_CMD": "sh -c 'printf x >> ran; printf secret'"}
    assert run(COMMAND, tmp_path, AIRFLOWOPS_PATCHES_OFF=off, **command) == times


def test_the_scheduler_keeps_its_connection_to_the_result_backend(tmp_path: Path) -> None:
    assert run(RESULTS, tmp_path, "ours") == [True, False, True]
    assert run(RESULTS, tmp_path, "celerys")[0] is False


def test_what_a_worker_prepares(tmp_path: Path) -> None:
    assert run(WORKER, tmp_path) == [True, True]


def test_what_a_worker_imports_for_its_tasks(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('as it is')")
    environment = {"PYTHONPATH": str(tmp_path), "AIRFLOWOPS_PRELOAD": "no_module_of_anybody broken sched"}
    assert run(PRELOAD, tmp_path, **environment) == [True, False]
