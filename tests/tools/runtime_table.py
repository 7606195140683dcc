#!/usr/bin/env python3
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the tables of docs/runtime.md from the registry of patches.

runtime_table.py           writes the page if it is not as it should be
runtime_table.py --check   fails then
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/runtime.md"
sys.path.insert(0, str(ROOT / "roles/airflow_common/files"))

from airflowops_runtime.registry import PATCHES, tested_versions  # type: ignore[import-not-found]

MARKS = {
    name: (f"<!-- {name}: written by tests/tools/runtime_table.py -->", f"<!-- end of {name} -->")
    for name in ("patches", "versions")
}
WHERE = {
    "broker-client": "what connects to the broker",
    "worker": "workers",
    "bundles": "what reads DAGs",
    "logs": "what writes and reads logs",
    "python": "all",
}


def row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def upstream(patch: Any) -> str:
    """Issues of upstream, and our reproduction."""
    links = [f"[{name}](https://github.com/{name.replace('#', '/issues/')})" for name in patch.upstream]
    if (ROOT / f"docs/upstream/{patch.name}.md").exists():
        links.append(f"[reproduction](upstream/{patch.name}.md)")
    return ", ".join(links)


def patches() -> list[str]:
    lines = [row(("patch", "kind", "in", "changes", "because", "upstream")), "|---|---|---|---|---|---|"]
    for patch in PATCHES.values():
        services = ", ".join(WHERE.get(name, name) for name in patch.services.split())
        lines.append(
            row((f"`{patch.name}`", patch.kind, services, patch.changes, patch.why, upstream(patch)))
        )
    return lines


def versions() -> list[str]:
    lines = [row(("package", "tested versions", "patches")), "|---|---|---|"]
    for package, tested in tested_versions().items():
        names = ", ".join(f"`{name}`" for name, patch in PATCHES.items() if package in patch.packages)
        lines.append(row((f"`{package}`", ", ".join(tested), names)))
    return lines


def page(text: str) -> str:
    for name, lines in (("patches", patches()), ("versions", versions())):
        begin, end = MARKS[name]
        head, rest = text.split(begin)
        text = "\n".join([head + begin, *lines, end]) + rest.split(end)[1]
    return text


def main() -> None:
    there = PAGE.read_text(encoding="utf-8")
    wanted = page(there)
    if wanted != there and sys.argv[1:] == ["--check"]:
        sys.exit("docs/runtime.md is not what the registry says: run tests/tools/runtime_table.py")
    PAGE.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()
