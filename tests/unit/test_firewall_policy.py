# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is let in to which port."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Any

from ansible_collections.airflowops.cluster.plugins.filter.firewall import firewall_addresses
from ansible_collections.airflowops.cluster.plugins.plugin_utils import firewall_policy as firewall
from hypothesis import given
from hypothesis import strategies as st

ROLES = {
    "redis_cluster": ["redis1", "redis2", "redis3"],
    "postgres_metastore": ["pg1"],
    "airflow_master": ["master1", "master2"],
    "airflow_worker": ["worker1"],
    "flower": ["front1"],
    "nginx_lb": ["front1"],
}

ROOT = Path(__file__).parents[2]


PORTS = {
    "redis_cluster_ports": [7000, 7001],
    "postgres_metastore_port": 5432,
    "postgres_metastore_patroni_port": 8008,
    "etcd_client_port": 2379,
    "etcd_peer_port": 2380,
    "pgbackrest_port": 8432,
    "backup_verify_port": 5433,
    "airflow_master_api_port": 8080,
    "airflow_master_execution_port": 8081,
    "airflow_master_triggerer_log_port": 8794,
    "airflow_worker_log_port": 8793,
    "airflow_release_port": 18793,
    "flower_port": 5555,
    "nginx_lb_ports": [80, 443],
    "observability_port": 9999,
}


def description(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "roles": ROLES,
        "etcd": [],
        "ports": PORTS,
        "ssh_ports": [22],
        "floating": False,
        "networks": {
            "ssh_sources": ["0.0.0.0/0", "::/0"],
            "clients": ["0.0.0.0/0", "::/0"],
            "metrics_readers": ["monitor1", "198.51.100.0/24"],
        },
        "extra": [],
        "groups": {},
    }
    base.update(changes)
    hosts = dict.fromkeys([*(host for hosts in base["roles"].values() for host in hosts), "monitor1"])
    base.setdefault("addresses", {host: [f"192.0.2.{at}"] for at, host in enumerate(hosts, start=1)})
    return base


def let_in(host: str, cluster: dict[str, Any]) -> dict[int, set[str]]:
    """{port: the hosts whose addresses may reach it on the host, `*` for everybody}"""
    by_name = {one["name"]: one["elements"] for one in firewall.address_sets(host, cluster)}
    found: dict[int, set[str]] = {}
    for opening in firewall.openings(host, cluster):
        for source in opening["sources"]:
            for element in by_name[f"{source}4"]:
                who = "*" if element == "0.0.0.0/0" else re.sub(r'.* comment "(.*)"', r"\1", element)
                for port in opening["ports"]:
                    found.setdefault(int(port), set()).add(who)
    return found


REDIS = {"redis1", "redis2", "redis3"}


AIRFLOW = {"master1", "master2", "worker1", "front1"}


def test_each_port_is_open_to_those_that_need_it() -> None:
    cluster = description()
    assert let_in("redis1", cluster) == {
        22: {"*"},
        7000: REDIS | AIRFLOW,
        7001: REDIS | AIRFLOW,
        17000: REDIS,
        17001: REDIS,
    }
    assert let_in("pg1", cluster) == {22: {"*"}, 5432: AIRFLOW, 5433: {"master1", "master2"}}
    assert let_in("master1", cluster) == {
        22: {"*"},
        8080: {"front1"},
        8081: AIRFLOW,
        8794: {"master1", "master2"},
        18793: AIRFLOW,
    }
    assert let_in("worker1", cluster) == {22: {"*"}, 8793: {"master1", "master2"}, 18793: AIRFLOW}
    assert let_in("front1", cluster) == {22: {"*"}, 80: {"*"}, 443: {"*"}, 5555: {"front1"}, 18793: AIRFLOW}


def test_figures_are_read_by_prometheus_alone() -> None:
    cluster = description(roles={**ROLES, "metrics": ["redis1"]})
    (monitor,) = cluster["addresses"]["monitor1"]
    assert let_in("redis1", cluster)[9999] == {f"{monitor}/32", "198.51.100.0/24"}
    assert 9999 not in let_in("master1", cluster)


def test_three_metastores_reach_each_other() -> None:
    members = {"pg1", "pg2", "pg3", "pg4"}
    cluster = description(roles={**ROLES, "postgres_metastore": sorted(members)}, etcd=["pg1", "pg2", "pg3"])
    ports = let_in("pg1", cluster)
    assert ports[5432] == ports[8008] == AIRFLOW | members
    assert ports[8432] == ports[2379] == members
    assert ports[2380] == members - {"pg4"}
    assert not {2379, 2380} & {*let_in("pg4", cluster)}


def test_what_listens_on_loopback_only_is_open_to_nobody() -> None:
    """The table for people names the same ports as the rules."""
    text = (ROOT / "docs/network.md").read_text(encoding="utf-8")
    table = text[text.index("| port | variable | on | from |") :].split("\n\n")[0]
    documented = set()
    for line in table.splitlines()[2:]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not cells[3].startswith(("itself", "loopback only")):
            documented |= {int(number) for number in re.findall(r"\d+", cells[0])}
    wide = {**ROLES, "postgres_metastore": ["pg1", "pg2", "pg3"], "metrics": ["redis1"]}
    cluster = description(roles=wide, etcd=["pg1", "pg2", "pg3"])
    opened = {port for host in cluster["addresses"] for port in let_in(host, cluster)}
    assert opened == documented


def test_a_host_of_all_roles_is_open_to_itself_and_clients() -> None:
    cluster = description(roles={role: ["node1"] for role in ROLES}, ssh_ports=[2222, 22])
    ports = let_in("node1", cluster)
    assert {port for port, who in ports.items() if who == {"*"}} == {22, 2222, 80, 443}
    assert {who for hosts in ports.values() for who in hosts} == {"*", "node1"}


def test_networks_narrow_what_people_reach_and_extra_opens_more() -> None:
    cluster = description(
        networks={
            "ssh_sources": ["198.51.100.0/24", "2001:db8::/32"],
            "clients": ["10.0.0.0/8", "10.1.0.0/16"],
        },
        extra=[
            {"port": 9100, "sources": ["monitoring"], "why": 'its "own"'},
            {"port": "161-162", "proto": "udp", "sources": ["203.0.113.7", "monitor1"]},
        ],
        groups={"monitoring": ["monitor1"]},
    )
    sets = {one["name"]: one["elements"] for one in firewall.address_sets("front1", cluster)}
    assert sets["ssh_sources4"] == ["198.51.100.0/24"]
    assert sets["ssh_sources6"] == ["2001:db8::/32"]
    assert sets["clients4"] == ["10.0.0.0/8"]
    assert sets["extra1_4"] == [f"{cluster['addresses']['monitor1'][0]}/32"]
    assert sets["extra2_4"] == ["192.0.2.9/32", "203.0.113.7/32"]
    last = firewall.openings("front1", cluster)[-2:]
    assert [(one["ports"], one["proto"], one["why"]) for one in last] == [
        (["9100"], "tcp", "its 'own'"),
        (["161-162"], "udp", "firewall_extra"),
    ]


def test_a_floating_address_is_told_between_the_balancers_alone() -> None:
    cluster = description(roles={**ROLES, "nginx_lb": ["front1", "front2"]}, floating=True)
    protocols = {
        host: [one["proto"] for one in firewall.openings(host, cluster)] for host in cluster["addresses"]
    }
    assert [host for host, found in protocols.items() if "vrrp" in found] == ["front1", "front2"]
    vrrp = firewall.openings("front1", cluster)[-1]
    assert vrrp["sources"] == ["nginx_lb"]


def test_both_families_of_addresses() -> None:
    cluster = description()
    cluster["addresses"] = {host: [*found, "2001:db8::1"] for host, found in cluster["addresses"].items()}
    sets = {one["name"]: one["elements"] for one in firewall.address_sets("worker1", cluster)}
    assert sets["airflow_master6"] == ['2001:db8::1 comment "master1"']
    assert sets["airflow_master4"] == ['192.0.2.5 comment "master1"', '192.0.2.6 comment "master2"']


def test_a_new_worker_is_let_in_by_those_that_have_sets_of_its_roles() -> None:
    cluster = description()
    address = cluster["addresses"]["worker1"][0]
    found = firewall.admissions(["worker1"], cluster)
    assert found == {
        "airflow_worker4": [f'{address} comment "worker1"'],
        "airflow4": [f'{address} comment "worker1"'],
    }
    # Afterwards it is where the next full run would put it.
    named = {one["name"] for host in cluster["addresses"] for one in firewall.address_sets(host, cluster)}
    assert {*found} & named == {"airflow4"}


def flat(host: str, cluster: dict[str, Any], **options: Any) -> set[tuple[str, str, str]]:
    """{(port, source, why)} of what `allowed` returns"""
    return {
        (port, rule["source"], rule["why"])
        for rule in firewall.allowed(host, cluster, **options)
        for port in rule["ports"] or ["-"]
    }


def test_rules_for_other_firewalls_say_the_same_but_for_ssh_from_everywhere_and_the_host_itself() -> None:
    cluster = description()
    for host in cluster["addresses"]:
        names = {address: name for name, (address,) in cluster["addresses"].items()}
        found: dict[int, set[str]] = {}
        for port, source, _why in flat(host, cluster):
            if ":" not in source:
                found.setdefault(int(port), set()).add(names.get(source, "*"))
        expected = {port: who - {host} for port, who in let_in(host, cluster).items() if port != 22}
        assert found == {port: who for port, who in expected.items() if who}, host


def test_networks_are_let_in_by_ssh_besides_and_extra_by_its_own_words() -> None:
    cluster = description(
        networks={"ssh_sources": ["198.51.100.0/24", "::/0"], "clients": [], "metrics_readers": []},
        extra=[{"port": "161-162", "proto": "udp", "sources": ["203.0.113.7", "monitor1"], "why": "SNMP"}],
        roles={**ROLES, "nginx_lb": ["front1", "front2"]},
        floating=True,
    )
    (other,) = cluster["addresses"]["front2"]
    (monitor,) = cluster["addresses"]["monitor1"]
    assert flat("front1", cluster) >= {
        ("22", "198.51.100.0/24", "SSH"),
        ("161-162", "203.0.113.7", "SNMP"),
        ("161-162", monitor, "SNMP"),
        ("-", other, "the floating address"),
    }
    assert {port for port, source, _why in flat("front1", cluster) if source.endswith("/0")} == set()


def test_a_host_is_let_in_by_others_at_their_own_ports() -> None:
    cluster = description(extra=[{"port": 9100, "sources": ["198.51.100.0/24"]}])
    (address,) = cluster["addresses"]["worker1"]
    found = flat("redis1", cluster, of=["worker1"], given={"redis_cluster_ports": [7005], "other": 1})
    assert found == {("7005", address, "Redis")}
    assert {port for port, _source, _why in flat("master1", cluster, of=["worker1"], given={})} == {
        "8081",
        "18793",
    }


def test_addresses_are_compared_as_addresses() -> None:
    cluster = description()
    cluster["addresses"]["worker1"] = ["2001:DB8:0::0:1"]
    assert ("8081", "2001:db8::1", "execution API") in flat("master1", cluster, of=["worker1"])
    assert not any(source == "2001:db8::1" for _port, source, _why in flat("worker1", cluster))


@given(st.lists(st.ip_addresses(v=4).map(lambda one: f"{one}/24"), max_size=6))
def test_networks_of_a_set_never_overlap(texts: list[str]) -> None:
    networks = [ipaddress.ip_network(text, strict=False) for text in texts]
    found = [ipaddress.ip_network(text) for text in firewall.network_elements(networks, 4)]
    assert not any(a.overlaps(b) for a in found for b in found if a is not b)
    assert all(any(network.subnet_of(one) for one in found) for network in networks)


def test_addresses_are_all_that_a_name_resolves_to() -> None:
    hostvars = {
        "a": {"cluster_address": "192.0.2.1", "ansible_host": "198.51.100.1"},
        "b": {"ansible_host": "192.0.2.2", "firewall_addresses": ["2001:db8::2"]},
        "c": {"ansible_host": "192.0.2.3"},
    }
    extra = [{"port": 1, "sources": ["more", "203.0.113.0/24"]}]
    assert firewall_addresses(["a", "b"], hostvars, extra, {"more": ["c"]}) == {
        "a": ["192.0.2.1"],
        "b": ["192.0.2.2", "2001:db8::2"],
        "c": ["192.0.2.3"],
    }
