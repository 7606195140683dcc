# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our own programs that go into each release of Airflow: the package airflowops_runtime and its scripts."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

FILES = Path(__file__).resolve().parents[2] / "roles/airflow_common/files"
PACKAGE = "airflowops_runtime"
SCRIPTS = ("sitecustomize.py", "airflow_ready.py", "airflow_setup.py")


@lru_cache(maxsize=1)
def contents() -> dict[str, str]:
    """{path within the folder on the hosts: content}"""
    package = [path for path in (FILES / PACKAGE).iterdir() if path.suffix in (".py", ".json")]
    paths = [*sorted(package), *(FILES / name for name in SCRIPTS)]
    return {str(path.relative_to(FILES)): path.read_text(encoding="utf-8") for path in paths}


def runtime_files(folder: str) -> list[dict[str, Any]]:
    """Entries for the module host_files."""
    folders = [{"path": path, "directory": True} for path in (folder, f"{folder}/{PACKAGE}")]
    return [*folders, *({"path": f"{folder}/{name}", "content": text} for name, text in contents().items())]


def tested_versions() -> dict[str, list[str]]:
    return json.loads((FILES / PACKAGE / "tested.json").read_text(encoding="utf-8"))
