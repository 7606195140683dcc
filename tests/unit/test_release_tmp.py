# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where what makes a release keeps its temporary files: beside the release, and not in /tmp."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "roles/airflow_common/files/release.py"
# The script itself, with one that writes down where it is in the place of uv's installation.
PROGRAM = """
import os, runpy, stat, subprocess, sys
module = runpy.run_path(sys.argv[1])
def make(locks, lock, release):
    program = [sys.executable, "-c", "import tempfile; print(tempfile.mkdtemp())"]
    release.mkdir()
    (release / "place").write_text(subprocess.check_output(program, text=True).strip())
module["main"].__globals__["make"] = make
os.umask(0o077)
module["main"]("make", *sys.argv[2:])
"""


def made(prefix: Path, **environment: str) -> Path:
    """Makes a release in a folder, and returns where a program that it started kept a temporary folder."""
    release = prefix / "versions"
    variables = {name: value for name, value in os.environ.items() if name != "TMPDIR"} | environment
    words = [prefix / "locks", "lock.txt", release, "manifest"]
    subprocess.run([sys.executable, "-c", PROGRAM, SCRIPT, *words], check=True, env=variables)
    # Services read it, however strict the umask was.
    assert (release / "manifest").stat().st_mode & 0o777 == 0o644
    return Path((release / "place").read_text())


def test_temporary_files_are_beside_the_release_and_removed(tmp_path: Path) -> None:
    (tmp_path / "tmp/left").mkdir(parents=True)
    assert made(tmp_path).parent == tmp_path / "tmp"
    assert not (tmp_path / "tmp").exists()


def test_a_folder_that_was_given_is_used(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as given:
        assert made(tmp_path, TMPDIR=given).parent == Path(given)


def test_nothing_is_left_where_it_fails(tmp_path: Path) -> None:
    (tmp_path / "versions").mkdir()
    with pytest.raises(subprocess.CalledProcessError):
        made(tmp_path)
    assert not (tmp_path / "tmp").exists()
