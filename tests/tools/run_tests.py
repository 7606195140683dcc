# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the stages named (those of the gate, if none is) and closes with `N passed, N failed, N skipped`.

Stages: lint, unit, integration, labs (both topologies side by side); by name also single_node, multi_node and
rough. `all` runs every part of PARTS with the tests that take minutes, `part:NAME` one of them, and each
writes its result into docs/test-report.md.

LONG=1 adds the tests that take minutes; SINCE=COMMIT those of them which the changed paths call for. A
machine that cannot run containers skips the topologies and says so: with AIRFLOWOPS_REQUIRE_LAB=1 that is a
failure, as is a test that is skipped for a reason that is not listed here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tools.affected_tests import called_for, changed_paths
from tools.result_page import write_row

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
LINTERS = {
    "ansible-lint": ["ansible-lint", "--offline"],
    "ansible-test sanity": [sys.executable, "tests/tools/sanity"],
    "galaxy": [sys.executable, "tests/tools/galaxy"],
    "mypy": ["mypy"],
    "yamllint": ["yamllint", "--strict", "."],
    "ruff check": ["ruff", "check", "."],
    "ruff format": ["ruff", "format", "--check", "."],
    "changelog": ["antsibull-changelog", "lint"],
    "syntax, prod": ["ansible-playbook", "site.yml", "-i", "inventories/prod", "--syntax-check"],
    "syntax, single": [
        "ansible-playbook",
        "site.yml",
        "-i",
        "inventories/single_node",
        "--syntax-check",
    ],
}
TOPOLOGIES = ("single_node", "multi_node")
# Each begins with a bare lab and ends with its removal.
WHOLE = ("test_1_lifecycle.py", "test_7_end.py")
# A topology that the gate has no time for, with the tests that are about its machines.
LATER = {"rough": ("test_2_verify.py", "test_5_rough.py")}


@dataclass(frozen=True)
class Part:
    """What `make test-all` runs in one go: at most 45 minutes on two cores."""

    stages: tuple[str, ...] = ()
    topology: str = ""
    # Beginnings of names in tests/lab; none: what LATER has, or all.
    tests: tuple[str, ...] = ()
    suite: str = "bookworm"


PARTS = {
    "code": Part(stages=("lint", "unit", "integration")),
    "single node: services": Part(
        topology="single_node",
        tests=("test_2", "test_3", "test_4_a", "test_4_b", "test_4_c", "test_4_h", "test_4_l", "test_4_o"),
    ),
    "single node: environment": Part(
        topology="single_node", tests=("test_4_f", "test_4_p", "test_4_q", "test_4_r", "test_4_s", "test_4_t")
    ),
    "single node: versions": Part(topology="single_node", tests=("test_4_v", "test_4_w", "test_5", "test_6")),
    "ten hosts: faults": Part(
        topology="multi_node",
        tests=("test_2", "test_3", "test_4_d", "test_4_f", "test_4_redis", "test_4_scale"),
    ),
    "ten hosts: day 2": Part(
        topology="multi_node", tests=("test_4_a", "test_4_b", "test_4_v", "test_4_w", "test_5", "test_6")
    ),
    "rough machines, Debian 12": Part(topology="rough"),
    "rough machines, Debian 13": Part(topology="rough", suite="trixie"),
}

# Why a test may be left out in the gate. A reason that is not listed here is a failure there.
EXPECTED_SKIPS = re.compile(
    "needs the topology |takes minutes|no host in the group monitoring|--keep |made when asked for"
    "|does not begin with https://|needs a floating address|needs three hosts of the metastore"
    "|needs systemd-analyze|this machine has no systemd-creds|is not on this machine"
)


@dataclass
class Tally:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.notes += other.notes


def run(command: list[str], capture: bool = False) -> subprocess.CompletedProcess[str]:
    """With `capture` its output is kept, errors among it."""
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        check=False,
        text=True,
        stdout=subprocess.PIPE if capture else None,
        stderr=subprocess.STDOUT if capture else None,
    )


def lint(tally: Tally) -> None:
    """As many linters at once as there are cores, the slow ones first."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        jobs = {name: pool.submit(run, command, capture=True) for name, command in LINTERS.items()}
        for name, job in jobs.items():
            done = job.result()
            print(f"-- {name}\n{done.stdout}", end="", flush=True)
            if done.returncode == 0:
                tally.passed += 1
            else:
                tally.failed += 1
                tally.notes.append(f"FAILED: {name}")


def pytest(tally: Tally, *arguments: str, capture: bool = False) -> str:
    """With `capture` its output is returned instead of shown."""
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "report.xml"
        done = run([sys.executable, "-m", "pytest", *arguments, f"--junitxml={report}"], capture)
        output, code = done.stdout or "", done.returncode
        if not report.exists():
            tally.failed += 1
            tally.notes.append(f"FAILED: pytest {' '.join(arguments)} ended with {code} and no report")
            return output
        for suite in ET.parse(report).getroot().iter("testsuite"):
            count = {key: int(suite.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")}
            bad = count["failures"] + count["errors"]
            tally.failed += bad
            tally.passed += count["tests"] - bad - count["skipped"]
            for case in suite.iter("testcase"):
                for skip in case.iter("skipped"):
                    reason = skip.get("message", "")
                    if os.environ.get("AIRFLOWOPS_REQUIRE_LAB") == "1" and not EXPECTED_SKIPS.search(reason):
                        tally.failed += 1
                        tally.notes.append(f"FAILED: {case.get('name')} was left out: {reason}")
                    else:
                        tally.skipped += 1
    return output


def lab_obstacle() -> str | None:
    """Why this machine cannot run lab hosts; nothing if it can."""
    if os.geteuid() != 0:
        return "the lab's hosts need root"
    done = subprocess.run(
        [ROOT / "molecule/shared/lab/podman", "info"], capture_output=True, text=True, check=False
    )
    return None if done.returncode == 0 else f"podman does not work here: {done.stderr.strip()[-300:]}"


def long_options() -> list[str]:
    """Options of pytest for the tests that take minutes."""
    if os.environ.get("LONG") == "1":
        return ["--long"]
    since = os.environ.get("SINCE")
    return [f"--long-of={name}" for name in called_for(changed_paths(since))] if since else []


def lab(tally: Tally, topology: str, capture: bool = False, tests: tuple[str, ...] = ()) -> str:
    obstacle = lab_obstacle()
    if obstacle is None:
        tests = tests or LATER.get(topology, ())
        names = sorted(path.name for path in (ROOT / "tests/lab").glob("test_*.py"))
        chosen = [f"tests/lab/{name}" for name in names if not tests or name.startswith((*tests, *WHOLE))]
        return pytest(
            tally, *chosen, f"--topology={topology}", "--durations=20", *long_options(), capture=capture
        )
    if os.environ.get("AIRFLOWOPS_REQUIRE_LAB") == "1":
        tally.failed += 1
        tally.notes.append(f"FAILED: {topology} could not be tested: {obstacle}")
    else:
        tally.skipped += 1
        tally.notes.append(f"SKIPPED: {topology}: {obstacle}")
    return ""


def side_by_side(tally: Tally) -> None:
    """Both topologies at once: each mostly waits for its hosts. The second one's output comes at the end."""
    first, second = TOPOLOGIES
    booted = ROOT / ".lab" / first.replace("_", "-") / "known_hosts"
    booted.unlink(missing_ok=True)
    theirs = Tally()
    with ThreadPoolExecutor(max_workers=1) as pool:

        def later() -> str:
            # By then the image is there, and the first lab's end does not take down what both stand on.
            deadline = time.monotonic() + 600
            while not booted.exists() and time.monotonic() < deadline:
                time.sleep(1)
            return lab(theirs, second, capture=True)

        job = pool.submit(later)
        lab(tally, first)
        print(f"\n==== {second}, at the same time\n{job.result()}", flush=True)
    tally.add(theirs)


def run_stage(tally: Tally, stage: str) -> None:
    if stage == "lint":
        lint(tally)
    elif stage == "labs":
        side_by_side(tally)
    elif stage in (*TOPOLOGIES, *LATER):
        lab(tally, stage)
    elif stage.startswith("part:"):
        run_part(tally, stage.removeprefix("part:"))
    elif stage not in ("unit", "integration"):
        sys.exit(f"There is no stage {stage}.")
    else:
        cores = os.cpu_count() or 2
        in_parallel = [f"--numprocesses={cores}", "--dist=loadfile"]
        if stage == "integration":  # They mostly wait for their servers; conftest.py has their order.
            in_parallel = [f"--numprocesses={cores + 1}", "--dist=loadfile", "--no-loadscope-reorder"]
        pytest(tally, f"tests/{stage}", "--durations=10", *in_parallel)


def run_part(tally: Tally, name: str) -> None:
    """Runs a part with all its tests and writes its line of the report."""
    if name not in PARTS:
        sys.exit(f"There is no part {name}: {', '.join(PARTS)}.")
    part, own, start = PARTS[name], Tally(), time.monotonic()
    os.environ |= {"LONG": "1", "LAB_SUITE": part.suite}
    for stage in part.stages:
        run_stage(own, stage)
    if part.topology:
        lab(own, part.topology, tests=part.tests)
    hosts = {"": "none", "bookworm": "Debian 12", "trixie": "Debian 13"}[part.suite if part.topology else ""]
    counts = (own.passed, own.failed, own.skipped)
    write_row(name, list(PARTS), counts, time.monotonic() - start, hosts)
    tally.add(own)


def main(stages: list[str]) -> int:
    tally = Tally()
    if stages == ["all"]:
        stages = [f"part:{name}" for name in PARTS]
    for stage in stages or ["lint", "unit", "integration", "labs"]:
        print(f"\n==== {stage}", flush=True)
        start = time.monotonic()
        run_stage(tally, stage)
        print(f"==== {stage}: {time.monotonic() - start:.0f} s", flush=True)
    print()
    for note in tally.notes:
        print(note)
    print(f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
