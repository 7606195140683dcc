# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A metastore of several hosts as its members see it, asked by Patroni's REST API."""

from __future__ import annotations

import json
import ssl
import urllib.request

from lab import Lab

# Two hosts more that run PostgreSQL, beside Redis.
THREE = "postgres_metastore: {hosts: {redis2: , redis3: }}\n"
HOSTS = ["metastore1", "redis2", "redis3"]
PORT = 8008


def members(lab: Lab, hosts: list[str], avoid: str = "") -> dict[str, dict[str, str]]:
    """{host: role and state} as the first member that answers sees it; `avoid` is off, or cut off."""
    anyone = ssl._create_unverified_context()
    for host in hosts:
        if host == avoid:
            continue
        try:
            with urllib.request.urlopen(
                f"https://{lab.address(host)}:{PORT}/cluster", timeout=5, context=anyone
            ) as answer:
                return {entry["name"]: entry for entry in json.load(answer)["members"]}
        except OSError:
            continue
    return {}


def primary(lab: Lab, hosts: list[str], avoid: str = "") -> str:
    """The host that leads, or nothing."""
    for name, entry in members(lab, hosts, avoid).items():
        if entry["role"] == "leader" and entry["state"] == "running":
            return name
    return ""


def whole(lab: Lab, hosts: list[str]) -> bool:
    """A primary, one host that confirms every commit, and copies on all others."""
    seen = members(lab, hosts)
    expected = ["leader", *["replica"] * (len(hosts) - 2), "sync_standby"]
    return sorted(entry["role"] for entry in seen.values()) == expected and all(
        entry["state"] in ("running", "streaming") for entry in seen.values()
    )
