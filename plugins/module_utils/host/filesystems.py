# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file systems of the folders that the collection writes much to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

FOLDERS = (
    "/opt/airflow",
    "/var/lib/airflow",
    "/var/lib/dpkg",
    "/var/lib/postgresql",
    "/var/lib/redis-cluster",
    "/var/log/airflow",
)


def nearest(path: Path) -> Path:
    """The folder, or the one above it that is there."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def mount_of(path: Path) -> Path:
    """Where the file system is mounted in which an existing folder lies."""
    while not path.is_mount() and path != path.parent:
        path = path.parent
    return path


def folder_facts(folder: str) -> dict[str, Any]:
    """Where a folder is, or would be made: links are followed, also one that leads nowhere yet."""
    place = Path(os.path.realpath(folder))
    there = nearest(place)
    status = os.statvfs(there)
    return {
        "place": str(place),
        "exists": place.exists(),
        "link": Path(folder).is_symlink(),
        "dangling": os.path.lexists(folder) and not place.exists(),
        "mount": str(mount_of(there)),
        "free": status.f_bavail * status.f_frsize,
        "noexec": bool(status.f_flag & os.ST_NOEXEC),
    }


def filesystems() -> dict[str, dict[str, Any]]:
    """{folder: facts}, of the folders whose file systems can be asked."""
    found = {}
    for folder in FOLDERS:
        try:
            found[folder] = folder_facts(folder)
        except OSError:
            continue
    return found
