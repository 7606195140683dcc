# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which variables of Airflow's services systemd sets, and which Python sets when it has started."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# What the dynamic linker, the C library and the interpreter read before any line of Python is run. systemd
# sets these in the units, in clear text. Named one by one: LD_SDK_KEY is a secret of somebody's.
EARLY = re.compile(
    r"LD_(LIBRARY_PATH|PRELOAD|AUDIT|BIND_NOW|DEBUG)|GLIBC_TUNABLES|GCONV_PATH|LOCPATH"
    r"|MALLOC_(ARENA_MAX|ARENA_TEST|CONF|CHECK_|MMAP_MAX_|MMAP_THRESHOLD_|PERTURB_|TOP_PAD_|TRIM_THRESHOLD_)"
    r"|LANG|LANGUAGE|LC_[A-Z]+|TZ|PYTHON[A-Z0-9]+|PYTHON_(CPU_COUNT|GIL|JIT)|PATH"
)
# In these lists ours stay first, as services do not run without them.
LISTS = ("PATH", "PYTHONPATH")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def early_environment(environment: Mapping[str, Any]) -> dict[str, str]:
    """Those of the variables that have to be there before Python starts."""
    return {name: str(value) for name, value in environment.items() if EARLY.fullmatch(name)}


def late_environment(environment: Mapping[str, Any]) -> dict[str, str]:
    """The others, which may be secrets."""
    return {name: str(value) for name, value in environment.items() if not EARLY.fullmatch(name)}


def unit_environment(
    own: Mapping[str, Any], common: Mapping[str, Any], path: str, python_path: str
) -> dict[str, str]:
    """The variables that a unit of Airflow sets.

    own: of this service alone. common: airflow_environment. path, python_path: our folders, which come first.
    """
    environment = early_environment(common) | {name: str(value) for name, value in own.items()}
    paths = [path, environment.get("PATH", ""), SYSTEM_PATH]
    python_paths = [python_path, environment.get("PYTHONPATH", "")]
    for name, entries in zip(LISTS, (paths, python_paths)):
        folders = ":".join(filter(None, entries)).split(":")
        # An empty entry would be the working directory.
        environment[name] = ":".join(dict.fromkeys(filter(None, folders)))
    return environment
