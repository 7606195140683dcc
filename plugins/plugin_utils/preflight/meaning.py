# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges what the inventory gives by what it means, with the table in `inputs`. See `preflight`."""

from __future__ import annotations

from typing import Any

from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.inputs import BELOW, INPUTS
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.kinds import (
    number_of,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import Problems
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.types import kind_of, type_problem


def check_meaning(cluster: dict[str, Any], problems: Problems) -> None:
    known = cluster["known_variables"]
    for host, entry in cluster["hosts"].items():
        given = entry.get("given", {})
        for name in sorted({*given} & {*INPUTS}):
            check = INPUTS[name]
            value = given[name]
            # What is of another type is reported as that.
            if not callable(check) or not kind_of(value) or value is None:
                continue
            if type_problem(value, known.get(name) or {}):
                continue
            problem = check(value)
            if problem:
                what, _, fix = problem.rpartition(": ")
                problems.add(f"{name} {what} on {{hosts}}: {fix}", host)
        check_order(known, given, host, problems)


def check_order(known: dict[str, Any], given: dict[str, Any], host: str, problems: Problems) -> None:
    """Of two limits the lower one comes first."""
    for lower, higher in BELOW.items():
        if lower not in given and higher not in given:
            continue
        low, high = (
            number_of(given.get(name, (known.get(name) or {}).get("default"))) for name in (lower, higher)
        )
        if low is None or high is None or any(judged(name, given) for name in (lower, higher)):
            continue
        if low > high:
            problems.add(
                f"{lower} is {low:g} on {{hosts}}, and {higher} is {high:g}: set {lower} to less",
                host,
            )


def judged(name: str, given: dict[str, Any]) -> str:
    """What is wrong with one of the limits by itself."""
    check = INPUTS[name]
    return check(given[name]) if name in given and callable(check) else ""
