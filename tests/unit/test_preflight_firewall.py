# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What preflight reports of the firewall before anything is changed."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.checks import find_problems
from clusters import MULTI_NODE


def problems(**variables: Any) -> list[str]:
    probe = variables.pop("probe", {})
    given_values = {"firewall_backend": "nftables", **variables}
    cluster = {
        "roles": {role: {"group": role, "hosts": ["a"]} for role in MULTI_NODE},
        "inventory_groups": {"all": ["a", "m"], "monitoring": ["m"]},
        "known_variables": {
            "firewall_backend": {"type": "str", "choices": ["none", "nftables", "ufw", "firewalld"]}
        },
        "hosts": {"a": {"values": {}, "given": given_values}},
    }
    base = {
        "architecture": "x86_64",
        "listening": [],
        "os": {"id": "debian", "version": "12", "name": "Debian"},
        "pythons": ["3.11"],
        "systemd": True,
    }
    cluster["hosts"]["a"]["probe"] = {**base, **probe}
    return [problem for problem in find_problems(cluster) if "firewall" in problem]


FROM_HERE = {"ssh_connection": {"client": "192.0.2.7", "client_port": 5, "server_port": 22}}


@pytest.mark.parametrize(
    ("variables", "reported"),
    [
        ({"firewall_backend": "iptables"}, "use none or nftables or ufw or firewalld"),
        ({"firewall_ssh_sources": ["192.0.2.1/24"]}, "did you mean 192.0.2.0/24?"),
        ({"firewall_clients": ["office"]}, "firewall_clients on a has office, which is no network"),
        ({"firewall_extra": [{"port": 9100}]}, "has no sources for port 9100"),
        ({"firewall_extra": [{"port": 70000, "sources": ["::/0"]}]}, "has no fit port (70000)"),
        ({"firewall_extra": [{"port": "9-1", "sources": ["::/0"]}]}, "has no fit port (9-1)"),
        ({"firewall_extra": [{"port": 1, "sources": ["monitor"]}]}, "which is no network, host or group"),
        ({"firewall_extra": [{"port": 1, "proto": "icmp", "sources": ["m"]}]}, "the unknown proto icmp"),
        ({"firewall_extra": [{"ports": 1, "sources": ["m"]}]}, "the unknown key ports"),
        ({"firewall_ssh_sources": ["198.51.100.0/24"], "probe": FROM_HERE}, "does not hold 192.0.2.7"),
        ({"firewall_ssh_sources": [], "probe": FROM_HERE}, "does not hold 192.0.2.7"),
        ({"probe": {"firewalls": ["ufw"]}}, "ufw is active on a"),
        ({"probe": {"firewalls": ["firewalld"]}}, "systemctl disable --now firewalld"),
        ({"probe": {"firewalls": ["ufw"]}}, "set firewall_backend: ufw there"),
        ({"firewall_backend": "ufw", "probe": {"firewalls": []}}, "ufw is not active on a, and"),
        ({"firewall_backend": "ufw", "probe": {"firewalls": []}}, "switch it on with `ufw allow OpenSSH"),
        (
            {"firewall_backend": "firewalld", "probe": {"firewalls": ["airflowops-firewalld"]}},
            "not active on a",
        ),
        (
            {"firewall_backend": "ufw", "probe": {"firewalls": ["ufw", "firewalld"]}},
            "firewalld is active on a, beside which firewall_backend: ufw",
        ),
        (
            {"firewall_backend": "ufw", "firewall_log": True, "probe": {"firewalls": ["ufw"]}},
            "firewall_log on a works with firewall_backend: nftables alone",
        ),
        ({"firewall_backend": "ufw", "firewall_extra": [{}], "probe": {"firewalls": ["ufw"]}}, "no fit port"),
    ],
)
def test_bad_input_is_one_sentence(variables: dict[str, Any], reported: str) -> None:
    found = problems(**variables)
    assert len(found) == 1, found
    assert reported in found[0]


def test_good_input_is_none() -> None:
    assert (
        problems(
            firewall_ssh_sources=["192.0.2.0/24", "2001:db8::/32"],
            firewall_extra=[{"port": "9100-9104", "sources": ["monitoring", "m", "203.0.113.1"], "why": "x"}],
            probe={**FROM_HERE, "firewalls": ["airflowops"]},
        )
        == []
    )
    mapped = {"ssh_connection": {"client": "::ffff:192.0.2.7", "client_port": 5, "server_port": 22}}
    assert problems(firewall_ssh_sources=["192.0.2.0/24"], probe=mapped) == []
    # Such a firewall allows SSH by rules that are not ours. Where a host was not probed, nothing is reported.
    beside = {"firewall_backend": "ufw", "firewall_ssh_sources": ["198.51.100.0/24"]}
    assert problems(**beside, probe={**FROM_HERE, "firewalls": ["ufw", "airflowops"]}) == []
    assert problems(**beside) == []
    # Without our firewall another one is nobody's business.
    assert (
        problems(firewall_backend="none", firewall_clients=["10.0.0.0/8"], probe={"firewalls": ["ufw"]}) == []
    )
