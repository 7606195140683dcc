# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine itself: memory, disks, load, names."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Any, Sequence

from ansible_collections.airflowops.cluster.plugins.module_utils.host.probe import (
    memory_limit,
    parse_os_release,
    read_text,
)


def disks(paths: Sequence[str]) -> list[dict[str, Any]]:
    """The file systems that hold the paths, each once, by the first path on it."""
    seen: dict[int, dict[str, Any]] = {}
    for path in paths:
        try:
            status, device = os.statvfs(path), Path(path).stat().st_dev
        except OSError:
            continue
        # What is kept for root is no room for others: as df(1) counts.
        usable = status.f_blocks - status.f_bfree + status.f_bavail
        if usable and device not in seen:
            seen[device] = {
                "path": path,
                "size": usable * status.f_frsize,
                "free": status.f_bavail * status.f_frsize,
                "used_percent": round(100 * (1 - status.f_bavail / usable), 1),
                "inodes_percent": round(100 * (1 - status.f_favail / status.f_files), 1)
                if status.f_files
                else 0.0,
            }
    return list(seen.values())


def parse_memory(text: str) -> dict[str, int]:
    """{total, available} in bytes of the text of /proc/meminfo."""
    values = {
        name: int(rest.split()[0]) * 1024
        for name, _, rest in (line.partition(":") for line in text.splitlines())
        if rest.split() and rest.split()[0].isdigit()
    }
    return {"total": values.get("MemTotal", 0), "available": values.get("MemAvailable", 0)}


def memory() -> dict[str, int]:
    seen = parse_memory(read_text("/proc/meminfo"))
    limit = memory_limit()
    # Of a container with a limit of its own; what it may use of the machine's is not to be seen.
    used = read_text("/sys/fs/cgroup/memory.current").strip()
    if limit and limit < seen["total"] and used.isdigit():
        cache = re.search(r"^inactive_file (\d+)$", read_text("/sys/fs/cgroup/memory.stat"), re.MULTILINE)
        seen = {"total": limit, "available": limit - int(used) + (int(cache[1]) if cache else 0)}
    return seen


# What begins the names of the cluster's hosts in /etc/hosts.
HOSTS_BLOCK = "# BEGIN airflowops.cluster"


def host() -> dict[str, Any]:
    return {
        "fqdn": socket.getfqdn(),
        "knows_names": f"{HOSTS_BLOCK}\n" in read_text("/etc/hosts"),
        "os": parse_os_release(read_text("/etc/os-release") or read_text("/usr/lib/os-release")),
        "memory": memory(),
        "load": list(os.getloadavg()),
        "cpus": os.cpu_count(),
        "uptime": float((read_text("/proc/uptime") or "0").split()[0]),
    }


def airflow_installed(link: str) -> str:
    """The version that the link to the release in use leads to."""
    return Path(os.readlink(link)).name
