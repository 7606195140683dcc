# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every regular expression in a template compiles without a warning: each host's process would print it."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("roles", "playbooks", "molecule", "inventories")
LITERAL = r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
USE = re.compile(
    rf"""\b(?:regex_\w+|match|search|regex)\(\s*{LITERAL}"""
    rf"""|['"](?:regex_\w+|match|search|regex)['"]\s*,\s*{LITERAL}"""
)
NAMES = re.compile(r"regex|\b(?:match|search)\b")


def unquoted(literal: str) -> str:
    with warnings.catch_warnings():
        # Jinja leaves a backslash that escapes nothing as it is.
        warnings.simplefilter("ignore")
        return str(ast.literal_eval(literal))


class Loader(yaml.SafeLoader):
    """Reads Ansible's own tags as text."""


Loader.add_multi_constructor("!", lambda loader, _suffix, node: loader.construct_scalar(node))


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from texts(key)
            yield from texts(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from texts(entry)


def expressions() -> Iterator[tuple[str, str]]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            text = path.read_text(encoding="utf-8") if path.suffix in (".j2", ".yml") else ""
            # Most files need not be parsed.
            if not NAMES.search(text):
                continue
            pages = yaml.load_all(text, Loader) if path.suffix == ".yml" else [text]
            for part in (part for page in pages for part in texts(page)):
                for first, second in USE.findall(part):
                    yield str(path.relative_to(ROOT)), unquoted(first or second)


FOUND = sorted(set(expressions()))


def test_there_are_some() -> None:
    assert len(FOUND) > 30


@pytest.mark.parametrize("expression", sorted({expression for _, expression in FOUND}))
def test_a_regular_expression_compiles_without_a_warning(expression: str) -> None:
    re.purge()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        re.compile(expression)
