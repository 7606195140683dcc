# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Systemd's units on this host: asked, changed and waited for, by systemctl."""

from __future__ import annotations

import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.airflowops.cluster.plugins.module_utils.host.systemd import (
    PROPERTIES,
    Step,
    Unit,
    parse_show,
    with_new_drop_ins,
    with_triggered,
)

# A look costs some hundredths of a CPU second, which services on their way up need more.
FIRST_POLL_SECONDS = 0.2
LAST_POLL_SECONDS = 1.0
POLL_GROWTH = 1.2
GIVE_UP_AFTER_RESTARTS = 3
JOURNAL_LINES = 40
# The administrator's, and ours.
DROP_INS = Path("/etc/systemd/system")


class UnitsError(Exception):
    """Units that cannot be brought up, or a systemctl that failed."""


def systemctl(module: AnsibleModule, *arguments: str) -> str:
    rc, out, err = module.run_command(["systemctl", "--no-pager", *arguments])
    if rc != 0:
        raise UnitsError(f"systemctl {' '.join(arguments)} failed: {(err or out).strip()}")
    return out


def show(module: AnsibleModule, names: list[str]) -> list[Unit]:
    out = systemctl(module, "show", f"--property={','.join(PROPERTIES)}", "--", *names)
    return parse_show(out, time.time() - time.monotonic())


def observe(module: AnsibleModule, names: list[str]) -> list[Unit]:
    units = show(module, names)
    triggered = sorted({name for unit in units for name in unit.triggers})
    if triggered:
        units = with_triggered(units, show(module, triggered))
    return with_new_drop_ins(
        units, {name: sorted(map(str, DROP_INS.glob(f"{name}.d/*.conf"))) for name in names}
    )


def journal(module: AnsibleModule, name: str) -> str:
    return module.run_command(
        ["journalctl", "--no-pager", "-o", "cat", "-n", str(JOURNAL_LINES), "-u", name]
    )[1]


def wait_until_active(module: AnsibleModule, names: list[str], timeout: int) -> list[Unit]:
    deadline = time.monotonic() + timeout
    pause = FIRST_POLL_SECONDS
    before = {unit.name: unit.restarts for unit in observe(module, names)}
    while True:
        units = observe(module, names)
        waiting = [unit for unit in units if not unit.ready]
        if not waiting:
            return units
        lost = [
            unit
            for unit in waiting
            if unit.lost or unit.restarts - before[unit.name] >= GIVE_UP_AFTER_RESTARTS
        ]
        if lost or time.monotonic() > deadline:
            raise UnitsError(
                "\n".join(
                    f"{unit.name} is {unit.active_state} ({unit.sub_state}) and not ready. "
                    f"The end of `journalctl -u {unit.name}`:\n{journal(module, unit.name)}"
                    for unit in lost or waiting
                )
            )
        time.sleep(pause)
        pause = min(pause * POLL_GROWTH, LAST_POLL_SECONDS)


def take(module: AnsibleModule, steps: list[Step]) -> None:
    for step in steps:
        if step.action == "start":
            # One that failed too often would not be started again.
            systemctl(module, "reset-failed", "--", *step.units)
        no_block = ["--no-block"] if step.action in ("start", "restart") else []
        systemctl(module, step.action, *no_block, *(["--", *step.units] if step.units else []))
