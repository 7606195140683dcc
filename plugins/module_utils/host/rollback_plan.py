# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files get their previous content back, and which units start again with it. Pure functions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.airflowops.cluster.plugins.module_utils.host.systemd import Step, Unit

Files = Mapping[str, Mapping[str, Any]]
Noted = Mapping[str, Mapping[str, Collection[str]]]
UNIT_FILES = "/etc/systemd/system/"


@dataclass(frozen=True)
class Rollback:
    """files: get their previous content back.

    proven: are kept as they are. new: likewise, as there was nothing before.
    """

    files: tuple[str, ...]
    proven: tuple[str, ...]
    new: tuple[str, ...]


def reads(unit: Unit, path: str, noted: Noted) -> bool:
    known = noted.get(unit.name, {})
    return path in known.get("files", ()) or path in known.get("reload_files", ()) or path in unit.fragments


def started_with(unit: Unit, path: str, replaced_at: float, noted: Noted) -> bool:
    """Whether its process was started, or has reloaded, since the file was replaced."""
    if path in noted.get(unit.name, {}).get("reload_files", ()):
        return max(unit.started_at, unit.settled_at) >= replaced_at
    return unit.started_at >= replaced_at


def is_new(unit: Unit, files: Files) -> bool:
    """Whether the run has made the unit: there is nothing it could go back to."""
    return any(path in files and files[path]["copy"] is None for path in unit.fragments[:1])


def readers(path: str, units: Collection[Unit], noted: Noted) -> list[Unit]:
    """Those that run or are to run: one that was taken out of service reads nothing."""
    return [
        unit
        for unit in units
        if reads(unit, path, noted) and (unit.enabled or unit.active or unit.active_state == "activating")
    ]


def plan_rollback(files: Files, units: Collection[Unit], noted: Noted, force: Collection[str]) -> Rollback:
    """force: parts whose files go back although all units that read them run with them."""
    result: dict[str, list[str]] = {"files": [], "proven": [], "new": []}
    for path, entry in sorted(files.items()):
        by = readers(path, units, noted)
        if by and all(is_new(unit, files) for unit in by) and entry["copy"] is None:
            result["new"].append(path)
        elif (
            by
            and entry["part"] not in force
            and all(unit.ready and started_with(unit, path, entry["replaced_at"], noted) for unit in by)
        ):
            result["proven"].append(path)
        else:
            result["files"].append(path)
    return Rollback(*(tuple(result[name]) for name in ("files", "proven", "new")))


def plan_acceptance(files: Files, units: Collection[Unit], noted: Noted, parts: Collection[str]) -> list[str]:
    """Files whose previous content is not needed any more: nothing runs with it.

    parts: those whose files are asked for; none stands for all of them.
    """
    return [
        path
        for path, entry in sorted(files.items())
        if (not parts or entry["part"] in parts)
        and all(
            started_with(unit, path, entry["replaced_at"], noted)
            for unit in readers(path, units, noted)
            if unit.active
        )
    ]


def plan_units(files: Files, returned: Collection[str], units: Collection[Unit], noted: Noted) -> list[Step]:
    """What starts again, once the files in `returned` hold what they held before."""
    actions: dict[str, list[str]] = {"start": [], "restart": [], "reload": []}
    for unit in units:
        paths = [path for path in returned if unit in readers(path, units, noted)]
        if not paths or is_new(unit, files):
            continue
        reloads = noted.get(unit.name, {}).get("reload_files", ())
        if unit.lost:
            actions["start"].append(unit.name)
        elif any(
            unit.started_at >= files[path]["replaced_at"] or (not unit.ready and path not in reloads)
            for path in paths
        ):
            actions["restart"].append(unit.name)
        elif any(path in reloads and unit.settled_at >= files[path]["replaced_at"] for path in paths):
            actions["reload"].append(unit.name)
    steps = [Step("daemon-reload", ())] if any(path.startswith(UNIT_FILES) for path in returned) else []
    return steps + [Step(action, tuple(names)) for action, names in actions.items() if names]
