# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""airflow.cfg against what the project's locked Airflow says that it knows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from test_airflow_dag_run import ROOT, airflow_python

SCRIPT = ROOT / "roles/airflow_common/files/airflow_config_check.py"


@pytest.fixture(scope="module")
def release() -> Path:
    return airflow_python().parents[1]


def check(release: Path, tmp_path: Path, text: str) -> list[str]:
    """What it complains of, with the system's Python, as on a host."""
    file = tmp_path / "airflow.cfg"
    file.write_text(text)
    done = subprocess.run(
        [sys.executable, SCRIPT, release, file], capture_output=True, text=True, check=False
    )
    lines = done.stderr.splitlines()
    assert done.returncode == (1 if lines else 0), done.stderr
    return lines


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[core]\nparalelism = 4", "[core] paralelism (did you mean parallelism?)"),
        ("[celery]\nworker_concurency = 4", "[celery] worker_concurency (did you mean worker_concurrency?)"),
        ("[loging]\nlevel = x", "the section [loging] (did you mean [logging]?)"),
        # Airflow 2 had it there.
        (
            "[scheduler]\nmin_file_process_interval = 30",
            "[scheduler] min_file_process_interval (did you mean that of [dag_processor]?)",
        ),
        ("[core]\nsomething_else_entirely = 1", "[core] something_else_entirely: correct or remove it"),
    ],
)
def test_what_airflow_does_not_know_is_named(release: Path, tmp_path: Path, text: str, words: str) -> None:
    (line,) = check(release, tmp_path, text)
    assert words in line
    assert line.startswith("airflow_config: Airflow does not know ")


def test_what_it_knows_and_what_is_free_is_not(release: Path, tmp_path: Path) -> None:
    text = """
[core]
parallelism = 4
fernet_key_cmd = cat /run/key
[fab]
enable_proxy_fix = true
[celery_broker_transport_options]
global_keyprefix = {airflow}:
[our_team]
contact = ops
"""
    assert check(release, tmp_path, text) == []


def test_a_release_that_is_not_there_yet_says_nothing(tmp_path: Path) -> None:
    assert check(tmp_path / "versions/3.3.2", tmp_path, "[core]\nparalelism = 4") == []
