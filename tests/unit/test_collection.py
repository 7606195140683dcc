# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said twice about the collection is said alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]


def load(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_a_checkout_needs_the_collections_that_an_installed_one_depends_on() -> None:
    required = {entry["name"]: entry["version"] for entry in load("requirements.yml")["collections"]}
    assert required == load("galaxy.yml")["dependencies"]
