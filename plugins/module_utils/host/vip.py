# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What front_probe sees of a network: parsers of packets and text, and the one loop that listens."""

from __future__ import annotations

import ipaddress
import json
import select
import socket
import struct
import time
from typing import Any, Iterable

ETHERTYPE_ALL = 0x0003
ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_ARP = 0x0806
ARP_REPLY = 2
VRRP = 112
# To whom VRRP speaks where it was told of no peers: 224.0.0.18.
VRRP_GROUP = bytes.fromhex("01005e000012")
BROADCAST = b"\xff" * 6
KEEPALIVED = "/etc/keepalived/keepalived.conf"
# Stands in the template of the role nginx_lb.
KEEPALIVED_IS_OURS = "# Which host of nginx has the floating address."
# linux/if_packet.h
SOL_PACKET = 263
PACKET_ADD_MEMBERSHIP = 1
PACKET_MR_MULTICAST = 0


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


def arp_request(mac: bytes, address: str) -> bytes:
    """The frame that asks who has the address; from nobody's, so that no neighbour learns anything."""
    header = BROADCAST + mac + struct.pack("!H", ETHERTYPE_ARP)
    return (
        header
        + struct.pack("!HHBBH", 1, ETHERTYPE_IPV4, 6, 4, 1)
        + mac
        + bytes(4)
        + bytes(6)
        + socket.inet_aton(address)
    )


def parse_arp_reply(frame: bytes, address: str) -> str | None:
    """The hardware address of who says in this frame that it has the address."""
    if len(frame) < 42 or struct.unpack("!H", frame[12:14])[0] != ETHERTYPE_ARP:
        return None
    operation = struct.unpack("!H", frame[20:22])[0]
    if operation != ARP_REPLY or frame[28:32] != socket.inet_aton(address):
        return None
    return ":".join(f"{byte:02x}" for byte in frame[22:28])


def parse_advert(frame: bytes) -> dict[str, Any] | None:
    """Sender and id of a VRRP advertisement, if the frame is one; of version 2 and 3."""
    if len(frame) < 34 or struct.unpack("!H", frame[12:14])[0] != ETHERTYPE_IPV4 or frame[23] != VRRP:
        return None
    start = 14 + (frame[14] & 0x0F) * 4
    if len(frame) < start + 2 or frame[start] not in (0x21, 0x31):
        return None
    return {"source": socket.inet_ntoa(frame[26:30]), "id": frame[start + 1]}


def listen(interface: str, mac: str, address: str, seconds: float) -> tuple[list[str], list[dict[str, Any]]]:
    """Asks on an interface who has the address, and listens: (hardware addresses, VRRP advertisements)."""
    answers: set[str] = set()
    adverts: set[tuple[str, int]] = set()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE_ALL)) as wire:
        wire.bind((interface, ETHERTYPE_ALL))
        index = socket.if_nametoindex(interface)
        wire.setsockopt(
            SOL_PACKET,
            PACKET_ADD_MEMBERSHIP,
            struct.pack("iHH8s", index, PACKET_MR_MULTICAST, len(VRRP_GROUP), VRRP_GROUP),
        )
        own = bytes.fromhex(mac.replace(":", ""))
        begun = time.monotonic()
        # Asked twice: one frame may be lost.
        due = [begun, begun + seconds / 2]
        while time.monotonic() < begun + seconds:
            if due and time.monotonic() >= due[0]:
                wire.send(arp_request(own, address))
                due.pop(0)
            if not select.select([wire], [], [], 0.05)[0]:
                continue
            frame = wire.recv(2048)
            answer, advert = parse_arp_reply(frame, address), parse_advert(frame)
            if answer:
                answers.add(answer)
            if advert:
                adverts.add((advert["source"], advert["id"]))
    return sorted(answers), [{"source": source, "id": number} for source, number in sorted(adverts)]


def foreign(text: str) -> bool:
    """Whether the text of keepalived.conf is somebody else's."""
    return bool(text) and KEEPALIVED_IS_OURS not in text


def resolves(name: str) -> bool:
    """Whether the host finds an address for the name."""
    try:
        return bool(socket.getaddrinfo(name, None, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError):
        return False
