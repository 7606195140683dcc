# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the inputs of the role firewall. The cluster's description is that of `preflight`."""

from __future__ import annotations

from typing import Any

from ansible_collections.airflowops.cluster.plugins.module_utils.firewall import (
    covers,
    extra_problem,
    network_problem,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.preflight_words import Problems

# How to end another firewall, which would not know of ours.
OTHERS = {"ufw": "ufw disable", "firewalld": "systemctl disable --now firewalld"}
NETWORKS = ("firewall_ssh_sources", "firewall_clients", "firewall_addresses")


def list_of(value: Any) -> list[Any]:
    """The value, if it is a list: what is none is told elsewhere."""
    return value if isinstance(value, list) else []


def check_firewall(cluster: dict[str, Any], problems: Problems) -> None:
    groups = cluster["inventory_groups"]
    names = {*groups, *(host for hosts in groups.values() for host in hosts)}
    for host, entry in cluster["hosts"].items():
        given = {**entry.get("values", {}), **entry.get("given", {})}
        if given.get("firewall_backend") != "nftables":
            continue
        probe = entry.get("probe") or {}
        for name in NETWORKS:
            for text in list_of(given.get(name)):
                problem = network_problem(text)
                if problem:
                    problems.add(f"{name} on {{hosts}} has {problem}", host)
        for extra in list_of(given.get("firewall_extra")):
            problem = extra_problem(extra, names)
            if problem:
                problems.add(f"firewall_extra on {{hosts}} has {problem}", host)
        for other in probe.get("firewalls") or []:
            if other in OTHERS:
                problems.add(
                    f"{other} is active on {{hosts}}, beside which firewall_backend: nftables would not let "
                    f"in what {other} drops: end it with `{OTHERS[other]}`, or set firewall_backend: none "
                    "there and open the ports with it",
                    host,
                )
        check_way_back(host, given, probe, problems)


def check_way_back(host: str, given: dict[str, Any], probe: dict[str, Any], problems: Problems) -> None:
    """The connection by which the host was looked at has to be one that is let in."""
    client = (probe.get("ssh_connection") or {}).get("client")
    sources = given.get("firewall_ssh_sources")
    if client and isinstance(sources, list) and not covers(sources, client):
        problems.add(
            f"firewall_ssh_sources on {{hosts}} does not hold {client}, from where this run comes by SSH: "
            "add it, or its network",
            host,
        )
