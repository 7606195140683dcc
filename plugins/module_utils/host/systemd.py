# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd says of units, and what is to be done about it. Pure functions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

# Asked of `systemctl show`, one block per unit.
PROPERTIES = (
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "NeedDaemonReload",
    "NRestarts",
    "Job",
    "ExecMainStartTimestampMonotonic",
    "ActiveEnterTimestampMonotonic",
    "StateChangeTimestampMonotonic",
    "FragmentPath",
    "DropInPaths",
    "Triggers",
)


@dataclass(frozen=True)
class Unit:
    """One unit as systemd sees it.

    started_at: seconds since the epoch at which its main process was started; of one without, such as a
        timer, at which it became active; 0 if it never was.
    queued: whether a job for it, such as a restart, waits or is under way.
    settled_at: seconds since the epoch at which it entered its state, or came back to it from a reload.
    triggers: what it starts, as a timer does.
    """

    name: str
    loaded: bool
    active_state: str
    sub_state: str
    enabled: bool
    needs_reload: bool
    restarts: int
    queued: bool
    started_at: float
    settled_at: float
    fragments: tuple[str, ...]
    triggers: tuple[str, ...] = ()

    @property
    def active(self) -> bool:
        return self.active_state in ("active", "reloading")

    @property
    def ready(self) -> bool:
        return self.active and not self.queued

    @property
    def lost(self) -> bool:
        """Down for good: systemd will not start it of its own accord."""
        return self.active_state in ("failed", "inactive") and not self.queued


@dataclass(frozen=True)
class Step:
    """One thing to do: action is daemon-reload, enable, start, restart or reload."""

    action: str
    units: tuple[str, ...]

    def describe(self) -> str:
        return " ".join((self.action, *self.units))


def parse_show(text: str, boot_time: float) -> list[Unit]:
    """Units from the output of `systemctl show --property=...`.

    boot_time: seconds since the epoch at which the monotonic clock stood at 0.
    """
    units = []
    for block in text.strip().split("\n\n"):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if not values.get("Id"):
            continue
        started_at, active_at, settled_at = (
            boot_time + int(values.get(name) or 0) / 1e6 if int(values.get(name) or 0) else 0.0
            for name in (
                "ExecMainStartTimestampMonotonic",
                "ActiveEnterTimestampMonotonic",
                "StateChangeTimestampMonotonic",
            )
        )
        fragments = [values.get("FragmentPath", ""), *values.get("DropInPaths", "").split()]
        units.append(
            Unit(
                name=values["Id"],
                loaded=values.get("LoadState") == "loaded",
                active_state=values.get("ActiveState", "inactive"),
                sub_state=values.get("SubState", "dead"),
                enabled=values.get("UnitFileState") in ("enabled", "enabled-runtime", "static"),
                needs_reload=values.get("NeedDaemonReload") == "yes",
                restarts=int(values.get("NRestarts") or 0),
                queued=int(values.get("Job") or 0) > 0,
                started_at=started_at or active_at,
                settled_at=settled_at,
                fragments=tuple(path for path in fragments if path),
                triggers=tuple(values.get("Triggers", "").split()),
            )
        )
    return units


def with_new_drop_ins(units: list[Unit], drop_ins: Mapping[str, Collection[str]]) -> list[Unit]:
    """The units, noted as to be loaded again where a drop-in is not.

    systemd does not say so of a folder for drop-ins that was made after the unit was loaded (seen with 252).

    drop_ins: for each unit, the drop-ins that the administrator's folder holds.
    """
    return [
        replace(unit, needs_reload=True) if {*drop_ins.get(unit.name, ())} - {*unit.fragments} else unit
        for unit in units
    ]


def with_triggered(units: list[Unit], triggered: list[Unit]) -> list[Unit]:
    """The units, noted as to be loaded again where what they start has to be."""
    outdated = {unit.name for unit in triggered if unit.needs_reload}
    return [replace(unit, needs_reload=True) if outdated & {*unit.triggers} else unit for unit in units]


def outdated(unit: Unit, changed_at: float) -> bool:
    """Whether it was started after its unit file had been changed and before systemd had read that.

    changed_at: the latest change of the unit's own files in seconds since the epoch.
    """
    return unit.active and unit.needs_reload and not unit.triggers and 0 < changed_at <= unit.started_at


def stale_units(units: list[Unit], changed_at: dict[str, float]) -> list[str]:
    """Active units one of whose files was changed after their main process had started.

    changed_at: for each unit, the latest change of its files in seconds since the epoch.
    """
    return [unit.name for unit in units if unit.active and changed_at.get(unit.name, 0.0) > unit.started_at]


def hung_units(units: list[Unit], changed_at: dict[str, float]) -> list[str]:
    """Units on their way up with files older than those that are there now: they need not arrive.

    changed_at: for each unit, the latest change of its files in seconds since the epoch.
    """
    return [
        unit.name
        for unit in units
        if unit.active_state == "activating" and 0 < unit.started_at < changed_at.get(unit.name, 0.0)
    ]


def units_to_reload(units: list[Unit], changed_at: dict[str, float]) -> list[str]:
    """Active units one of whose reloadable files was changed after they had started or reloaded last.

    changed_at: for each unit, the latest change of those files in seconds since the epoch.
    """
    return [unit.name for unit in units if unit.active and changed_at.get(unit.name, 0.0) > unit.settled_at]


def plan(units: list[Unit], restart: list[str], reload: list[str]) -> list[Step]:
    """Steps after which every unit is enabled and active, with those named restarted or reloaded.

    One on its way up is left to arrive, unless it is named.
    """
    steps = []
    if any(unit.needs_reload or not unit.loaded for unit in units):
        steps.append(Step("daemon-reload", ()))
    wanted = {
        "enable": [unit.name for unit in units if not unit.enabled],
        "start": [unit.name for unit in units if not unit.active and unit.active_state != "activating"],
        "restart": [
            unit.name
            for unit in units
            if unit.name in restart and (unit.active or unit.active_state == "activating")
        ],
        "reload": [
            unit.name for unit in units if unit.active and unit.name in reload and unit.name not in restart
        ],
    }
    return steps + [Step(action, tuple(names)) for action, names in wanted.items() if names]
