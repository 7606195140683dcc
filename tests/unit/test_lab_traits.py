# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Traits of lab hosts: each is a valid script, is described, and is used by a scenario."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TRAITS = {path.stem: path for path in (ROOT / "molecule/shared/lab/traits").glob("*.sh")}
LISTS = re.compile(r"lab_traits\w*: *\[([^]]*)\]")


def used() -> set[str]:
    files = (ROOT / "molecule").glob("*/inventory/**/*.yml")
    lists = [found for path in files for found in LISTS.findall(path.read_text(encoding="utf-8"))]
    return {name for found in lists for name in re.findall(r"\w+", found)}


@pytest.mark.parametrize("name", sorted(TRAITS))
def test_a_trait_is_a_valid_script_that_says_what_it_is(name: str) -> None:
    done = subprocess.run(["bash", "-n", TRAITS[name]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert TRAITS[name].read_text(encoding="utf-8").startswith("# ")


def test_the_page_of_the_lab_lists_all_traits() -> None:
    page = (ROOT / "docs/lab.md").read_text(encoding="utf-8")
    section = page.partition("## Rough machines")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == sorted(TRAITS)


def test_every_trait_is_used_and_every_used_one_exists() -> None:
    assert used() == {*TRAITS}
