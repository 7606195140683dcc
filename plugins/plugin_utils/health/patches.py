# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patches of the runtime package that services run without."""

from __future__ import annotations

from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.context import Context

# Services that a finding names.
MOST_NAMED = 10


def judge_patches(context: Context) -> None:
    """One finding for each patch that does not fit, not for each service. One that is off is only noted."""
    off: set[str] = set()
    skipped: dict[tuple[str, str], list[str]] = {}
    for host in context.expected["hosts"]:
        for unit, patches in context.table(host, "airflow_patches").items():
            for name, result in patches.items() if isinstance(patches, dict) else ():
                if result["state"] == "off":
                    off.add(name)
                else:
                    skipped.setdefault((name, result["reason"]), []).append(f"{unit} on {host}")
    if off:
        context.report.note("airflow", f"patches switched off: {', '.join(sorted(off))}")
    for (name, reason), places in sorted(skipped.items()):
        context.report.warn(
            "airflow",
            f"the patch {name} is skipped, as it does not fit what is installed",
            f"{reason} ({', '.join(places[:MOST_NAMED])})",
            "docs/runtime.md says what is missed without it: use the tested versions in airflow_lock_file, "
            "or a collection that knows these",
        )
