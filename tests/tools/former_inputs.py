#!/usr/bin/env python3
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names the inputs that an earlier commit has and this checkout has not. Run before a release.

Each of them needs a line in plugins/plugin_utils/preflight/renamed_inputs.py, so that an inventory that still
sets it is refused with the new name. Ends with 1 if one has none. Needs the whole history (no shallow clone).
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
SPECS = "roles/*/meta/argument_specs.yml"
TABLE = ROOT / "plugins/plugin_utils/preflight/renamed_inputs.py"


def inputs_of(text: str) -> set[str]:
    """The inputs in the argument specs of a role."""
    specs = (yaml.safe_load(text) or {}).get("argument_specs") or {}
    return {name for spec in specs.values() for name in spec.get("options") or {}}


def git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout  # fmt: skip


def inputs_of_history() -> dict[str, str]:
    """{input: the last commit that has it}"""
    found: dict[str, str] = {}
    seen: dict[str, set[str]] = {}
    for commit in git("log", "--format=%h", "--reverse", "--", SPECS).split():
        for line in git("ls-tree", "-r", commit, "roles").splitlines():
            blob, path = line.split()[2:]
            if path.endswith("/meta/argument_specs.yml"):
                if blob not in seen:
                    seen[blob] = inputs_of(git("cat-file", "-p", blob))
                found.update(dict.fromkeys(seen[blob], commit))
    return found


def main() -> int:
    now = {name for path in ROOT.glob(SPECS) for name in inputs_of(path.read_text(encoding="utf-8"))}
    listed = {*re.findall(r'^    "(\w+)": Re', TABLE.read_text(encoding="utf-8"), re.MULTILINE)}
    missing = {name: commit for name, commit in inputs_of_history().items() if name not in now | listed}
    for name, commit in sorted(missing.items()):
        print(f"{name}: last in {commit}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
