# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inputs of the role topology, of which a host may have a value of its own."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Mapping

import yaml

DEFAULTS = Path(__file__).resolve().parents[2] / "roles" / "topology" / "defaults" / "main.yml"


@functools.cache
def shared_defaults() -> dict[str, Any]:
    """{input: its default}, of the role topology."""
    return yaml.safe_load(DEFAULTS.read_text(encoding="utf-8"))


def values_of_others(values: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """`value_of_others` for each of some inputs."""
    return {name: value_of_others(value, name, own) for name, value in values.items()}


def value_of_others(value: Any, name: str, own: Mapping[str, Any]) -> Any:
    """What counts for hosts that have no value of their own for an input.

    value: what the calling host works with. own: the variables that the inventory or the command line gives
    it. A value of its own says nothing of other hosts: theirs is the role's default. Without one it works
    with that default, or with a variable of the play, which is the same everywhere.
    """
    return shared_defaults()[name] if name in own and name in shared_defaults() else value
