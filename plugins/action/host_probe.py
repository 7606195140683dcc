# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of host_probe: the module runs once, its clock is compared with the controller's."""

from __future__ import annotations

import time
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.airflowops.cluster.plugins.module_utils.host.probe import (
    clock_offset,
    distribution_facts,
)


class ActionModule(ActionBase):
    """Runs the module and adds clock_offset and clock_uncertainty to what it returns."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    MODULE = "airflowops.cluster.host_probe"
    _module_ran: tuple[float, float] | None = None

    def _low_level_execute_command(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Notes when the one remote command that ran the module began and ended.

        Looking for an interpreter, making directories and copying files are commands of their own; they
        would add to the uncertainty.
        """
        before = time.time()
        result = super()._low_level_execute_command(*args, **kwargs)
        if '"clock_end"' in result.get("stdout", ""):
            self._module_ran = (before, time.time())
        return result

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        before = time.time()
        result.update(
            self._execute_module(module_name=self.MODULE, module_args=self._task.args, task_vars=task_vars)
        )
        after = time.time()
        if "os" in result:
            result["ansible_facts"] = {
                **distribution_facts(result["os"]),
                "architecture": result["architecture"],
                "airflowops_ipv6": result["ipv6"],
            }
        if "clock_start" in result and "clock_end" in result:
            before, after = self._module_ran or (before, after)
            offset, uncertainty = clock_offset(before, result["clock_start"], result["clock_end"], after)
            result["clock_offset"] = round(offset, 6)
            result["clock_uncertainty"] = round(uncertainty, 6)
        return result
