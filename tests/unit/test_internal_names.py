# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A name that is used is defined: internal variables, and plugins of the collection."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("roles", "playbooks", "molecule", "tests")
# How a variable comes to be: in vars or set_fact, by a task's result, as a loop's, or within a template.
DEFINITIONS = (
    r"(?m)^\s*(?:- )?(__[a-z0-9_]+):",
    r"\bregister: (__[a-z0-9_]+)",
    r"\bloop_var: (__[a-z0-9_]+)",
    r"\{%-? ?(?:set|for) (__[a-z0-9_]+)",
    r"'(__[a-z0-9_]+)':",
)
# Where plugins, roles and playbooks of a name are.
PLACES = (
    "plugins/modules/{}.py",
    "plugins/filter/{}.yml",
    "plugins/lookup/{}.py",
    "plugins/action/{}.py",
    "roles/{}",
    "playbooks/{}.yml",
    "plugins/doc_fragments/{}.py",
)
# Action groups, and what is a name in a test.
OTHERS = {"redis", "airflow", "celery"}


@cache
def sources() -> dict[Path, str]:
    return {
        path: path.read_text(encoding="utf-8")
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".yml", ".j2") and path.is_file() and ".cache" not in path.parts
    }


@cache
def defined() -> frozenset[str]:
    return frozenset(
        name for text in sources().values() for pattern in DEFINITIONS for name in re.findall(pattern, text)
    )


@pytest.mark.parametrize("role", sorted(path.name for path in (ROOT / "roles").iterdir()))
def test_an_internal_variable_that_a_role_uses_is_defined(role: str) -> None:
    of_role = {path: text for path, text in sources().items() if path.is_relative_to(ROOT / "roles" / role)}
    assert of_role
    used = {
        name for text in of_role.values() for name in re.findall(r"\b(__[a-z][a-z0-9_]*[a-z0-9])\b", text)
    }
    assert sorted(used - defined() - {"__pycache__"}) == []


def test_an_internal_variable_that_a_playbook_uses_is_defined() -> None:
    texts = [text for path, text in sources().items() if not path.is_relative_to(ROOT / "roles")]
    used = {name for text in texts for name in re.findall(r"\b(__[a-z][a-z0-9_]*[a-z0-9])\b", text)}
    assert sorted(used - defined()) == []


def test_a_name_of_the_collection_is_that_of_something() -> None:
    used = {
        name
        for path, text in sources().items()
        if not path.is_relative_to(ROOT / "tests")
        for name in re.findall(r"\bairflowops\.cluster\.([a-z][a-z0-9_]*[a-z0-9])\b", text)
    }
    assert len(used) > 100
    missing = [name for name in used if not any((ROOT / place.format(name)).exists() for place in PLACES)]
    assert sorted({*missing} - OTHERS) == []
