# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What front_probe makes of what it reads. Packets as they are on the wire."""

from __future__ import annotations

import json

import pytest
from ansible_collections.airflowops.cluster.plugins.module_utils.host import vip as front_probe
from test_preflight import ROLES

OWN = bytes.fromhex("02000a7b090b")
LINKS = [
    {"ifname": "lo", "flags": ["LOOPBACK"], "address": "00:00:00:00:00:00",
     "addr_info": [{"family": "inet", "local": "127.0.0.1", "prefixlen": 8}]},
    {"ifname": "eth0", "flags": ["BROADCAST"], "address": "02:00:0a:7b:09:0b",
     "addr_info": [{"family": "inet", "local": "10.123.9.11", "prefixlen": 24},
                   {"family": "inet", "local": "10.123.9.100", "prefixlen": 32}]},
    {"ifname": "eth1", "flags": ["BROADCAST"], "address": "02:00:0a:7b:09:ff", "addr_info": [{}]},
]  # fmt: skip


def test_interfaces() -> None:
    interfaces = front_probe.parse_interfaces(json.dumps(LINKS))
    assert [(entry["name"], entry["address"], entry["prefix"]) for entry in interfaces] == [
        ("eth0", "10.123.9.11", 24),
        ("eth0", "10.123.9.100", 32),
    ]
    assert front_probe.parse_macs(json.dumps(LINKS))["eth0"] == "02:00:0a:7b:09:0b"


@pytest.mark.parametrize(
    ("address", "interface"), [("10.123.9.100", "eth0"), ("10.123.9.7", "eth0"), ("10.123.8.7", "")]
)
def test_the_interface_of_an_address(address: str, interface: str) -> None:
    assert front_probe.interface_of(address, front_probe.parse_interfaces(json.dumps(LINKS))) == interface


def test_an_address_that_is_kept_alone_is_no_network() -> None:
    kept = [{"name": "eth1", "address": "10.123.8.7", "prefix": 32}]
    assert front_probe.interface_of("10.123.8.7", kept) == ""


def reply(address: str = "10.123.9.100", operation: int = 2) -> bytes:
    request = bytearray(front_probe.arp_request(bytes.fromhex("02000a7b090c"), "10.123.9.11"))
    request[20:22] = operation.to_bytes(2, "big")
    request[28:32] = bytes(map(int, address.split(".")))
    return bytes(request)


def test_an_arp_request_is_from_nobody() -> None:
    frame = front_probe.arp_request(OWN, "10.123.9.100")
    assert (
        frame.hex()
        == "ffffffffffff02000a7b090b08060001080006040001" + "02000a7b090b00000000" + "0000000000000a7b0964"
    )


def test_who_answers() -> None:
    assert front_probe.parse_arp_reply(reply(), "10.123.9.100") == "02:00:0a:7b:09:0c"
    # The answer to another question, a question, and something else.
    assert front_probe.parse_arp_reply(reply("10.123.9.99"), "10.123.9.100") is None
    assert front_probe.parse_arp_reply(reply(operation=1), "10.123.9.100") is None
    assert front_probe.parse_arp_reply(reply()[:30], "10.123.9.100") is None


IP = "4500002000010000ff70" + "0000" + "0a7b090c" + "e0000012"


@pytest.mark.parametrize(("first", "number"), [("31", 51), ("21", 7)])
def test_an_advertisement(first: str, number: int) -> None:
    frame = bytes.fromhex(
        "01005e000012" + "02000a7b090c" + "0800" + IP + first + f"{number:02x}" + "66010000" + "0a7b0964"
    )
    assert front_probe.parse_advert(frame) == {"source": "10.123.9.12", "id": number}


def test_what_is_no_advertisement() -> None:
    head = "01005e000012" + "02000a7b090c" + "0800"
    assert (
        front_probe.parse_advert(bytes.fromhex(head + IP.replace("ff70", "ff06") + "3133660100000a7b0964"))
        is None
    )
    assert front_probe.parse_advert(bytes.fromhex(head + IP + "11336601")) is None
    assert front_probe.parse_advert(bytes.fromhex(head + IP)) is None
    assert front_probe.parse_advert(reply()) is None


def test_our_own_configuration_of_keepalived_is_known() -> None:
    template = (ROLES / "nginx_lb/templates/keepalived.conf.j2").read_text(encoding="utf-8")
    assert not front_probe.foreign(template)
    assert not front_probe.foreign("")
    assert front_probe.foreign("vrrp_instance other {\n}\n")
