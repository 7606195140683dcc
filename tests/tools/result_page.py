# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/test-report.md: the last result of each part of `make test-all`, written by the run itself."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import astuple, dataclass, fields
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/test-report.md"
INTRODUCTION = """\
# Test report

The last result of each part of `make test-all`. A run of a part writes its line; nothing else writes this
page. A part holds all tests of its kind, those among them that `make test` has no time for.

"""


@dataclass(frozen=True)
class Row:
    part: str
    passed: int
    failed: int
    skipped: int
    minutes: int
    hosts: str
    controller: str
    date: str
    commit: str


TITLES = ("Part", "Passed", "Failed", "Skipped", "Minutes", "Lab hosts", "Controller", "Date (UTC)", "Commit")


def parse_rows(page: str) -> dict[str, Row]:
    """The rows of the page's table, by part."""
    rows = {}
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == len(TITLES) and cells[1].isdigit():
            rows[cells[0]] = Row(cells[0], *(int(cell) for cell in cells[1:5]), *cells[5:])  # type: ignore[arg-type]
    return rows


def render_page(rows: dict[str, Row], order: list[str]) -> str:
    """The page with one line for each part that has been run, in the order given."""
    lines = [f"| {' | '.join(TITLES)} |", f"|{'---|' * len(fields(Row))}"]
    lines += [
        f"| {' | '.join(str(cell) for cell in astuple(rows[part]))} |" for part in order if part in rows
    ]
    return INTRODUCTION + "\n".join(lines) + "\n"


def write_row(part: str, order: list[str], counts: tuple[int, int, int], seconds: float, hosts: str) -> None:
    """Replaces the part's line."""
    git = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    commit = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    row = Row(
        part, *counts, round(seconds / 60), hosts,
        f"ansible-core {version('ansible-core')}, Python {platform.python_version()}",
        f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M}", commit or "unknown",
    )  # fmt: skip
    rows = parse_rows(PAGE.read_text()) if PAGE.exists() else {}
    PAGE.write_text(render_page({**rows, part: row}, order))
