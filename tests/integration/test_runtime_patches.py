# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each patch of the registry with the real Airflow and Celery: alone, off, and where it does not fit.

What a patch does is tested in files of its own: test_celery_broker, test_worker_pause, test_task_cost,
test_scheduler_wake, test_queued_tasks, test_git_bundle, test_s3_bundle, test_remote_logs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_airflow_dag_run import airflow_python

FILES = Path(__file__).resolve().parents[2] / "roles/airflow_common/files"
sys.path.insert(0, str(FILES))
from airflowops_runtime.registry import PATCHES

# Imports what the patches replace once. A line is a case, which runs in a fork of its own.
CASES = """
import importlib, json, logging, os, sys
from airflowops_runtime.patch import load
from airflowops_runtime.registry import PATCHES

paths = [target.path for patch in PATCHES.values() for target in patch.targets]
for path in paths:
    load(path)

def owner_of(path):
    names, _, last = path.rpartition("." if "." in path.partition(":")[2] else ":")
    owner = load(names)
    return owner, last

def rename(path):
    owner, name = owner_of(path)
    setattr(owner, name + "_renamed", getattr(owner, name))
    delattr(owner, name)
    return [name for name, patch in PATCHES.items() if any(
        "" != target.path.partition(":")[2] and gone(target.path) for target in patch.targets)]

def gone(path):
    try:
        load(path)
    except Exception:
        return True
    return False

def static(path):
    names, _, last = path.rpartition("." if "." in path.partition(":")[2] else ":")
    return load(path) if not names else getattr(load(names), last)

def case(off, renamed):
    records = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    logging.getLogger("airflowops_runtime").addHandler(handler)
    os.environ["AIRFLOWOPS_PATCHES_OFF"] = off
    before = {path: static(path) for path in paths}
    broken = rename(renamed) if renamed else []
    from airflowops_runtime.apply import apply, results
    apply(*PATCHES)
    replaced = [] if renamed else [path for path in paths if static(path) != before[path]]
    return {
        "states": {name: result.state for name, result in results.items()},
        "reasons": {name: result.reason for name, result in results.items()},
        "warnings": records, "broken": broken, "replaced": replaced,
    }

for line in sys.stdin:
    off, renamed = json.loads(line)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        with os.fdopen(writing, "w") as result:
            result.write(json.dumps(case(off, renamed)))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as result:
        print("=", result.read(), flush=True)
    os.waitpid(child, 0)
"""


class Cases:
    def __init__(self, home: Path, python: str) -> None:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(FILES), "AIRFLOW_HOME": str(home)}
        self.process = subprocess.Popen(
            [python, "-c", CASES],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=home, env=environment,
        )  # fmt: skip

    def __call__(self, off: str = "", renamed: str = "") -> dict[str, Any]:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps([off, renamed]) + "\n")
        self.process.stdin.flush()
        return json.loads(next(line for line in self.process.stdout if line.startswith("= "))[2:])


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cases]:
    cases = Cases(tmp_path_factory.mktemp("airflow"), str(airflow_python()))
    yield cases
    cases.process.kill()
    cases.process.wait()


def others(name: str) -> str:
    return ",".join(each for each in PATCHES if each != name)


@pytest.mark.parametrize("name", PATCHES)
def test_a_patch_alone_is_on(case: Cases, name: str) -> None:
    found = case(off=others(name))
    assert found["states"] == {each: "on" if each == name else "off" for each in PATCHES}, found["reasons"]
    assert found["warnings"] == []
    # It replaces what it says, and nothing that another one says alone.
    own = {target.path for target in PATCHES[name].targets}
    assert {*found["replaced"]} <= own


@pytest.mark.parametrize("name", PATCHES)
def test_a_patch_alone_is_off(case: Cases, name: str) -> None:
    found = case(off=name)
    assert found["states"] == {each: "off" if each == name else "on" for each in PATCHES}, found["reasons"]
    assert found["warnings"] == []


def test_without_patches_nothing_is_replaced(case: Cases) -> None:
    found = case(off="repair speed")
    assert {*found["states"].values()} == {"off"}
    assert found["replaced"] == []


def test_a_name_that_is_none_is_reported(case: Cases) -> None:
    assert case(off="nonsense")["warnings"] == ["AIRFLOWOPS_PATCHES_OFF names no patch: nonsense"]


TARGETS = sorted(
    {target.path for patch in PATCHES.values() for target in patch.targets if target.path.partition(":")[2]}
)


@pytest.mark.parametrize("path", TARGETS)
def test_where_a_symbol_was_renamed_its_patches_are_skipped_and_the_others_are_on(
    case: Cases, path: str
) -> None:
    found = case(renamed=path)
    skipped = {name for name, state in found["states"].items() if state == "skipped"}
    assert skipped
    named = {
        name
        for name, patch in PATCHES.items()
        if any(path == each.path or path.startswith(each.path + ".") for each in patch.targets)
    }
    assert named <= skipped == {*found["broken"]}, found["reasons"]
    # One warning for each.
    assert len(found["warnings"]) == len(skipped)
    for name in skipped:
        assert any(f"The patch {name} is skipped" in text for text in found["warnings"])
    assert {found["states"][name] for name in {*PATCHES} - skipped} == {"on"}


def test_every_patch_can_be_told_to_not_fit() -> None:
    """But for what is Python's own."""
    without = [name for name, patch in PATCHES.items() if not any(":" in each.path for each in patch.targets)]
    assert without == ["garbage-collection"]


STOPPING = """
import socket, time
from airflowops_runtime.apply import is_on
if not is_on("stop-timeout"):
    raise SystemExit("off")
from airflowops_runtime import kombu_redis
from kombu.transport import redis
kombu_redis.SOCKET_TIMEOUT_OF_STOP = 0.5
with socket.create_server(("127.0.0.1", 0)) as silent:
    port = silent.getsockname()[1]
    def seconds():
        begin = time.monotonic()
        try:
            options = {"host": "127.0.0.1", "port": port, "socket_timeout": 3, "retry": None}
            redis.Channel.connection_class(**options).connect()
        except Exception:
            return time.monotonic() - begin
    before = seconds()
    kombu_redis.begin_stop()
    print(before > 2.5, seconds() < 2)
"""
VERSIONS = """
import types
from airflow.api_fastapi.gunicorn_app import AirflowGunicornApp
made = []
mounted = types.SimpleNamespace(_cadwyn_initialized=False, _cadwyn_initialize=lambda: made.append(1))
app = types.SimpleNamespace(routes=[types.SimpleNamespace(app=mounted), types.SimpleNamespace()])
AirflowGunicornApp.load = lambda self: app
from airflowops_runtime import api_server
api_server.make_versions_early()
assert AirflowGunicornApp.load(None) is app
print(made)
"""


def output(program: str, home: Path) -> str:
    done = subprocess.run(
        [str(airflow_python()), "-c", program],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(FILES), "AIRFLOW_HOME": str(home)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()[-1]


def test_a_worker_that_stops_waits_less_for_a_silent_broker(tmp_path: Path) -> None:
    assert output(STOPPING, tmp_path) == "True True"


def test_versions_of_the_execution_api_are_made_before_there_are_processes(tmp_path: Path) -> None:
    assert output(VERSIONS, tmp_path) == "[1]"


def test_what_became_of_the_patches_is_left_for_health_and_metrics(tmp_path: Path) -> None:
    program = """
import os, json
os.environ["SYSTEMD_EXEC_PID"] = str(os.getpid())
os.environ["AIRFLOWOPS_PATCHES_OFF"] = "oom-score"
from airflowops_runtime.apply import apply
apply("oom-score", "prefetch-count")
if not os.fork():
    apply("task-end")
    os._exit(0)
os.wait()
print(open(os.environ["RUNTIME_DIRECTORY"] + "/patches.json").read())
"""
    states = json.loads(
        output(f"import os; os.environ['RUNTIME_DIRECTORY'] = {str(tmp_path)!r}{program}", tmp_path)
    )
    assert {name: result["state"] for name, result in states.items()} == {
        "oom-score": "off",
        "prefetch-count": "on",
    }
