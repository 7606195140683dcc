# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of hosts: what they resolve to on the controller, and what each host calls itself."""

from __future__ import annotations

import ipaddress
from typing import Any

from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import (
    Problems,
    hosts_of,
    known_hosts,
    values_of,
)

SET_ADDRESS = "set cluster_address to the host's IPv4 address in the network of the cluster"


def check_names(cluster: dict[str, Any], problems: Problems) -> None:
    several = len(hosts_of(cluster, *cluster["roles"])) > 1
    check_resolved(cluster, several, problems)
    if several:
        check_own_names(cluster, problems)


def check_resolved(cluster: dict[str, Any], several: bool, problems: Problems) -> None:
    """Finds hosts whose cluster_address leads nowhere, to IPv6 alone, to loopback, or to another host."""
    by_address: dict[str, list[str]] = {}
    for host in known_hosts(cluster, *cluster["roles"]):
        resolved = cluster["hosts"][host].get("resolved")
        if not resolved:
            continue
        name, found = values_of(cluster, host)["cluster_address"], resolved["addresses"]
        parsed = [ipaddress.ip_address(address.partition("%")[0]) for address in found]
        usable = [address for address in parsed if address.version == 4]
        reachable = [address for address in usable if not address.is_loopback]
        literal = found == [name]
        if not found:
            problem = (
                f"does not resolve on the controller ({resolved['error']}): "
                f"add it to DNS or to the controller's /etc/hosts, or {SET_ADDRESS}"
            )
        elif not usable:
            kind = "is an IPv6 address" if literal else f"resolves to IPv6 alone ({', '.join(found)})"
            problem = f"{kind}, where the services do not listen: {SET_ADDRESS}"
        elif several and not literal and not reachable:
            problem = (
                f"resolves to {usable[0]} on the controller, where other hosts cannot reach it: "
                f"correct the controller's /etc/hosts, or {SET_ADDRESS}"
            )
        else:
            if reachable:
                by_address.setdefault(str(reachable[0]), []).append(host)
            continue
        problems.add(f"{name}, the address of {{hosts}}, {problem}", host)
    for address, hosts in by_address.items():
        # Of the same words, it is reported elsewhere.
        if len({values_of(cluster, host)["cluster_address"] for host in hosts}) > 1:
            problems.add(
                f"The addresses of {{hosts}} all resolve to {address} on the controller: correct DNS or the "
                "controller's /etc/hosts, or name one machine once and put it into several groups",
                *hosts,
            )


def check_own_names(cluster: dict[str, Any], problems: Problems) -> None:
    """Task logs and heartbeats go by the name that a host gives itself: it must be its own."""
    by_name: dict[str, list[str]] = {}
    for host in known_hosts(cluster, *cluster["roles"]):
        probe = cluster["hosts"][host].get("probe") or {}
        if "fqdn" in probe:
            by_name.setdefault(str(probe["fqdn"]).lower(), []).append(host)
    for name, hosts in by_name.items():
        if len(hosts) > 1 or name.partition(".")[0] in ("", "localhost", "(none)"):
            problems.add(
                f"`hostname -f` is {name or 'empty'} on {{hosts}}, and by it task logs would be fetched from "
                "the wrong host: give each host a name of its own (hostnamectl set-hostname NAME), the first "
                "on its line in the host's /etc/hosts",
                *hosts,
            )
