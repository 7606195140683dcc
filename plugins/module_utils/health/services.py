# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units of a host, and the servers behind its HAProxy."""

from __future__ import annotations

import csv
import socket
import time
from pathlib import Path
from typing import Any, Sequence

from ansible_collections.airflowops.cluster.plugins.module_utils.health.command import run
from ansible_collections.airflowops.cluster.plugins.module_utils.host.systemd import PROPERTIES, parse_show

# What stands for the unit of the distribution's PostgreSQL: its name carries the version.
POSTGRESQL = "postgresql"


def postgresql_unit(directory: str = "/etc/postgresql") -> str:
    """The unit of the distribution's PostgreSQL; of several versions the newest that is there."""
    versions = [path.parent.name for path in Path(directory).glob("*/main")]
    newest = max((version for version in versions if version.isdigit()), key=int, default="")
    return f"postgresql@{newest}-main.service" if newest else "postgresql.service"


def units(names: Sequence[str], timeout: float) -> dict[str, Any]:
    """{unit as it was asked for: how it is}, and what else has failed on this host."""
    actual = {name: postgresql_unit() if name == POSTGRESQL else name for name in names}
    seen = {}
    if actual:
        text = run(
            ["systemctl", "--no-pager", "show", f"--property={','.join(PROPERTIES)}", "--", *actual.values()],
            timeout,
        )
        seen = {unit.name: unit for unit in parse_show(text, time.time() - time.monotonic())}
    failed = run(["systemctl", "--no-pager", "--failed", "--plain", "--no-legend", "list-units"], timeout)
    now = time.time()
    return {
        "units": {
            name: {
                "unit": unit_name,
                "loaded": unit_name in seen and seen[unit_name].loaded,
                "state": seen[unit_name].active_state if unit_name in seen else "inactive",
                "sub_state": seen[unit_name].sub_state if unit_name in seen else "dead",
                "enabled": unit_name in seen and seen[unit_name].enabled,
                "seconds": max(0, round(now - seen[unit_name].settled_at))
                if unit_name in seen and seen[unit_name].settled_at
                else None,
            }
            for name, unit_name in actual.items()
        },
        "failed": [line.split()[0] for line in failed.splitlines() if line.split()],
    }


def parse_stat(text: str) -> list[dict[str, Any]]:
    """The servers in what HAProxy answers to `show stat`."""
    rows = csv.DictReader(text.lstrip("# ").splitlines())
    return [
        {
            "listener": row["pxname"],
            "server": row["svname"],
            "up": row["status"].startswith("UP"),
            "status": row["status"],
            "backup": row.get("bck") == "1",
            "checked": row["status"] != "no check",
            "seconds": int(row.get("lastchg") or 0),
            "check": row.get("last_chk") or row.get("check_status") or "",
        }
        for row in rows
        if row["svname"] not in ("FRONTEND", "BACKEND")
    ]


def haproxy(path: str, timeout: float) -> list[dict[str, Any]]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        connection.connect(path)
        connection.sendall(b"show stat\n")
        return parse_stat(b"".join(iter(lambda: connection.recv(65536), b"")).decode(errors="replace"))
