# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which patches fit what is installed here.

    python -m airflowops_runtime check [--json]

All of them are applied to this process. The exit code is 1 if one does not fit; apply.py has the states.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from airflowops_runtime.apply import apply, installed, results, unknown_names
from airflowops_runtime.registry import PATCHES, tested_versions


def untested(packages: dict[str, str], tested: dict[str, list[str]]) -> dict[str, str]:
    """{package: version} of those that are installed in another version than was tested."""
    return {name: version for name, version in packages.items() if version and version not in tested[name]}


def inspect_release() -> dict[str, Any]:
    apply(*PATCHES)
    tested = tested_versions()
    packages = {name: installed(name) for name in tested}
    patches = {
        name: {
            "state": results[name].state,
            "reason": results[name].reason,
            "kind": patch.kind,
            "services": patch.services.split(),
            "changes": patch.changes,
            "packages": list(patch.packages),
        }
        for name, patch in PATCHES.items()
    }
    return {
        "packages": packages,
        "untested": untested(packages, tested),
        "unknown": unknown_names(),
        "patches": patches,
    }


def table(found: dict[str, Any]) -> str:
    lines = [f"{'patch':<20}{'kind':<8}{'state':<9}changes"]
    for name, patch in found["patches"].items():
        lines.append(f"{name:<20}{patch['kind']:<8}{patch['state']:<9}{patch['changes']}")
        if patch["reason"]:
            lines.append(f"{'':<37}{patch['reason']}")
    lines.append("")
    for name, version in found["packages"].items():
        note = ", not tested" if name in found["untested"] else ""
        lines.append(f"{name} {version or 'is not installed'}{note}")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    if arguments[:1] != ["check"] or set(arguments[1:]) - {"--json"}:
        sys.exit(__doc__)
    found = inspect_release()
    print(json.dumps(found) if "--json" in arguments else table(found))
    return int(any(patch["state"] == "skipped" for patch in found["patches"].values()))
