# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the inputs of the role firewall. The cluster's description is that of `preflight`."""

from __future__ import annotations

from typing import Any

from ansible_collections.airflowops.cluster.plugins.plugin_utils.firewall_policy import (
    covers,
    extra_problem,
    network_problem,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import Problems
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.types import kind_of

# How to end them where they would drop what they do not know, and how to begin them: we do not.
OTHERS = {"ufw": "ufw disable", "firewalld": "systemctl disable --now firewalld"}
SWITCH_ON = {
    "ufw": "ufw allow OpenSSH && ufw enable",
    "firewalld": "systemctl enable --now firewalld",
}
LOG = {"ufw": "ufw logging on", "firewalld": "firewall-cmd --set-log-denied=all"}
NETWORKS = ("firewall_ssh_sources", "firewall_clients", "firewall_addresses")


def list_of(value: Any) -> list[Any]:
    """The value, if it is a list: what is none is reported elsewhere."""
    return value if isinstance(value, list) else []


def check_firewall(cluster: dict[str, Any], problems: Problems) -> None:
    groups = cluster["inventory_groups"]
    names = {*groups, *(host for hosts in groups.values() for host in hosts)}
    for host, entry in cluster["hosts"].items():
        given = {**entry.get("values", {}), **entry.get("given", {})}
        for name in NETWORKS:
            for text in list_of(given.get(name)):
                # What is not yet evaluated is left alone.
                problem = network_problem(text) if kind_of(text) else ""
                if problem:
                    problems.add(f"{name} on {{hosts}} has {problem}", host)
        for extra in list_of(given.get("firewall_extra")):
            problem = extra_problem(extra, names) if kind_of(extra) else ""
            if problem:
                problems.add(f"firewall_extra on {{hosts}} has {problem}", host)
        back_end = given.get("firewall_backend")
        if back_end not in ("nftables", *OTHERS):
            continue
        probe = entry.get("probe") or {}
        check_others(host, back_end, probe, problems)
        if back_end == "nftables":
            check_way_back(host, given, probe, problems)
        elif given.get("firewall_log") is True:
            problems.add(
                f"firewall_log on {{hosts}} works with firewall_backend: nftables alone: take it out, and "
                f"let {back_end} log what it drops with `{LOG[back_end]}`",
                host,
            )


def check_others(host: str, back_end: str, probe: dict[str, Any], problems: Problems) -> None:
    active = probe.get("firewalls")
    for other in active or []:
        if other in OTHERS and other != back_end:
            problems.add(
                f"{other} is active on {{hosts}}, beside which firewall_backend: {back_end} would not let "
                f"in what {other} drops: set firewall_backend: {other} there, which opens the ports in it, "
                f"or end it with `{OTHERS[other]}`",
                host,
            )
    if back_end in OTHERS and active is not None and back_end not in active:
        problems.add(
            f"{back_end} is not active on {{hosts}}, and firewall_backend: {back_end} opens ports in it "
            f"alone: switch it on with `{SWITCH_ON[back_end]}`, or set firewall_backend: nftables, or none",
            host,
        )


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
