#!/usr/bin/python3 -IS
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The `uv` that tasks find first on their PATH: runs the next one there with the site's index, proxy and CA.

Airflow's PythonVirtualenvOperator, `@task.virtualenv` and their branch forms call it. What the environment
has already comes first; cluster_package_environment, which systemd decrypts for the worker, fills what is
missing.

There is a cache for each month. tmpfiles.d removes files of 40 days: they lie in caches that nobody uses any
more. Without single files that it counts on, a cache in use would be broken.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path

CACHES = "/var/cache/airflow/uv"
# With one of these a task names its indexes itself: the site's are not added to them.
INDEXES = frozenset({"UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL"})


def site_environment() -> dict[str, str]:
    """cluster_package_environment, where there is one."""
    try:
        text = Path(os.environ["CREDENTIALS_DIRECTORY"], "AIRFLOWOPS_PACKAGES").read_text(encoding="utf-8")
    except (KeyError, OSError):
        return {}
    return json.loads(text)


def environment() -> dict[str, str]:
    site = site_environment()
    if INDEXES & set(os.environ):
        site = {name: value for name, value in site.items() if name not in INDEXES}
    ours = {
        "UV_SYSTEM_CERTS": "true",
        # The cache and the tasks' /tmp are different mounts: a link cannot lead from one to the other.
        "UV_LINK_MODE": "copy",
    }
    if "UV_CACHE_DIR" not in site and os.access(Path(CACHES).parent, os.W_OK):
        ours["UV_CACHE_DIR"] = f"{CACHES}/{time.strftime('%Y-%m', time.gmtime())}"
    return {**ours, **site, **os.environ}


def with_base_python(arguments: list[str]) -> list[str]:
    """uv makes no virtualenv of another one's Python. Airflow asks for `python`, which is that of its own."""
    if arguments[:1] != ["venv"] or "--python" not in arguments[:-1]:
        return arguments
    place = arguments.index("--python") + 1
    name = arguments[place]
    found = shutil.which(name) if os.sep not in name else None
    if not found or not Path(found).parent.with_name("pyvenv.cfg").is_file():
        return arguments
    return [*arguments[:place], os.path.realpath(found), *arguments[place + 1 :]]


def next_uv() -> str | None:
    here = Path(__file__).resolve()
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        candidate = Path(folder, "uv")
        if os.access(candidate, os.X_OK) and candidate.is_file() and candidate.resolve() != here:
            return str(candidate)
    return None


def main() -> None:
    uv = next_uv()
    if uv is None:
        sys.exit(
            "uv is not on the PATH behind this file: run site.yml, which brings it with Airflow's release."
        )
    os.execve(uv, [uv, *with_base_python(sys.argv[1:])], environment())


if __name__ == "__main__":
    main()
