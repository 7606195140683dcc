# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a suite of faults is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lab import Lab


@dataclass(frozen=True)
class Fault:
    """planned: made by an operator on purpose, so that no task may be executed twice.

    most_gap: seconds that no gap may exceed. most_again: within how many what was killed has to run again.
    most_failed: how many requests of one user may fail.
    """

    name: str
    title: str
    make: Callable[[Lab], None]
    planned: bool = False
    most_gap: float | None = None
    most_again: float | None = None
    most_failed: int | None = None
