# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Before ansible-core 2.19 a templated variable is a text, and "9000" is larger than "50000"."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# A variable of a role's own is templated. An attribute, as of a registered result, keeps its type.
BEFORE = re.compile(r"\b(__[a-z0-9_]+) (?:[<>]=?) ")
AFTER = re.compile(r" (?:[<>]=?) (__[a-z0-9_]+)\b(?!\.)(?! \| (?:int|float|length)\b)")
LISTS = {"__etcd_seen"}


def text_comparisons(line: str) -> list[str]:
    return [name for name in BEFORE.findall(line) + AFTER.findall(line) if name not in LISTS]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("when: __free >= __wanted", ["__free", "__wanted"]),
        ("when: __free | int >= __wanted | int", []),
        ("when: __result.size > 3", []),
    ],
)
def test_the_scan_sees_texts_that_are_compared(line: str, found: list[str]) -> None:
    assert text_comparisons(line) == found


def test_numbers_are_made_numbers_before_they_are_compared() -> None:
    files = [
        path for folder in ("roles", "playbooks") for path in (ROOT / folder).rglob("*.yml") if path.is_file()
    ]
    assert len(files) > 200
    found = [
        f"{path.relative_to(ROOT)}:{number}: {name}"
        for path in files
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for name in text_comparisons(line)
    ]
    assert not found
