# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directives as a file writes them are compared with what CONFIG GET shows."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.config import (
    find_differences,
    spell_value,
)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("1gb", "1073741824"),
        ("1G", "1000000000"),
        ("64 MB", "64 MB"),
        (True, "yes"),
        (0, "0"),
        ('""', ""),
        ('"notify me"', "notify me"),
        ("normal 0 0 0  pubsub 32mb 8mb 60", "normal 0 0 0 pubsub 33554432 8388608 60"),
        ("* -::*", "* -::*"),
        ("10s", "10s"),
    ],
)
def test_values_are_spelled_as_redis_shows_them(written: Any, shown: str) -> None:
    assert spell_value(written) == shown


def test_only_what_differs_is_set() -> None:
    wanted = {"maxmemory": "1gb", "timeout": 0, "maxmemory-policy": "NoEviction", "hz": "20"}
    present = {"maxmemory": "1073741824", "timeout": "0", "maxmemory-policy": "noeviction", "hz": "10"}
    assert find_differences(wanted, present) == {"hz": "20"}


def test_a_directive_that_the_server_does_not_show_is_left_to_the_server() -> None:
    assert find_differences({"no-such-thing": "1"}, {}) == {"no-such-thing": "1"}
