# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every lab test belongs to a part of `make test-all`, and a change finds the tests that are about it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/tools"))

from affected_tests import AFFECTED, called_for
from result_page import Row, parse_rows, render_page
from run_tests import LATER, PARTS, WHOLE

FOLDERS = ("docs", "inventories", "playbooks", "plugins", "roles")
LAB_TESTS = sorted(path.name for path in (ROOT / "tests/lab").glob("test_*.py"))


@pytest.mark.parametrize("name", LAB_TESTS)
def test_a_lab_test_is_in_a_part(name: str) -> None:
    starts = [start for part in PARTS.values() for start in (*part.tests, *LATER.get(part.topology, ()))]
    assert name.startswith((*starts, *WHOLE))


def test_a_part_names_no_test_that_is_not_there() -> None:
    for part in PARTS.values():
        for start in part.tests:
            assert any(name.startswith(start) for name in LAB_TESTS), start


def test_what_changes_call_for_is_there() -> None:
    assert {name for names in AFFECTED.values() for name in names} <= set(LAB_TESTS)
    files = [
        str(path.relative_to(ROOT))
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
    ]
    for starts in AFFECTED:
        for start in starts:
            assert any(file.startswith(start) for file in [*files, "README.md"]), start


def test_each_role_has_tests() -> None:
    for role in (ROOT / "roles").iterdir():
        assert called_for([f"roles/{role.name}/tasks/main.yml"]), role.name


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("roles/nginx_lb/templates/nginx.conf.j2", ["test_4_front.py", "test_4_front_ways.py"]),
        ("tests/lab/test_4_time.py", ["test_4_time.py"]),
        ("changelogs/fragments/x.yml", []),
    ],
)
def test_a_change_finds_its_tests(path: str, named: list[str]) -> None:
    assert called_for([path]) == named


def test_a_result_replaces_the_last_one_of_its_part() -> None:
    first = Row("code", 10, 0, 2, 7, "none", "core 2.19", "2026-01-01 00:00", "abc")
    other = Row("rough", 3, 1, 0, 9, "Debian 13", "core 2.21", "2026-01-02 00:00", "abd")
    page = render_page({"rough": other, "code": first}, ["code", "rough"])
    assert parse_rows(page) == {"code": first, "rough": other}
    assert page.index("| code |") < page.index("| rough |")
