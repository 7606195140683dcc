# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Python that Ansible runs its modules with on a host."""

from __future__ import annotations

from typing import Any

from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import Problems

APT_SYSTEMS = ("debian", "ubuntu")


def check_interpreter(cluster: dict[str, Any], problems: Problems) -> None:
    """Left to itself, Ansible takes the newest Python that it finds, which may not be the distribution's."""
    for host, description in cluster["hosts"].items():
        probe = description.get("probe")
        if probe and probe["os"]["id"] in APT_SYSTEMS and not probe.get("python_of_distribution", True):
            problems.add(
                f"Ansible runs its modules on {{hosts}} with {probe['python_path']} ({probe['python']}), "
                "which does not see the distribution's packages, such as python3-apt and python3-redis: set "
                "ansible_python_interpreter to /usr/bin/python3 for these hosts",
                host,
            )
