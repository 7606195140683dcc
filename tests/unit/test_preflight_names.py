# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of hosts that would lead to the wrong place are refused before anything is changed."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from ansible_collections.airflowops.cluster.plugins.filter import preflight as adapter
from ansible_collections.airflowops.cluster.plugins.filter import topology
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.client import resolve_one
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.interpreter import (
    check_interpreter,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.names import check_names
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import Problems


def problems_of(hosts: dict[str, dict[str, Any]]) -> list[str]:
    """hosts: {host: {"address": of the cluster, "found": what it resolves to, "fqdn": its own name}}"""
    described = {
        host: {
            "values": {"cluster_address": entry.get("address", host)},
            "resolved": {"addresses": entry.get("found", ["192.0.2.9"]), "error": entry.get("error", "")},
            "probe": {"fqdn": entry.get("fqdn", host)},
        }
        for host, entry in hosts.items()
    }
    cluster = {
        "roles": {"airflow_master": {"group": "airflow_master", "hosts": [*hosts]}},
        "hosts": described,
    }
    problems = Problems(hosts)
    check_names(cluster, problems)
    return problems.sentences()


GOOD = {"found": ["192.0.2.1"]}


def test_names_that_resolve_to_an_address_each_are_good() -> None:
    assert problems_of({"a": GOOD, "b": {"found": ["2001:db8::2", "192.0.2.2"]}}) == []


def test_a_single_host_may_be_called_anything() -> None:
    assert problems_of({"a": {"found": ["127.0.0.1"], "fqdn": "localhost"}}) == []


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"found": [], "error": "Name or service not known"}, "does not resolve on the controller (Name or"),
        (
            {"found": ["2001:db8::2"]},
            "resolves to IPv6 alone (2001:db8::2), where the services do not listen",
        ),
        ({"address": "2001:db8::2", "found": ["2001:db8::2"]}, "2001:db8::2, the address of b, is an IPv6"),
        (
            {"found": ["127.0.1.1"]},
            "resolves to 127.0.1.1 on the controller, where other hosts cannot reach it",
        ),
    ],
)
def test_an_address_that_leads_nowhere_is_refused(entry: dict[str, Any], words: str) -> None:
    (problem,) = problems_of({"a": GOOD, "b": entry})
    assert words in problem
    assert "the address of b," in problem
    assert problem.endswith("set cluster_address to the host's IPv4 address in the network of the cluster")


def test_two_names_of_one_address_are_refused() -> None:
    (problem,) = problems_of({"a": GOOD, "b": GOOD, "c": {"found": ["192.0.2.3"]}})
    assert problem.startswith("The addresses of a, b all resolve to 192.0.2.1 on the controller")


@pytest.mark.parametrize("name", ["debian", "Debian"])
def test_hosts_that_call_themselves_alike_are_refused(name: str) -> None:
    (problem,) = problems_of(
        {
            "a": {"found": ["192.0.2.1"], "fqdn": "debian"},
            "b": {"found": ["192.0.2.2"], "fqdn": name},
            "c": {"found": ["192.0.2.3"]},
        }
    )
    assert problem.startswith("`hostname -f` is debian on a, b, and")
    assert "hostnamectl set-hostname NAME" in problem


@pytest.mark.parametrize("name", ["localhost", "localhost.localdomain", "", "(none)"])
def test_a_host_without_a_name_is_refused(name: str) -> None:
    (problem,) = problems_of({"a": GOOD, "b": {"found": ["192.0.2.2"], "fqdn": name}})
    assert problem.startswith(f"`hostname -f` is {name or 'empty'} on b, and")


# --- What names resolve to


def resolver(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """What getaddrinfo returns for any name, in this order."""

    def answer(*_args: Any, **_kwargs: Any) -> list[Any]:
        if not addresses:
            raise socket.gaierror(-2, "Name or service not known")
        return [
            (socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 0))
            for one in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", answer)


@pytest.mark.parametrize(
    ("addresses", "chosen"),
    [
        (["2001:db8::1", "192.0.2.1"], "192.0.2.1"),
        (["127.0.1.1", "192.0.2.1"], "192.0.2.1"),
        (["::1", "127.0.0.1"], "127.0.0.1"),
        (["192.0.2.1", "192.0.2.2"], "192.0.2.1"),
        (["fe80::1%eth0"], "fe80::1%eth0"),
    ],
)
def test_ipv4_comes_first_and_loopback_last(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str], chosen: str
) -> None:
    resolver(monkeypatch, *addresses)
    assert topology.ip_address("host1") == chosen


def test_preflight_sees_all_addresses_or_why_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver(monkeypatch, "2001:db8::1", "192.0.2.1")
    assert adapter.resolved("host1") == {"addresses": ["2001:db8::1", "192.0.2.1"], "error": ""}
    resolver(monkeypatch)
    assert "not known" in adapter.resolved("host1")["error"]
    assert adapter.resolved("") is None


def test_redis_nodes_bring_their_addresses_and_the_host_does_not_resolve_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On the first Redis host its own name is 127.0.1.1."""
    resolver(monkeypatch, "192.0.2.1")
    (node,) = topology.redis_nodes(["redis1"], {"redis1": {}}, [7000])
    assert node == {"host": "redis1", "port": 7000, "address": "192.0.2.1"}
    assert topology.redis_endpoint(node) == {"host": "redis1", "port": 7000}
    resolver(monkeypatch, "127.0.1.1")
    address = resolve_one(node)
    assert (address.host, address.ip) == ("redis1", "192.0.2.1")


# --- Python


@pytest.mark.parametrize(
    ("system", "fits", "refused"), [("debian", True, 0), ("debian", False, 1), ("rocky", False, 0)]
)
def test_a_python_without_the_distributions_packages_is_refused(
    system: str, fits: bool, refused: int
) -> None:
    path = "/usr/local/bin/python3.13"
    probe = {"os": {"id": system}, "python": "3.13.1", "python_path": path, "python_of_distribution": fits}
    problems = Problems(["a"])
    check_interpreter({"hosts": {"a": {"probe": probe}}}, problems)
    assert len(problems.sentences()) == refused
    for problem in problems.sentences():
        assert problem.startswith(f"Ansible runs its modules on a with {path} (3.13.1), which")
        assert "set ansible_python_interpreter to /usr/bin/python3" in problem
