# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTPS and the floating address of nginx are judged before anything is changed."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.checks import find_problems
from clusters import MULTI_NODE, ROLES, Cluster, make_cluster, only, put

FRONTS = ("front1", "front2")
ADDRESSES = dict(zip(FRONTS, ("192.0.2.11", "192.0.2.12")))
MACS = dict(zip(FRONTS, ("02:00:00:00:00:11", "02:00:00:00:00:12")))


def probe(host: str, **seen: Any) -> dict[str, Any]:
    return {
        "interfaces": [{"name": "eth0", "address": ADDRESSES[host], "prefix": 24}],
        "interface": "eth0",
        "macs": [MACS[host]],
        "answers": [],
        "adverts": [],
        "foreign_keepalived": False,
        "unresolved": [],
        **seen,
    }


def make(https: bool = True, floating: str = "192.0.2.10", **values: Any) -> Cluster:
    cluster = make_cluster({**MULTI_NODE, "flower": ["front1"], "nginx_lb": [*FRONTS]})
    usual = {"nginx_lb_https_port": 443, "nginx_lb_vrrp_id": 51, "nginx_lb_vrrp_interval": 300}
    for host in FRONTS:
        own = {"cluster_address": ADDRESSES[host], "nginx_lb_floating_address": floating}
        for name, value in {**usual, **own, **values}.items():
            put(cluster, name, value, host)
        cluster["hosts"][host]["front"] = {
            "https": https, "given": [], "certificate": [],
            "names": [], "unresolved": [], "probe": probe(host),
        }  # fmt: skip
    return cluster


def report(cluster: Cluster, *hosts: str, **facts: Any) -> Cluster:
    for host in hosts or FRONTS:
        cluster["hosts"][host]["front"].update(facts)
    return cluster


def see(cluster: Cluster, host: str, **seen: Any) -> Cluster:
    return report(cluster, host, probe=probe(host, **seen))


def test_what_is_good() -> None:
    assert find_problems(make()) == []
    assert find_problems(make(https=False, floating="")) == []
    assert find_problems(make(floating="192.0.2.10/24")) == []


def test_the_defaults_are_those_of_the_role() -> None:
    defaults = yaml.safe_load((ROLES / "nginx_lb/defaults/main.yml").read_text(encoding="utf-8"))
    values = yaml.safe_load((ROLES / "preflight/vars/main.yml").read_text(encoding="utf-8"))[
        "__preflight_values"
    ]
    for name in ("nginx_lb_https_port", "nginx_lb_vrrp_id", "nginx_lb_vrrp_interval"):
        assert f"default({defaults[name]})" in values[name]


# --- HTTPS


def test_what_is_wrong_with_the_certificate_is_told_with_the_hosts() -> None:
    cluster = report(
        make(), given=["certificate", "private_key"], certificate=["has expired on 2026-01-31: renew it"]
    )
    assert only(cluster) == ("nginx_lb_certificate has expired on 2026-01-31 on front1, front2: renew it")


def test_half_a_certificate() -> None:
    cluster = report(make(), "front2", given=["certificate"])
    assert only(cluster).startswith(
        "nginx_lb_private_key is missing on front2: give certificate and private key"
    )
    cluster = report(make(), "front2", given=["private_key"])
    assert only(cluster).startswith("nginx_lb_certificate is missing on front2")


def test_two_certificates() -> None:
    cluster = report(make(nginx_lb_acme_webroot="/var/www/acme"), given=["certificate", "private_key"])
    assert "nginx_lb_certificate and nginx_lb_acme_webroot are both set on front1, front2" in only(cluster)


@pytest.mark.parametrize(
    ("given", "values"), [(["certificate", "private_key"], {}), ([], {"nginx_lb_acme_webroot": "/a"})]
)
def test_a_certificate_without_https(given: list[str], values: dict[str, str]) -> None:
    assert "airflow_base_url does not begin with https://" in only(
        report(make(https=False, **values), given=given)
    )


def test_one_port_for_both() -> None:
    assert "Port 80 is used twice on front1, front2" in only(make(nginx_lb_https_port=80))
    assert find_problems(make(https=False, nginx_lb_https_port=80)) == []


def test_a_name_that_nobody_resolves() -> None:
    cluster = report(make(), names=["airflow.invalid"], unresolved=["airflow.invalid"])
    for host in FRONTS:
        see(cluster, host, unresolved=["airflow.invalid"])
    assert only(cluster).startswith(
        "airflow.invalid does not resolve, neither on the controller nor on front1, front2: make it known"
    )
    # Known to the hosts alone.
    see(cluster, "front2")
    assert find_problems(cluster) == []


# --- The floating address


@pytest.mark.parametrize("address", ["floating.example.org", "192.0.2.300", "fd00::1", "192.0.2.10/99"])
def test_an_address_that_is_none(address: str) -> None:
    assert only(make(floating=address)).startswith(
        "nginx_lb_floating_address is no IPv4 address on front1, front2"
    )


def test_an_address_outside_of_the_network() -> None:
    cluster = make(floating="198.51.100.7")
    for host in FRONTS:
        see(cluster, host, interface="")
    problem = only(cluster)
    assert "198.51.100.7 on front1, front2, which is in none of their networks (192.0.2.0/24)" in problem


@pytest.mark.parametrize("address", ["192.0.2.11", "192.0.2.12/24"])
def test_a_host_s_own_address(address: str) -> None:
    assert f"which is the address of {'front1' if '11' in address else 'front2'} itself" in only(
        make(floating=address)
    )


def test_a_second_address_of_a_host() -> None:
    cluster = make()
    second = {"name": "eth0", "address": "192.0.2.10", "prefix": 24}
    see(cluster, "front2", interfaces=[*probe("front2")["interfaces"], second])
    assert "which is the address of front2 itself" in only(cluster)


def test_the_one_that_has_it_is_no_stranger() -> None:
    cluster = make()
    kept = {"name": "eth0", "address": "192.0.2.10", "prefix": 32}
    see(cluster, "front2", interfaces=[*probe("front2")["interfaces"], kept])
    see(cluster, "front1", answers=[MACS["front2"]])
    assert find_problems(cluster) == []


def test_an_address_that_is_taken() -> None:
    cluster = see(make(), "front1", answers=["52:54:00:00:00:99"])
    assert only(cluster) == (
        "nginx_lb_floating_address is 192.0.2.10 on front1, front2, but another machine has it already "
        "(hardware address 52:54:00:00:00:99): choose a free one, or take it from that machine"
    )
    # It may be the host that the run leaves out.
    del cluster["hosts"]["front2"]
    assert find_problems(cluster) == []


def test_somebody_else_s_number() -> None:
    cluster = see(make(), "front1", adverts=[{"source": "192.0.2.200", "id": 51}])
    assert only(cluster).startswith(
        "nginx_lb_vrrp_id 51 is used in the network of front1 by 192.0.2.200 already"
    )
    assert find_problems(see(make(), "front1", adverts=[{"source": "192.0.2.200", "id": 52}])) == []
    assert find_problems(see(make(), "front1", adverts=[{"source": "192.0.2.12", "id": 51}])) == []


@pytest.mark.parametrize("number", [0, 256, "x", None])
def test_a_number_that_is_none(number: Any) -> None:
    assert "nginx_lb_vrrp_id is not from 1 to 255" in only(make(nginx_lb_vrrp_id=number))


@pytest.mark.parametrize("interval", [0, 20, 305, "x", 20000])
def test_an_interval_that_is_none(interval: Any) -> None:
    assert "nginx_lb_vrrp_interval is no number of milliseconds" in only(
        make(nginx_lb_vrrp_interval=interval)
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("nginx_lb_floating_address", "192.0.2.9"), ("nginx_lb_floating_address", ""), ("nginx_lb_vrrp_id", 52)],
)
def test_hosts_that_would_not_agree(name: str, value: Any) -> None:
    cluster = make()
    put(cluster, name, value, "front2")
    assert only(cluster).startswith(f"{name} differs between front1, front2")


def test_an_interface_that_is_not_there() -> None:
    assert only(make(nginx_lb_vrrp_interface="eth7")).startswith(
        "nginx_lb_vrrp_interface is eth7 on front1, front2, where no such interface has an address: use eth0"
    )


def test_hosts_that_know_each_other_by_other_addresses() -> None:
    cluster = make()
    put(cluster, "cluster_address", "203.0.113.5", "front1")
    assert only(cluster).startswith(
        "cluster_address is 203.0.113.5 on front1, which none of its interfaces has"
    )


def test_a_keepalived_of_somebody_else() -> None:
    assert only(see(make(), "front2", foreign_keepalived=True)).startswith(
        "keepalived on front2 has a configuration that is not of this collection"
    )
