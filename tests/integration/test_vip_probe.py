# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""vip_probe in a network of two machines: two network namespaces with a cable between them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from redis_servers import module_command, module_environment, module_input

OURS, OTHER = f"vip-ours-{os.getpid()}", f"vip-other-{os.getpid()}"
# Version 3, id 51, of one address.
ADVERT = """
import socket, time
wire = socket.socket(socket.AF_INET, socket.SOCK_RAW, 112)
wire.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("198.51.100.2"))
for _ in range(40):
    wire.sendto(bytes.fromhex("31336601000000c6336464"), ("224.0.0.18", 0))
    time.sleep(0.1)
"""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, stderr=subprocess.DEVNULL)


@pytest.fixture
def network() -> Iterator[None]:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    try:
        for name in (OURS, OTHER):
            ip("netns", "add", name)
        ip("-n", OURS, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", OTHER)
        for name, address in ((OURS, "198.51.100.1"), (OTHER, "198.51.100.2")):
            ip("-n", name, "address", "add", f"{address}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", "eth0", "up")
        yield
    finally:
        for name in (OURS, OTHER):
            subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)


def probe(address: str) -> dict:
    done = subprocess.run(
        ["ip", "netns", "exec", OURS, *module_command("vip_probe")],
        input=module_input({"address": address}), env=module_environment(), capture_output=True, check=False,
    )  # fmt: skip
    return json.loads(done.stdout)


def mac(namespace: str) -> str:
    done = subprocess.run(
        ["ip", "-n", namespace, "-json", "link", "show", "eth0"], capture_output=True, check=True
    )
    return json.loads(done.stdout)[0]["address"]


@pytest.mark.usefixtures("network")
def test_an_address_is_free_until_another_machine_has_it() -> None:
    found = probe("198.51.100.100")
    assert found["interface"] == "eth0"
    assert (found["answers"], found["adverts"]) == ([], [])
    ip("-n", OTHER, "address", "add", "198.51.100.100/32", "dev", "eth0")
    assert probe("198.51.100.100")["answers"] == [mac(OTHER)]
    # The kernel still remembers whose it was.
    ip("-n", OTHER, "address", "del", "198.51.100.100/32", "dev", "eth0")
    assert probe("198.51.100.100")["answers"] == []


@pytest.mark.usefixtures("network")
def test_an_address_of_the_host_itself_is_nobody_elses() -> None:
    ip("-n", OURS, "address", "add", "198.51.100.100/32", "dev", "eth0")
    found = probe("198.51.100.100")
    assert (found["answers"], found["macs"]) == ([], ["00:00:00:00:00:00", mac(OURS)])


@pytest.mark.usefixtures("network")
def test_advertisements_of_others_are_heard() -> None:
    with subprocess.Popen(["ip", "netns", "exec", OTHER, sys.executable, "-c", ADVERT]) as sender:
        found = probe("198.51.100.100")
        sender.terminate()
    assert found["adverts"] == [{"source": "198.51.100.2", "id": 51}]


@pytest.mark.usefixtures("network")
def test_an_address_of_another_network_is_asked_nowhere() -> None:
    found = probe("203.0.113.1")
    assert (found["interface"], found["answers"]) == ("", [])
    assert [entry["address"] for entry in found["interfaces"]] == ["198.51.100.1"]
