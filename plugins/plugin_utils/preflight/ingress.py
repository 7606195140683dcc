# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with HTTPS and the floating address of nginx' hosts. Pure functions, see `preflight`.

Of a host, ``front`` is::

    "https":       whether airflow_base_url begins with https://
    "given":       which of "certificate", "private_key" are given
    "certificate": what is wrong with them, as "what: fix", without the key
    "names":       the names by which users come that are no addresses
    "unresolved":  those of them that the controller cannot resolve
    "probe":       what vip_probe returned, where it looked
"""

from __future__ import annotations

import ipaddress
from typing import Any

from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import (
    Problems,
    all_known,
    as_integer,
    known_hosts,
    listing,
    values_of,
)

HTTPS_PORT = "nginx_lb_https_port"
HIGHEST_VRRP_ID = 255


def uses_https(cluster: dict[str, Any], host: str) -> bool:
    return bool((cluster["hosts"][host].get("front") or {}).get("https"))


def check_front(cluster: dict[str, Any], problems: Problems) -> None:
    hosts = [host for host in known_hosts(cluster, "nginx_lb") if cluster["hosts"][host].get("front")]
    for host in hosts:
        check_certificate(cluster, host, problems)
    check_names(cluster, hosts, problems)
    check_floating_address(cluster, hosts, problems)


# --- HTTPS


def check_certificate(cluster: dict[str, Any], host: str, problems: Problems) -> None:
    front = cluster["hosts"][host]["front"]
    given = front["given"]
    acme = values_of(cluster, host).get("nginx_lb_acme_webroot")
    asked = [f"nginx_lb_{name}" for name in given] + (["nginx_lb_acme_webroot"] if acme else [])
    if asked and not front["https"]:
        problems.add(
            f"{asked[0]} is set on {{hosts}}, but airflow_base_url does not begin with https://: let it, for "
            "that is what turns HTTPS on, or remove the variable",
            host,
        )
        return
    if acme and given:
        problems.add(
            f"{asked[0]} and nginx_lb_acme_webroot are both set on {{hosts}}: remove one of them, for nginx "
            "shows one certificate",
            host,
        )
    if len(given) == 1:
        lacking = "private_key" if given == ["certificate"] else "certificate"
        problems.add(
            f"nginx_lb_{lacking} is missing on {{hosts}}: give certificate and private key together, or none "
            "of them, to have them made",
            host,
        )
    for problem in front["certificate"]:
        what, _, fix = problem.partition(": ")
        problems.add(f"nginx_lb_certificate {what} on {{hosts}}: {fix}", host)


def check_names(cluster: dict[str, Any], hosts: list[str], problems: Problems) -> None:
    """A name that neither the controller nor any of the hosts can resolve is misspelt, or not there yet.

    One that some of them resolve may be meant for these alone.
    """
    fronts = [cluster["hosts"][host]["front"] for host in hosts]
    for name in sorted({name for front in fronts for name in front["unresolved"]}):
        looked = [front["probe"] for front in fronts if front.get("probe")]
        if all(name in probe["unresolved"] for probe in looked):
            problems.add(
                f"{name} does not resolve, neither on the controller nor on {{hosts}}: make it known to the "
                "name service first, or to the controller's /etc/hosts, or correct airflow_base_url or "
                "nginx_lb_flower_host",
                *hosts,
            )


# --- The floating address


def check_floating_address(cluster: dict[str, Any], hosts: list[str], problems: Problems) -> None:
    addresses = {host: floating(cluster, host) for host in hosts}
    asked = [host for host in hosts if addresses[host]]
    if not asked:
        return
    for name in ("nginx_lb_floating_address", "nginx_lb_vrrp_id", "nginx_lb_vrrp_interval"):
        if len({str(values_of(cluster, host).get(name)) for host in hosts}) > 1:
            problems.add(
                f"{name} differs between {{hosts}}, which would all take the address: set it once for their "
                "group",
                *hosts,
            )
            return
    check_vrrp(cluster, asked, problems)
    try:
        address = ipaddress.ip_interface(addresses[asked[0]]).ip
    except ValueError:
        address = None
    if not isinstance(address, ipaddress.IPv4Address):
        problems.add(
            "nginx_lb_floating_address is no IPv4 address on {hosts}: use one such as 192.0.2.10", *asked
        )
        return
    owners = owners_of(cluster, str(address))
    if owners:
        problems.add(
            f"nginx_lb_floating_address is {address} on {{hosts}}, which is the address of "
            f"{listing(owners)} itself: choose one that no machine has",
            *asked,
        )
        return
    for host in asked:
        check_place(cluster, host, str(address), problems)
    check_taken(cluster, asked, str(address), problems)


def floating(cluster: dict[str, Any], host: str) -> str:
    return str(values_of(cluster, host).get("nginx_lb_floating_address") or "")


def probe_of(cluster: dict[str, Any], host: str) -> dict[str, Any]:
    return cluster["hosts"][host]["front"].get("probe") or {}


def check_vrrp(cluster: dict[str, Any], hosts: list[str], problems: Problems) -> None:
    number = as_integer(values_of(cluster, hosts[0]).get("nginx_lb_vrrp_id"))
    if number is None or not 1 <= number <= HIGHEST_VRRP_ID:
        problems.add(
            f"nginx_lb_vrrp_id is not from 1 to {HIGHEST_VRRP_ID} on {{hosts}}: set it to such a number",
            *hosts,
        )
    interval = as_integer(values_of(cluster, hosts[0]).get("nginx_lb_vrrp_interval"))
    if interval is None or not 50 <= interval <= 10000 or interval % 10:
        problems.add(
            "nginx_lb_vrrp_interval is no number of milliseconds from 50 to 10000 in steps of 10 on {hosts}: "
            "300 lets another host take over within a second and a half",
            *hosts,
        )
    ours = {entry["address"] for host in hosts for entry in probe_of(cluster, host).get("interfaces", [])}
    for host in hosts:
        others = {
            advert["source"]
            for advert in probe_of(cluster, host).get("adverts", [])
            if advert["id"] == number and advert["source"] not in ours
        }
        if others and all_known(cluster, "nginx_lb"):
            problems.add(
                f"nginx_lb_vrrp_id {number} is used in the network of {{hosts}} by {listing(others)} "
                "already: choose another number",
                host,
            )
        if probe_of(cluster, host).get("foreign_keepalived"):
            problems.add(
                "keepalived on {hosts} has a configuration that is not of this collection, "
                "/etc/keepalived/keepalived.conf: move it away, or use other hosts for nginx",
                host,
            )


def owners_of(cluster: dict[str, Any], address: str) -> set[str]:
    """The hosts whose own address it is. A floating one is kept alone, without its network."""
    owners = {host for host in cluster["hosts"] if values_of(cluster, host).get("cluster_address") == address}
    for host in known_hosts(cluster, "nginx_lb"):
        probe = (cluster["hosts"][host].get("front") or {}).get("probe") or {}
        if any(e["address"] == address and e["prefix"] < 32 for e in probe.get("interfaces", [])):
            owners.add(host)
    return owners


def check_place(cluster: dict[str, Any], host: str, address: str, problems: Problems) -> None:
    probe = probe_of(cluster, host)
    if not probe:
        return
    networks = {
        ipaddress.ip_network(f"{entry['address']}/{entry['prefix']}", strict=False)
        for entry in probe["interfaces"]
        if entry["prefix"] < 32
    }
    if not probe["interface"]:
        problems.add(
            f"nginx_lb_floating_address is {address} on {{hosts}}, which is in none of their networks "
            f"({listing(networks)}): choose an address of these",
            host,
        )
    wanted = values_of(cluster, host).get("nginx_lb_vrrp_interface")
    names = {entry["name"] for entry in probe["interfaces"]}
    if wanted and wanted not in names:
        problems.add(
            f"nginx_lb_vrrp_interface is {wanted} on {{hosts}}, where no such interface has an address: use "
            f"{' or '.join(sorted(names))}, or leave it empty",
            host,
        )
    own = values_of(cluster, host).get("cluster_address")
    try:
        there = not own or str(ipaddress.ip_address(own)) in {e["address"] for e in probe["interfaces"]}
    except ValueError:  # a name
        there = True
    if not there:
        problems.add(
            f"cluster_address is {own} on {{hosts}}, which none of its interfaces has, so that the hosts of "
            "nginx could not agree who takes the floating address: set it to the host's own address",
            host,
        )


def check_taken(cluster: dict[str, Any], hosts: list[str], address: str, problems: Problems) -> None:
    # A host that is not in this run may have it, as it should.
    if not all_known(cluster, "nginx_lb"):
        return
    ours = {mac for host in hosts for mac in probe_of(cluster, host).get("macs", [])}
    takers = {mac for host in hosts for mac in probe_of(cluster, host).get("answers", [])} - ours
    if takers:
        problems.add(
            f"nginx_lb_floating_address is {address} on {{hosts}}, but another machine has it already "
            f"(hardware address {listing(takers)}): choose a free one, or take it from that machine",
            *hosts,
        )
