# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All patches. A new one is an entry in one of the lists; docs/runtime.md and the tests follow from it."""

from __future__ import annotations

import json
from pathlib import Path

from airflowops_runtime.patches_airflow import AIRFLOW_PATCHES
from airflowops_runtime.patches_broker import BROKER_PATCHES
from airflowops_runtime.patches_worker import WORKER_PATCHES

KINDS = {
    "repair": "keeps or recovers tasks, DAGs and logs",
    "speed": "saves time, and nothing else",
}
PATCHES = {patch.name: patch for patch in (*BROKER_PATCHES, *WORKER_PATCHES, *AIRFLOW_PATCHES)}


def tested_versions() -> dict[str, list[str]]:
    """{distribution: versions with which the patches were tested}; preflight compares lock files with it."""
    return json.loads(Path(__file__).with_name("tested.json").read_text(encoding="utf-8"))
