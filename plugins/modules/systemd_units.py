#!/usr/bin/python
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: systemd_units
short_description: Start units together, and report which run with older files
version_added: 0.1.0
description:
  - Enables and starts several units at once and waits until all of them are ready, which takes as long as the
    slowest and not as long as the sum.
  - Reports which running units were started before one of their files was last changed (RV(stale)), and
    restarts those on request. As this is read off the host, a run that was interrupted between writing a
    file and restarting the service is made good by the next one.
  - A unit that is still on its way up with files older than those that are there now is restarted at once,
    whatever O(restart) says, as it serves nobody.
  - A file that M(airflowops.cluster.previous_files) has put back makes no unit stale that ran all along.
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

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.airflowops.cluster.plugins.module_utils.host.previous import (
    PreviousFiles,
    changed_at,
    note_units,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.host.systemd import (
    Unit,
    hung_units,
    outdated,
    plan,
    stale_units,
    units_to_reload,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.host.units import (
    UnitsError,
    observe,
    show,
    take,
    wait_until_active,
)


def last_change(paths: list[str]) -> float:
    """Latest change of the files that exist, in seconds since the epoch."""
    return max((changed_at(path) for path in paths), default=0.0)


def note_outdated(units: list[Unit]) -> None:
    """What was started between a change of its unit and systemd's reading it runs as the unit was before.

    The file that was changed last gets the time of now: the unit counts as stale until it is restarted.
    """
    for unit in units:
        if outdated(unit, last_change([*unit.fragments])):
            os.utime(max(unit.fragments, key=lambda path: last_change([path])))


def changes_by_unit(
    units: list[Unit], files: dict[str, list[str]], previous: PreviousFiles
) -> dict[str, float]:
    """For each unit, the latest change of those files that counts for its process."""
    return {
        unit.name: max(
            (previous.change_that_counts(path, unit.started_at) for path in files[unit.name]), default=0.0
        )
        for unit in units
    }


def run(module: AnsibleModule) -> dict:
    wanted = {unit["name"]: unit for unit in module.params["units"]}
    names = list(wanted)
    if not module.check_mode:
        note_outdated(show(module, names))
        note_units(
            {
                name: {
                    "files": [*unit["files"], *unit["restart_files"]],
                    "reload_files": unit["reload_files"],
                }
                for name, unit in wanted.items()
            }
        )
    previous = PreviousFiles()
    units = observe(module, names)
    read_at_start = {unit.name: [*wanted[unit.name]["files"], *unit.fragments] for unit in units}
    changes = changes_by_unit(units, read_at_start, previous)
    stale = stale_units(units, changes)
    to_reload = units_to_reload(
        units,
        changes_by_unit(units, {name: wanted[name]["reload_files"] for name in names}, previous),
    )
    at_once = stale_units(
        units,
        changes_by_unit(units, {name: wanted[name]["restart_files"] for name in names}, previous),
    )
    stale = [name for name in stale if name not in at_once]
    running = [unit.name for unit in units if unit.active]
    to_restart = [
        *at_once,
        *hung_units(units, changes),
        *{"never": [], "stale": stale, "always": running}[module.params["restart"]],
    ]
    steps = plan(units, to_restart, to_reload)
    if not module.check_mode:
        take(module, steps)
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
