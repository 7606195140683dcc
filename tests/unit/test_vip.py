# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What vip_probe makes of what it reads. A real network: tests/integration/test_vip_probe.py."""

from __future__ import annotations

import json

import pytest
from ansible_collections.airflowops.cluster.plugins.module_utils.host import vip
from clusters import ROLES

LINKS = [
    {"ifname": "lo", "flags": ["LOOPBACK"], "address": "00:00:00:00:00:00",
     "addr_info": [{"family": "inet", "local": "127.0.0.1", "prefixlen": 8}]},
    {"ifname": "eth0", "flags": ["BROADCAST"], "address": "02:00:0a:7b:09:0b",
     "addr_info": [{"family": "inet", "local": "10.123.9.11", "prefixlen": 24},
                   {"family": "inet", "local": "10.123.9.100", "prefixlen": 32}]},
    {"ifname": "eth1", "flags": ["BROADCAST"], "address": "02:00:0a:7b:09:ff", "addr_info": [{}]},
]  # fmt: skip


def test_interfaces() -> None:
    interfaces = vip.parse_interfaces(json.dumps(LINKS))
    assert [(entry["name"], entry["address"], entry["prefix"]) for entry in interfaces] == [
        ("eth0", "10.123.9.11", 24),
        ("eth0", "10.123.9.100", 32),
    ]
    assert vip.parse_macs(json.dumps(LINKS))["eth0"] == "02:00:0a:7b:09:0b"


@pytest.mark.parametrize(
    ("address", "interface"), [("10.123.9.100", "eth0"), ("10.123.9.7", "eth0"), ("10.123.8.7", "")]
)
def test_the_interface_of_an_address(address: str, interface: str) -> None:
    assert vip.interface_of(address, vip.parse_interfaces(json.dumps(LINKS))) == interface


def test_an_address_that_is_kept_alone_is_no_network() -> None:
    kept = [{"name": "eth1", "address": "10.123.8.7", "prefix": 32}]
    assert vip.interface_of("10.123.8.7", kept) == ""


def test_who_answers() -> None:
    answered = {"dst": "10.123.9.100", "lladdr": "02:00:0a:7b:09:0c", "state": ["REACHABLE"]}
    assert vip.parse_neighbours(json.dumps([answered])) == ["02:00:0a:7b:09:0c"]
    # Nobody has answered yet, or nobody does.
    silent = [{"dst": "10.123.9.100", "state": [state]} for state in ("INCOMPLETE", "FAILED")]
    assert vip.parse_neighbours(json.dumps([*silent, {**answered, "state": ["FAILED"]}])) == []
    assert vip.parse_neighbours("") == []


IP = "4500002000010000ff70" + "0000" + "0a7b090c" + "e0000012"


@pytest.mark.parametrize(("first", "number"), [("31", 51), ("21", 7)])
def test_an_advertisement(first: str, number: int) -> None:
    packet = bytes.fromhex(IP + first + f"{number:02x}" + "66010000" + "0a7b0964")
    assert vip.parse_advert(packet) == {"source": "10.123.9.12", "id": number}


def test_what_is_no_advertisement() -> None:
    assert vip.parse_advert(bytes.fromhex(IP + "11336601")) is None
    assert vip.parse_advert(bytes.fromhex(IP)) is None
    assert vip.parse_advert(b"") is None


def test_our_own_configuration_of_keepalived_is_known() -> None:
    template = (ROLES / "nginx_lb/templates/keepalived.conf.j2").read_text(encoding="utf-8")
    assert not vip.foreign(template)
    assert not vip.foreign("")
    assert vip.foreign("vrrp_instance other {\n}\n")
