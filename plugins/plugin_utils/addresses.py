# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""At which addresses hosts reach each other."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any, Mapping, Sequence

from ansible.errors import AnsibleFilterError


def host_addresses(hosts: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """{host: the address at which the other hosts reach it}"""
    addresses = {}
    for host in hosts:
        variables = hostvars[host]
        addresses[host] = variables.get("cluster_address") or variables.get("ansible_host") or host
    return addresses


def loopback(address: Any) -> bool:
    return ipaddress.ip_address(str(address).partition("%")[0]).is_loopback


def ip_address(name: str) -> str:
    """The address itself, or the first that its name resolves to on the controller.

    An IPv4 address before others, as the services listen on IPv4. Loopback, which /etc/hosts may have for the
    controller's own name, after others.
    """
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        return str(min(found, key=lambda entry: (entry[0] != socket.AF_INET, loopback(entry[4][0])))[4][0])
    except (OSError, UnicodeError) as error:
        raise AnsibleFilterError(
            f"{name} does not resolve on the controller ({error}): "
            "set cluster_address of that host to its IP address"
        ) from error
