# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What vip_probe sees of a network: interfaces, who answers for an address, and who advertises by VRRP.

`arping -D` would need a package before anything is installed, and hears no VRRP.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import socket
import struct
import time
from typing import Any, Iterable

VRRP = 112
VRRP_GROUP = "224.0.0.18"
# The port of `discard`: what is sent there only makes the kernel ask by ARP for the address.
DISCARD = 9
KEEPALIVED = "/etc/keepalived/keepalived.conf"
# Stands in the template of the role nginx_lb.
KEEPALIVED_IS_OURS = "# Which host of nginx has the floating address."


def parse_interfaces(text: str) -> list[dict[str, Any]]:
    """Every IPv4 address of the host, from the output of `ip -json -4 address`, but for those of loopback."""
    return [
        {"name": link["ifname"], "address": entry["local"], "prefix": entry["prefixlen"]}
        for link in json.loads(text or "[]")
        for entry in link.get("addr_info", [])
        if entry.get("family") == "inet" and "LOOPBACK" not in link.get("flags", [])
    ]


def parse_macs(text: str) -> dict[str, str]:
    """{interface: its hardware address}, from the output of `ip -json link`."""
    return {link["ifname"]: link["address"] for link in json.loads(text or "[]") if link.get("address")}


def interface_of(address: str, interfaces: Iterable[dict[str, Any]]) -> str:
    """The interface in whose network the address is; empty where there is none.

    An address alone, as a floating one is kept, is no network.
    """
    return next(
        (
            entry["name"]
            for entry in interfaces
            if entry["prefix"] < 32
            and ipaddress.ip_address(address)
            in ipaddress.ip_network(f"{entry['address']}/{entry['prefix']}", strict=False)
        ),
        "",
    )


def parse_neighbours(text: str) -> list[str]:
    """The hardware addresses that answered, from the output of `ip -json neigh show to ADDRESS`."""
    found = json.loads(text or "[]")
    return sorted(
        {entry["lladdr"] for entry in found if entry.get("lladdr") and "FAILED" not in entry["state"]}
    )


def parse_advert(packet: bytes) -> dict[str, Any] | None:
    """Sender and id of the VRRP advertisement in an IP packet; of version 2 and 3."""
    if len(packet) < 20:
        return None
    start = (packet[0] & 0x0F) * 4
    if len(packet) < start + 2 or packet[start] not in (0x21, 0x31):
        return None
    return {"source": socket.inet_ntoa(packet[12:16]), "id": packet[start + 1]}


def ask_for(interface: str, address: str) -> None:
    """Makes the kernel ask for the address by ARP, once a second until it gets an answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
        with contextlib.suppress(OSError):
            asker.sendto(b"", (address, DISCARD))


def listen(interface: str, seconds: float) -> list[dict[str, Any]]:
    """The VRRP advertisements that come by an interface."""
    adverts: set[tuple[str, int]] = set()
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, VRRP) as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
        group = struct.pack("4s4si", socket.inet_aton(VRRP_GROUP), bytes(4), socket.if_nametoindex(interface))
        wire.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            wire.settimeout(left)
            with contextlib.suppress(socket.timeout):
                advert = parse_advert(wire.recv(2048))
                if advert:
                    adverts.add((advert["source"], advert["id"]))
    return [{"source": source, "id": number} for source, number in sorted(adverts)]


def foreign(text: str) -> bool:
    """Whether the text of keepalived.conf is somebody else's."""
    return bool(text) and KEEPALIVED_IS_OURS not in text


def resolves(name: str) -> bool:
    """Whether the host finds an address for the name."""
    try:
        return bool(socket.getaddrinfo(name, None, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError):
        return False
