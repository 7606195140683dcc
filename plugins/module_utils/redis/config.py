# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directives of redis.conf as a file writes them and as CONFIG GET shows them. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# https://github.com/redis/redis/blob/7.0/redis.conf: "units are case insensitive".
UNITS = {"b": 1, "k": 10**3, "kb": 2**10, "m": 10**6, "mb": 2**20, "g": 10**9, "gb": 2**30}
AMOUNT = re.compile(r"(\d+)([a-z]*)")


def spell_value(value: Any) -> str:
    """A value as CONFIG GET would show it, as far as that can be known without knowing the directive."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = " ".join(str(value).split())
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = text[1:-1]
    return " ".join(_convert_amount(word) for word in text.split(" "))


def _convert_amount(word: str) -> str:
    found = AMOUNT.fullmatch(word.lower())
    if found and found[2] in UNITS:
        return str(int(found[1]) * UNITS[found[2]])
    return word


def find_differences(wanted: Mapping[str, Any], present: Mapping[str, str]) -> dict[str, str]:
    """What is to be set: {directive: value}. One that the server does not know is left to it to refuse."""
    return {
        name: spell_value(value)
        for name, value in wanted.items()
        if name not in present or spell_value(value).lower() != spell_value(present[name]).lower()
    }
