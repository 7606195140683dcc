#!/usr/bin/env python3
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes docs/variables.md, the index of all inputs, from the roles' argument specs.

variable_index.py           writes the page if it is not as it should be
variable_index.py --check   only says so, and fails
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tools import role_readmes
from tools.role_readmes import ROLES, default_of, markdown, paragraphs, type_of

PAGE = ROLES.parent / "docs/variables.md"
INTRODUCTION = """\
<!-- Generated from roles/*/meta/argument_specs.yml by tests/tools/variable_index.py: change it there. -->

# All variables

Every input of every role, in alphabetical order, with the first sentence of its description; the page of its
role has the rest. Which one to set for what: [configuration.md](configuration.md). Former names:
[upgrading.md](upgrading.md#former-inputs).

`secret`: the value belongs in the encrypted file of secrets, see [security.md](security.md#secrets).

| variable | role | type | default | meaning |
|---|---|---|---|---|"""
# What follows the full stop of a sentence does not begin with a small letter.
FIRST_SENTENCE = re.compile(r"(.*?\.)(?=\s+[^a-z\s]|$)", re.DOTALL)


def first_sentence(description: Any) -> str:
    text = markdown(paragraphs(description)[0])
    # Links of the role's page lead elsewhere from here.
    text = text.replace("](../", "](../roles/")
    found = FIRST_SENTENCE.match(text)
    return found[1] if found else text


def row(name: str, role: str, option: dict[str, Any]) -> str:
    default = default_of(option)
    if len(default) > 60:
        default = "see its role"
    if option.get("no_log"):
        default += ", secret"
    cells = (f"`{name}`", f"[{role}](../roles/{role}/README.md)", type_of(option), default)
    meaning = first_sentence(option["description"])
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in (*cells, meaning))} |"


def page() -> str:
    """What the page should be."""
    rows: dict[str, str] = {}
    for path in sorted(ROLES.glob("*/meta/argument_specs.yml")):
        for spec in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].values():
            for name, option in (spec.get("options") or {}).items():
                rows.setdefault(name, row(name, path.parents[1].name, option))
    return "\n".join([INTRODUCTION, *(rows[name] for name in sorted(rows))]) + "\n"


if __name__ == "__main__":
    sys.exit(role_readmes.main(sys.argv[1:], {PAGE: page()}, __doc__))
