# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of the patches of Airflow in this host's services, as airflowops_runtime.apply writes it."""

from __future__ import annotations

import json
from pathlib import Path

# The RuntimeDirectory= of each unit lies in it, and goes when the unit stops.
DIRECTORY = "/run/airflow-patches"


def patches_not_on(directory: str = DIRECTORY) -> dict[str, dict[str, dict[str, str]]]:
    """{unit: {patch: {state, reason}}}, of patches that are off or skipped."""
    found = {}
    for file in sorted(Path(directory).glob("*/patches.json")):
        try:
            patches = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            # Its unit stops or starts in this moment.
            continue
        found[f"{file.parent.name}.service"] = {
            name: result for name, result in patches.items() if result["state"] in ("off", "skipped")
        }
    return found
