#!/usr/bin/python
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: previous_files
short_description: Restore a host's previous configuration, or drop it when the new one is healthy
version_added: 0.1.0
description:
  - M(airflowops.cluster.host_files) keeps what files held before it wrote them, where it is asked to.
    M(airflowops.cluster.systemd_units) notes which units read them. This module puts it back or drops it.
  - On a host on which no run has ended well yet nothing was kept, and nothing is put back.
  - A unit that the run has brought has nothing to go back to and is left alone.
author:
  - The airflowops.cluster maintainers (@airflowops)
options:
  state:
    description:
      - With V(accepted), the previous contents are dropped, except of files that a running unit has not read.
      - With V(put_back), files get their previous content, owner and permissions back, except those that
        all of their units run with already. Units that were started with the new ones are restarted or
        reloaded, those that are down are started, and all of these are waited for.
    type: str
    choices: [accepted, put_back]
    required: true
  parts:
    description:
      - For O(state=accepted), the parts whose files are meant, as in
        O(airflowops.cluster.host_files#module:part).
      - Without them all are meant, and the host counts as one on which a run has ended well.
    type: list
    elements: str
    default: []
  force:
    description:
      - Parts whose files are put back although their units run with them, as on a host that is not healthy.
      - For O(state=accepted), parts whose previous contents are dropped in any case.
    type: list
    elements: str
    default: []
  directory:
    description: Where the previous contents are kept.
    type: path
    default: /var/lib/airflowops/previous
  timeout:
    description: Seconds until the units have to be ready.
    type: int
    default: 300
attributes:
  check_mode:
    description: Returns what would be put back or dropped.
    support: full
notes:
  - Fails with the unit's name, state and journal when it is not ready with the previous files either.
"""

EXAMPLES = r"""
- name: Drop what is not needed any more
  airflowops.cluster.previous_files:
    state: accepted

- name: Put Redis' previous configuration back and start with it
  airflowops.cluster.previous_files:
    state: put_back
    force: [redis_cluster]
"""

RETURN = r"""
files:
  description: Files that got their previous content back, or whose previous content was dropped.
  type: list
  elements: str
  returned: always
kept:
  description: Files that were left as the run has written them, as all of their units run with them.
  type: list
  elements: str
  returned: O(state=put_back)
plan:
  description: What was done to units, or in check mode would be.
  type: list
  elements: str
  returned: O(state=put_back)
  sample: ["restart airflow-scheduler.service"]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.airflowops.cluster.plugins.module_utils.host.previous import (
    DIRECTORY,
    PreviousFiles,
    noted_units,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.host.rollback_plan import (
    plan_acceptance,
    plan_rollback,
    plan_units,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.host.systemd import Unit
from ansible_collections.airflowops.cluster.plugins.module_utils.host.units import (
    UnitsError,
    observe,
    take,
    wait_until_active,
)


def accept(module: AnsibleModule, previous: PreviousFiles, units: list[Unit], noted: dict) -> dict:
    parts, force = module.params["parts"], module.params["force"]
    paths = plan_acceptance(previous.files, units, noted, parts)
    paths += [path for path, entry in previous.files.items() if entry["part"] in force and path not in paths]
    if not module.check_mode:
        previous.drop(paths)
        # Only where a whole run has ended: a first one that fails half-way leaves nothing to go back to.
        previous.settled = previous.settled or not parts
        previous.save()
    # Nothing that runs, nor what it reads, has changed.
    return {"changed": False, "files": paths}


def put_back(module: AnsibleModule, previous: PreviousFiles, units: list[Unit], noted: dict) -> dict:
    before = dict(previous.files)
    rollback = plan_rollback(before, units, noted, module.params["force"])
    steps = plan_units(before, rollback.files, units, noted)
    result = {
        "changed": bool(rollback.files),
        "files": list(rollback.files),
        "kept": list(rollback.proven),
        "plan": [step.describe() for step in steps],
    }
    if module.check_mode:
        return result
    for path in rollback.files:
        previous.put_back(path)
        # After each one: cut off here, the next run goes on.
        previous.save()
    previous.drop([*rollback.proven, *rollback.new])
    previous.save()
    try:
        take(module, steps)
        names = sorted({name for step in steps for name in step.units})
        if names:
            wait_until_active(module, names, module.params["timeout"])
    except UnitsError as error:
        raise UnitsError(f"{', '.join(rollback.files)} got the previous content back. {error}") from error
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["accepted", "put_back"], "required": True},
            "parts": {"type": "list", "elements": "str", "default": []},
            "force": {"type": "list", "elements": "str", "default": []},
            "directory": {"type": "path", "default": DIRECTORY},
            "timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    previous = PreviousFiles(module.params["directory"])
    noted = noted_units(module.params["directory"])
    try:
        units = [unit for unit in observe(module, sorted(noted)) if unit.loaded] if noted else []
        act = accept if module.params["state"] == "accepted" else put_back
        result = act(module, previous, units, noted)
    except (UnitsError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result, ansible_facts=previous.facts)


if __name__ == "__main__":
    main()
