# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may connect to what, for the role firewall. Each filter is documented in the YAML file of its name."""

from __future__ import annotations

import socket
from typing import Any, Mapping, Sequence

from ansible.errors import AnsibleFilterError
from ansible_collections.airflowops.cluster.plugins.plugin_utils import firewall_policy as firewall


def firewall_addresses(
    hosts: Sequence[str],
    hostvars: Mapping[str, Mapping[str, Any]],
    extra: Sequence[Mapping[str, Any]] = (),
    groups: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, list[str]]:
    """{host: all addresses from which it speaks to the others}, of the hosts that `extra` names as well"""
    found = {}
    named = [source for entry in extra for source in entry.get("sources", [])]
    more = [host for name in named for host in (groups or {}).get(name, [name] if name in hostvars else [])]
    for host in dict.fromkeys([*hosts, *more]):
        variables = hostvars[host]
        name = variables.get("cluster_address") or variables.get("ansible_host") or host
        addresses = [*resolved(name), *map(str, variables.get("firewall_addresses") or [])]
        found[host] = list(dict.fromkeys(addresses))
    return found


def resolved(name: str) -> list[str]:
    try:
        return [
            str(entry[4][0]).partition("%")[0]
            for entry in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        ]
    except OSError as error:
        raise AnsibleFilterError(
            f"{name} does not resolve on the controller ({error}): "
            "set cluster_address of that host to its IP address"
        ) from error


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {
            "firewall_addresses": firewall_addresses,
            "firewall_allowed": firewall.allowed,
            "firewall_admissions": firewall.admissions,
            "firewall_openings": firewall.openings,
            "firewall_role_sets": firewall.role_sets,
            "firewall_sets": firewall.address_sets,
        }
