#!/usr/bin/env python3
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The patches with the newest releases of what they change: which fit, and which of their tests pass.

Solves the newest versions that go together, and installs them below .cache. Prints a table; ends with 1 where
a patch does not fit or a test fails. That is news, not a fault of the collection.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "roles/airflow_common/files"
VENV = ROOT / ".cache/runtime-next"
REPORT = VENV / "report.xml"
# Those of the registry, and of what the patches do. AIRFLOWOPS_TEST_PYTHON is the virtualenv that they use.
TESTS = [
    "test_runtime_patches.py",
    "test_celery_broker.py",
    "test_worker_pause.py",
    "test_task_cost.py",
    "test_scheduler_wake.py",
    "test_queued_tasks.py",
    "test_git_bundle.py",
    "test_s3_bundle.py",
    "test_remote_logs.py",
]


def wanted() -> list[str]:
    """What the newest lock file was made from, without versions and limits."""
    file = max((FILES / "locks").glob("airflow-*-amazon.in"))
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    return [re.split("[=<>~!]", line)[0].strip() for line in lines]


def install() -> Path:
    """The virtualenv's Python, with a migrated database for the tests. Every run solves again."""
    uv = Path(sys.executable).with_name("uv")
    python = VENV / "bin/python"
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", "3.11", VENV], check=True)
    options = ["--quiet", "--upgrade", "--compile-bytecode", f"--python={python}"]
    done = subprocess.run(
        [str(uv), "pip", "install", *options, *wanted()], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"The newest versions do not go together: {done.stderr.strip()}")
    home = VENV / "template"
    environment = {**os.environ, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "false"}
    environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{home}/airflow.db"
    migrate = [str(python), "-m", "airflow", "db", "migrate"]
    subprocess.run(migrate, env=environment, stdout=subprocess.DEVNULL, check=True)
    return python


def check(python: Path) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": str(FILES), "AIRFLOW_HOME": str(VENV / "home")}
    done = subprocess.run(
        [python, "-m", "airflowops_runtime", "check", "--json"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode not in (0, 1):
        sys.exit(f"The check ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def run_tests(python: Path) -> list[tuple[str, str, str]]:
    """[(file, passed | failed | skipped, test)]"""
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", f"--junitxml={REPORT}"]
        + [str(ROOT / "tests/integration" / name) for name in TESTS],
        env={**os.environ, "AIRFLOWOPS_TEST_PYTHON": str(python)},
        cwd=ROOT, check=False,
    )  # fmt: skip
    found = []
    for entry in xml.etree.ElementTree.parse(REPORT).getroot().iter("testcase"):
        kinds = {child.tag for child in entry}
        outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        found.append((entry.get("classname", "").rpartition(".")[2], outcome, entry.get("name", "")))
    return found


def main() -> int:
    python = install()
    found = check(python)
    tests = run_tests(python) if "--check-only" not in sys.argv else []
    print(f"\n{'package':<34}{'newest':<12}tested")
    for name, version in found["packages"].items():
        print(f"{name:<34}{version:<12}{'no' if name in found['untested'] else 'yes'}")
    print(f"\n{'patch':<20}{'state':<9}reason")
    for name, patch in found["patches"].items():
        print(f"{name:<20}{patch['state']:<9}{patch['reason']}")
    if tests:
        print(f"\n{'tests':<24}{'passed':>7}{'failed':>7}{'skipped':>8}")
        for file in dict.fromkeys(file for file, _, _ in tests):
            outcomes = [outcome for name, outcome, _ in tests if name == file]
            counts = [outcomes.count(outcome) for outcome in ("passed", "failed", "skipped")]
            print(f"{file:<24}{counts[0]:>7}{counts[1]:>7}{counts[2]:>8}")
        for file, outcome, name in tests:
            if outcome == "failed":
                print(f"failed: {file}::{name}")
    skipped = any(patch["state"] == "skipped" for patch in found["patches"].values())
    return int(skipped or any(outcome == "failed" for _, outcome, _ in tests))


if __name__ == "__main__":
    sys.exit(main())
