# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each reproduction in docs/upstream shows what it says. When one fails, upstream has fixed it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from test_airflow_dag_run import airflow_python

PAGES = sorted((Path(__file__).resolve().parents[2] / "docs/upstream").glob("*.md"))
BLOCK = re.compile(r"^```(python)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_reproduction_shows_what_it_says(page: Path, tmp_path: Path) -> None:
    (_, program), (_, expected), (_, actual) = BLOCK.findall(page.read_text(encoding="utf-8"))
    assert expected != actual
    done = subprocess.run(
        [airflow_python(), "-W", "ignore", "-c", program],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == actual
