# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a value is of the type that a role's argument spec asks for. No function shows the value."""

from __future__ import annotations

import re
from typing import Any, Mapping

from ansible.module_utils.parsing.convert_bool import BOOLEANS

# What to set a variable to, by its type. What is not here is taken as it is.
WANTED = {
    "bool": "true or false",
    "dict": "a dictionary",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "path": "a path",
    "str": "text",
}
WHOLE = re.compile(r"-?[0-9]{1,9}")
FRACTIONAL = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,9})?")


def kind_of(value: Any) -> str:
    """What a value is, in a word or two; empty where that is unknown, as of what is not yet evaluated."""
    if value is None:
        return "empty"
    # Truth values first: to Python they are whole numbers as well.
    kinds = {
        bool: "a truth value",
        int: "a whole number",
        float: "a fractional number",
        str: "text",
        list: "a list",
        Mapping: "a dictionary",
    }
    return next((word for kind, word in kinds.items() if isinstance(value, kind)), "")


def fits(value: Any, wanted: str) -> bool:
    """Whether a value is of a type, also where it was given as text on a command line.

    Stricter than Ansible where its kindness hides a mistake: text is no list, and a number with a
    fraction is no text, for a version such as 3.10 would lose its last digit.
    """
    kind = kind_of(value)
    if not kind:
        return True
    if wanted == "int":
        return kind == "a whole number" or (kind == "text" and WHOLE.fullmatch(value) is not None)
    if wanted == "float":
        return kind.endswith("number") or (kind == "text" and FRACTIONAL.fullmatch(value) is not None)
    if wanted == "bool":
        return kind == "a truth value" or (kind == "text" and value.lower() in BOOLEANS)
    if wanted in ("str", "path"):
        return kind in ("text", "a whole number")
    return kind == WANTED.get(wanted, kind)


def type_problem(value: Any, option: Mapping[str, Any]) -> tuple[str, str] | None:
    """What is wrong with the type of a variable's value, and the fix; none if nothing is.

    option: the variable's entry in the argument spec of its role.
    """
    if not kind_of(value):
        return None
    wanted = option.get("type", "str")
    if not fits(value, wanted):
        quotes = ", in quotes" if wanted == "str" and isinstance(value, (bool, float)) else ""
        return f"is {kind_of(value)}", f"set it to {WANTED[wanted]}{quotes}"
    element = option.get("elements", "raw")
    for entry in value if wanted == "list" else ():
        if not fits(entry, element):
            return f"has an entry that is {kind_of(entry)}", f"make each entry {WANTED[element]}"
    choices = option.get("choices")
    # Of a list each entry has to be one of them.
    if choices and any(
        kind_of(entry) and entry not in choices for entry in (value if wanted == "list" else [value])
    ):
        return "has an unknown value", f"use {' or '.join(map(str, choices))}"
    return None
