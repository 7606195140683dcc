# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of host_health_info: its clock is compared as that of host_probe is."""

from __future__ import annotations

from ansible_collections.airflowops.cluster.plugins.action.host_probe import ActionModule as HostProbe


class ActionModule(HostProbe):
    """Runs the module and adds clock_offset and clock_uncertainty to what it returns."""

    MODULE = "airflowops.cluster.host_health_info"
