#!/usr/bin/python
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: systemd_units
short_description: Bring a host's units up together and tell which run with old files
version_added: 0.1.0
description:
  - Enables and starts several units at once and waits until all of them are ready, which takes as long as the
    slowest and not as long as the sum.
  - Tells which running units were started before one of their files was last changed (RV(stale)), and
    restarts those on request. As this is read off the host, a run that was interrupted between writing a
    file and restarting the service is made good by the next one.
  - When a unit does not become ready, the error carries the end of its journal.
author:
  - The airflowops.cluster maintainers (@airflowops)
options:
  units:
    description: The units.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Full name of the unit, such as V(redis-cluster@7000.service).
        type: str
        required: true
      files:
        description:
          - Files the service reads when it starts, besides its unit files, which are always looked at.
          - Of a symbolic link, the link itself is looked at.
        type: list
        elements: path
        default: []
      restart_files:
        description:
          - Files whose change cannot wait for its turn, such as one that all hosts have to take over at once.
          - A unit that was started before one of them was changed is restarted at once, whatever O(restart)
            says.
        type: list
        elements: path
        default: []
      reload_files:
        description:
          - Files whose change the service takes over by a reload, which cuts no connection.
          - It is reloaded whenever one of them was changed after it had started or reloaded last.
        type: list
        elements: path
        default: []
  restart:
    description:
      - Which running units to restart.
      - With V(stale), those that RV(stale) names.
    type: str
    choices: [never, stale, always]
    default: never
  timeout:
    description: Seconds until all units have to be ready.
    type: int
    default: 180
attributes:
  check_mode:
    description: Returns the plan and changes nothing.
    support: full
notes:
  - Fails with the unit's name, state and journal when it is not ready in O(timeout) seconds, has failed for
    good, or was restarted by systemd three times meanwhile.
"""

EXAMPLES = r"""
- name: Start the Redis instances of this host
  airflowops.cluster.systemd_units:
    units:
      - name: redis-cluster@7000.service
        files: [/etc/redis-cluster/redis.conf]
      - name: redis-cluster@7001.service
        files: [/etc/redis-cluster/redis.conf]

- name: Restart what runs with an older configuration
  airflowops.cluster.systemd_units:
    units:
      - name: airflow-scheduler.service
        files: [/etc/airflow/airflow.cfg]
    restart: stale
"""

RETURN = r"""
plan:
  description: Steps taken, or in check mode to be taken.
  type: list
  elements: str
  returned: always
  sample: ["enable redis-cluster@7000.service", "start redis-cluster@7000.service"]
stale:
  description:
    - Units that ran with older files when the module looked, and still do unless O(restart) covers them.
  type: list
  elements: str
  returned: always
units:
  description: State of each unit afterwards, as systemd names it.
  type: dict
  returned: always
  sample: {"redis-cluster@7000.service": "active (running)"}
"""

import os
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.airflowops.cluster.plugins.module_utils.host.systemd import (
    PROPERTIES,
    Unit,
    outdated,
    parse_show,
    plan,
    stale_units,
    units_to_reload,
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


def last_change(paths: list[str]) -> float:
    """Latest change of the files that exist, in seconds since the epoch."""
    return max((os.lstat(path).st_ctime for path in paths if os.path.lexists(path)), default=0.0)


def note_outdated(units: list[Unit]) -> None:
    """What was started between a change of its unit and systemd's reading it runs as the unit was before.

    The file that was changed last gets the time of now: the unit counts as stale until it is restarted.
    """
    for unit in units:
        if outdated(unit, last_change([*unit.fragments])):
            os.utime(max(unit.fragments, key=lambda path: last_change([path])))


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


def run(module: AnsibleModule) -> dict:
    wanted = {unit["name"]: unit for unit in module.params["units"]}
    names = list(wanted)
    if not module.check_mode:
        note_outdated(show(module, names))
    units = observe(module, names)
    stale = stale_units(
        units, {unit.name: last_change([*wanted[unit.name]["files"], *unit.fragments]) for unit in units}
    )
    to_reload = units_to_reload(units, {name: last_change(wanted[name]["reload_files"]) for name in names})
    at_once = stale_units(units, {name: last_change(wanted[name]["restart_files"]) for name in names})
    stale = [name for name in stale if name not in at_once]
    to_restart = [*at_once, *{"never": [], "stale": stale, "always": names}[module.params["restart"]]]
    steps = plan(units, to_restart, to_reload)
    if not module.check_mode:
        for step in steps:
            if step.action == "start":
                # One that failed too often would not be started again.
                systemctl(module, "reset-failed", "--", *step.units)
            no_block = ["--no-block"] if step.action in ("start", "restart") else []
            systemctl(module, step.action, *no_block, *(["--", *step.units] if step.units else []))
        units = wait_until_active(module, names, module.params["timeout"])
    return {
        # Systemd reading its files again is no change of what runs.
        "changed": any(step.action != "daemon-reload" for step in steps),
        "plan": [step.describe() for step in steps],
        "stale": stale,
        "units": {unit.name: f"{unit.active_state} ({unit.sub_state})" for unit in units},
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "units": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "files": {"type": "list", "elements": "path", "default": []},
                    "restart_files": {"type": "list", "elements": "path", "default": []},
                    "reload_files": {"type": "list", "elements": "path", "default": []},
                },
            },
            "restart": {"type": "str", "choices": ["never", "stale", "always"], "default": "never"},
            "timeout": {"type": "int", "default": 180},
        },
        supports_check_mode=True,
    )
    try:
        result = run(module)
    except UnitsError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
