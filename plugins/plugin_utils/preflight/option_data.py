# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that Airflow, Redis and PostgreSQL know, by version: written by tests/tools/option_data.py."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

# .../plugins/plugin_utils/preflight/option_data.py
FILES = Path(__file__).parents[3] / "roles" / "preflight" / "files" / "options"
# What each distribution ships, by the id and version in os-release.
REDIS_OF = {("debian", "12"): "7.0", ("debian", "13"): "8.0", ("ubuntu", "24.04"): "7.0"}
VALKEY_OF = {("debian", "13"): "8.1"}
POSTGRESQL_OF = {("debian", "12"): "15", ("debian", "13"): "17"}
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])? *== *([^\s;\\]+)", re.MULTILINE)


@lru_cache(maxsize=None)
def load(kind: str, version: str) -> dict[str, Any] | None:
    """What is known of a version; nothing where the collection has no data of it."""
    file = FILES / f"{kind}-{version}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


@lru_cache(maxsize=None)
def versions(kind: str) -> tuple[str, ...]:
    return tuple(sorted(file.stem.partition("-")[2] for file in FILES.glob(f"{kind}-*.json")))


@lru_cache(maxsize=None)
def pinned(lock_file: str) -> dict[str, str]:
    """{package: version} of a lock file, with names in lower case and dashes; empty where there is none."""
    try:
        text = Path(lock_file).read_text(encoding="utf-8")
    except OSError:
        return {}
    return {re.sub(r"[._]", "-", name.lower()): version for name, version in PINNED.findall(text)}


def union(kind: str, content: str) -> dict[str, Any]:
    """The entries of all versions: for a version without data, what any of them knows."""
    found: dict[str, Any] = {}
    for version in versions(kind):
        found.update((load(kind, version) or {}).get(content, {}))
    return found


def directives(flavor: str, system: tuple[str, str]) -> tuple[str, dict[str, Any], bool]:
    """The server's name, its directives, and whether they are those of the very version."""
    version = (VALKEY_OF if flavor == "valkey" else REDIS_OF).get(system, "")
    data = load(flavor, version)
    name = "Valkey" if flavor == "valkey" else "Redis"
    return (
        (f"{name} {version}", data["directives"], True)
        if data
        else (name, union(flavor, "directives"), False)
    )


def settings(system: tuple[str, str]) -> tuple[str, dict[str, Any], bool]:
    """The same of PostgreSQL."""
    version = POSTGRESQL_OF.get(system, "")
    data = load("postgresql", version)
    if data:
        return f"PostgreSQL {version}", data["settings"], True
    return "PostgreSQL", union("postgresql", "settings"), False
