# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each of Airflow's processes finds in its environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FILES = Path(__file__).resolve().parents[2] / "roles/airflow_common/files"


def seen(folder: Path, program: str, **environment: str) -> dict[str, str]:
    """What a Python process prints of its environment, with the credentials in the folder."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(FILES), "CREDENTIALS_DIRECTORY": str(folder)}
        | environment,
        check=True, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.stderr == ""
    return json.loads(done.stdout)


PRINT = "import json, os; print(json.dumps(dict(os.environ)))"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "AIRFLOWOPS_ENVIRONMENT").write_text(json.dumps({"THREADS": "8", "PROXY": "http://proxy"}))
    (tmp_path / "AIRFLOW_CONN_ETL").write_text('{"key_file": "${CREDENTIALS_DIRECTORY}/KEY"}')
    return tmp_path


def test_what_is_sealed_is_there(folder: Path) -> None:
    there = seen(folder, PRINT, PROXY="of the unit")
    assert (there["THREADS"], there["PROXY"]) == ("8", "http://proxy")
    assert there["AIRFLOW_CONN_ETL"] == f'{{"key_file": "{folder}/KEY"}}'


def test_what_a_worker_has_of_its_own_stays(folder: Path) -> None:
    there = seen(folder, PRINT, THREADS="2", AIRFLOWOPS_OWN="THREADS OTHER")
    assert (there["THREADS"], there["PROXY"]) == ("2", "http://proxy")


def test_what_a_task_gives_its_programs_stays(folder: Path) -> None:
    program = (
        "import os, subprocess, sys;"
        f"subprocess.run([sys.executable, '-c', {PRINT!r}], env=os.environ | {{'PROXY': ''}}, check=True)"
    )
    there = seen(folder, program)
    assert (there["THREADS"], there["PROXY"]) == ("8", "")
