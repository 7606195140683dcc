# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""airflow_secrets_backend, read from credentials by Airflow's own configuration, as each part does."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.airflowops.cluster.plugins.plugin_utils.secrets_backends import backend_secrets
from test_airflow_dag_run import airflow_python

FILES = Path(__file__).resolve().parents[2] / "roles/airflow_common/files"
LOCAL = "airflow.secrets.local_filesystem.LocalFilesystemBackend"
# A server asks as the masters' parts do, a client as a task, a DAG file or a trigger.
PROGRAM = """
import json, os, sys
from airflow.configuration import conf, ensure_secrets_loaded
from airflow.sdk.configuration import ensure_secrets_loaded as load
from airflow.sdk.execution_time.secrets import DEFAULT_SECRETS_SEARCH_PATH_WORKERS

def first(backends):
    return [type(backends[0]).__name__, backends[0].get_variable("place")]

shown = conf.as_dict(display_sensitive=False, display_source=False)
print("reported", json.dumps({
    "server": first(ensure_secrets_loaded()),
    "client": first(load(default_backends=DEFAULT_SECRETS_SEARCH_PATH_WORKERS)),
    "shown": {section: options for section, options in shown.items() if section in ("secrets", "workers")},
    "environment": {name: value for name, value in os.environ.items() if "SECRETS" in name},
}))
"""


def ask(home: Path, *sides: str, worker: bool = True) -> tuple[dict[str, Any], str]:
    """What a process finds that has the credentials of these sides, and its own words."""
    settings: dict[str, Any] = {}
    for side, prefix in (("masters", ""), ("workers", "worker_")):
        # Both are expanded where Airflow reads a variable of the environment or a file.
        path = home / f"{side}$HOME%(x)s.json"
        path.write_text(json.dumps({"place": side}))
        settings[f"{prefix}backend"] = LOCAL
        settings[f"{prefix}kwargs"] = {"variables_file_path": str(path)}
    if not worker:
        del settings["worker_backend"], settings["worker_kwargs"]
    credentials = home / "credentials"
    credentials.mkdir()
    commands = {}
    for side in sides:
        for name, content in backend_secrets(settings, side).items():
            (credentials / name).write_text(content)
            # As the units do for all credentials.
            commands[f"{name}_CMD"] = f"sh -c 'exec cat \"$CREDENTIALS_DIRECTORY/{name}\"'"
    shown = subprocess.run(
        [airflow_python(), "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(FILES),
            "CREDENTIALS_DIRECTORY": str(credentials),
            "AIRFLOW_HOME": str(home),
            **commands,
        },
    )
    (line,) = (line for line in shown.stdout.splitlines() if line.startswith("reported "))
    return json.loads(line.removeprefix("reported ")), line


def test_a_master(tmp_path: Path) -> None:
    reported, line = ask(tmp_path, "masters", "workers")
    assert reported["server"] == ["LocalFilesystemBackend", "masters"]
    assert reported["client"] == ["LocalFilesystemBackend", "workers"]
    # Neither what Airflow shows of its configuration nor what a task's `env` prints has the arguments.
    assert reported["shown"]["secrets"]["backend"] == LOCAL
    assert "variables_file_path" not in line


def test_a_worker(tmp_path: Path) -> None:
    reported, _ = ask(tmp_path, "workers")
    assert reported["server"][0] == "EnvironmentVariablesBackend"
    assert reported["client"] == ["LocalFilesystemBackend", "workers"]


@pytest.mark.parametrize(("sides", "client"), [(["masters"], "masters"), (["workers"], None)])
def test_without_one_for_workers(tmp_path: Path, sides: list[str], client: str | None) -> None:
    """A worker then asks the masters alone; what clients do on a master asks what is asked there."""
    reported, _ = ask(tmp_path, *sides, worker=False)
    assert reported["client"][1] == client
