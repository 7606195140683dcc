# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may connect to what: pure functions from a description of the cluster to the openings of a host.

The description is a dictionary::

    roles:      {role: [hosts]} for each role that is a group
    etcd:       [hosts] of the metastore that run etcd; empty where one host is the metastore
    addresses:  {host: [its IP addresses]}
    ports:      {variable: port, or list of ports} of the host whose openings are wanted
    ssh_ports:  [ports at which SSH listens there]
    floating:   whether the hosts of nginx share an address (VRRP)
    networks:   {"ssh_sources": [...], "clients": [...], "metrics_readers": [...]}, in CIDR notation, or
                names of hosts and groups
    extra:      firewall_extra, of which `sources` may be names as well
    groups:     {group: [hosts]}, every group of the inventory
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Iterable, Mapping, NamedTuple, Union

from ansible_collections.airflowops.cluster.plugins.module_utils.firewall.backend import EVERYWHERE
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.model import BUS_OFFSET

PROTOCOLS = ("tcp", "udp")
PORT_RANGE = re.compile(r"([0-9]{1,5})-([0-9]{1,5})")
Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


class Way(NamedTuple):
    """The hosts of `role` are reached at the ports of `variable` by the hosts of the roles `sources`."""

    role: str
    variable: str
    sources: tuple[str, ...]
    why: str


# All that listens for other hosts. `airflow` stands for the hosts of masters, workers and Flower, `metrics`
# for those with exporters. What is not here is asked on loopback only. For people: docs/network.md.
WAYS = (
    Way("redis_cluster", "redis_cluster_ports", ("airflow", "redis_cluster"), "Redis"),
    Way("redis_cluster", "redis_cluster_bus_ports", ("redis_cluster",), "Redis, the nodes among themselves"),
    Way("postgres_metastore", "postgres_metastore_port", ("airflow",), "PostgreSQL"),
    Way("etcd_user", "postgres_metastore_port", ("postgres_metastore",), "PostgreSQL, replication"),
    Way("etcd_user", "postgres_metastore_patroni_port", ("airflow", "postgres_metastore"), "Patroni"),
    Way("etcd_user", "pgbackrest_port", ("postgres_metastore",), "pgBackRest"),
    Way("etcd", "etcd_client_port", ("postgres_metastore",), "etcd"),
    Way("etcd", "etcd_peer_port", ("etcd",), "etcd, the members among themselves"),
    Way(
        "postgres_metastore", "backup_verify_port", ("airflow_master",), "PostgreSQL, a copy that is verified"
    ),
    Way("airflow_master", "airflow_master_api_port", ("nginx_lb",), "UI and REST API"),
    Way("airflow_master", "airflow_master_execution_port", ("airflow",), "execution API"),
    Way("airflow_master", "airflow_master_triggerer_log_port", ("airflow_master",), "logs of triggers"),
    Way("airflow_worker", "airflow_worker_log_port", ("airflow_master",), "logs of tasks"),
    Way("airflow", "airflow_release_port", ("airflow",), "the release of Airflow, while it is handed on"),
    Way("flower", "flower_port", ("nginx_lb",), "Flower"),
    Way("nginx_lb", "nginx_lb_ports", ("clients",), "nginx"),
    Way("metrics", "observability_port", ("metrics_readers",), "metrics"),
)


def all_roles(description: Mapping[str, Any]) -> dict[str, list[str]]:
    """The hosts of each role, and of what `WAYS` names besides."""
    roles = {role: [*hosts] for role, hosts in description["roles"].items()}
    airflow = [
        host for role in ("airflow_master", "airflow_worker", "flower") for host in roles.get(role, [])
    ]
    return {
        **roles,
        "airflow": list(dict.fromkeys(airflow)),
        "etcd": [*description["etcd"]],
        # Where several hosts keep the metastore.
        "etcd_user": roles.get("postgres_metastore", []) if description["etcd"] else [],
    }


def ports_of(description: Mapping[str, Any], variable: str) -> list[int]:
    ports = description["ports"]
    if variable == "redis_cluster_bus_ports":
        return [int(port) + BUS_OFFSET for port in ports["redis_cluster_ports"]]
    value = ports.get(variable)
    return [int(port) for port in (value if isinstance(value, (list, tuple)) else [value]) if port]


def openings(host: str, description: Mapping[str, Any]) -> list[dict[str, Any]]:
    """[{ports, proto, sources, why}] of a host: `sources` are names of what `address_sets` returns."""
    roles = all_roles(description)
    found: list[dict[str, Any]] = [
        {
            "ports": sorted({*map(int, description["ssh_ports"])}),
            "proto": "tcp",
            "sources": ["ssh_sources"],
            "why": "SSH",
        }
    ]
    for way in WAYS:
        ports = ports_of(description, way.variable)
        if host in roles.get(way.role, []) and ports:
            same = next((one for one in found if one["ports"] == ports and one["why"] == way.why), None)
            if not same:
                found.append({"ports": ports, "proto": "tcp", "sources": [*way.sources], "why": way.why})
    if host in roles.get("nginx_lb", []) and description["floating"]:
        found.append({"ports": [], "proto": "vrrp", "sources": ["nginx_lb"], "why": "the floating address"})
    for number, extra in enumerate(description["extra"], start=1):
        found.append(
            {
                "ports": [str(extra["port"])],
                "proto": extra.get("proto", "tcp"),
                "sources": [f"extra{number}_"],
                "why": str(extra.get("why", "firewall_extra")).replace('"', "'")[:100],
            }
        )
    return found


def address_sets(host: str, description: Mapping[str, Any]) -> list[dict[str, Any]]:
    """[{name, family, networks, elements}] of the sets that the openings of a host need.

    Each source is two sets, NAME4 and NAME6. `elements` are as nftables writes them: addresses of hosts with
    the host as comment, or networks.
    """
    names = dict.fromkeys(source for opening in openings(host, description) for source in opening["sources"])
    roles = all_roles(description)
    sets = []
    for name in names:
        by_networks = name not in roles
        for family in (4, 6):
            sets.append(
                {
                    "name": f"{name}{family}",
                    "family": family,
                    "networks": by_networks,
                    "elements": network_elements(networks_named(name, description), family)
                    if by_networks
                    else host_elements(roles[name], description["addresses"], family),
                }
            )
    return sets


def admissions(hosts: Iterable[str], description: Mapping[str, Any]) -> dict[str, list[str]]:
    """{set: elements} by which other hosts let these hosts in, where they have a set of that name."""
    hosts = [*hosts]
    found: dict[str, list[str]] = {}
    for role, members in all_roles(description).items():
        for family in (4, 6):
            elements = host_elements(
                [host for host in members if host in hosts], description["addresses"], family
            )
            if elements:
                found[f"{role}{family}"] = elements
    return found


def role_sets(description: Mapping[str, Any]) -> list[str]:
    """The names of the sets that hold addresses of hosts."""
    return [f"{role}{family}" for role in all_roles(description) for family in (4, 6)]


def allowed(
    host: str,
    description: Mapping[str, Any],
    of: Iterable[str] | None = None,
    given: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """[{family, source, proto, ports, why}]: the openings of a host, one for each address or network.

    For firewalls that drop what they do not know and are somebody else's. They let SSH in already, so that of
    firewall_ssh_sources only networks count: what stands for everywhere would undo what was closed there.

    of: only what these hosts need. given: variables of the host, whose ports go before the description's.
    """
    if given is not None:
        ports = {name: given.get(name, value) for name, value in description["ports"].items()}
        description = {**description, "ports": ports}
    admitted = {plain(address) for one in of or () for address in description["addresses"][one]}
    own = {plain(address) for address in description["addresses"].get(host, [])}
    sets = {one["name"]: one for one in address_sets(host, description)}
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for opening in openings(host, description):
        for name in opening["sources"]:
            for family in (4, 6):
                for element in sets[f"{name}{family}"]["elements"]:
                    source = plain(element.split()[0])
                    wide = name == "ssh_sources" and source in EVERYWHERE
                    if wide or source in own or (of is not None and source not in admitted):
                        continue
                    rule = {
                        "family": family,
                        "source": source,
                        "proto": opening["proto"],
                        "ports": [*map(str, opening["ports"])],
                        "why": opening["why"],
                    }
                    found.setdefault((source, rule["proto"], *rule["ports"]), rule)
    return [*found.values()]


def plain(text: str) -> str:
    """A network, of which one address alone is written as such."""
    network = ipaddress.ip_network(text)
    return str(network.network_address if network.num_addresses == 1 else network)


def host_elements(hosts: Iterable[str], addresses: Mapping[str, Iterable[str]], family: int) -> list[str]:
    found: dict[str, str] = {}
    for host in hosts:
        for address in addresses[host]:
            parsed = ipaddress.ip_address(address)
            if parsed.version == family:
                found.setdefault(str(parsed), f'{parsed} comment "{host}"')
    return [found[address] for address in sorted(found, key=ipaddress.ip_address)]


def networks_named(name: str, description: Mapping[str, Any]) -> list[Network]:
    number = re.fullmatch(r"extra(\d+)_", name)
    texts = (
        description["extra"][int(number[1]) - 1].get("sources", [])
        if number
        else description["networks"][name]
    )
    found: list[Network] = []
    for text in texts:
        hosts = description["groups"].get(text, [text] if text in description["addresses"] else None)
        if hosts is None:
            found.append(ipaddress.ip_network(text))
        else:
            found += [
                ipaddress.ip_network(address)
                for host in hosts
                for address in description["addresses"].get(host, [])
            ]
    return found


def network_elements(networks: Iterable[Network], family: int) -> list[str]:
    """Without those that lie in others: nftables refuses what overlaps."""
    of_family: Any = [network for network in networks if network.version == family]
    return [str(network) for network in ipaddress.collapse_addresses(of_family)]


# --- What is wrong with what was given


def network_problem(text: Any) -> str:
    """Why a text is no network, as an end of a sentence with a fix; empty if it is one."""
    if not isinstance(text, str):
        return f"{text!r}, which is no network: give text such as 192.0.2.0/24"
    try:
        ipaddress.ip_network(text)
    except ValueError:
        try:
            fix = f"did you mean {ipaddress.ip_network(text, strict=False)}?"
        except ValueError:
            fix = "give an address or a network such as 192.0.2.0/24"
        return f"{text}, which is no network: {fix}"
    return ""


def extra_problem(entry: Any, names: Iterable[str]) -> str:
    """Likewise of an entry of firewall_extra. names: the groups and hosts of the inventory."""
    names = {*names}
    if not isinstance(entry, Mapping):
        return "an entry that is not a dictionary: write {port: 9100, sources: [192.0.2.0/24]}"
    unknown = sorted({*map(str, entry)} - {"port", "proto", "sources", "why"})
    if unknown:
        return f"the unknown key {unknown[0]}: use port, proto, sources and why"
    port = str(entry.get("port", ""))
    bounds = PORT_RANGE.fullmatch(port)
    numbers = [int(bounds[1]), int(bounds[2])] if bounds else [int(port)] if port.isdigit() else []
    if not numbers or not all(0 < number < 65536 for number in numbers) or numbers[0] > numbers[-1]:
        return f"no fit port ({port or 'none'}): give a number such as 9100, or a range such as 9100-9104"
    if entry.get("proto", "tcp") not in PROTOCOLS:
        return f"the unknown proto {entry['proto']}: use tcp or udp"
    sources = entry.get("sources")
    if not isinstance(sources, list) or not sources:
        return (
            f"no sources for port {port}: list networks, hosts or groups; 0.0.0.0/0 and ::/0 are everywhere"
        )
    for source in sources:
        problem = network_problem(source) if source not in names else ""
        if problem:
            return f"for port {port} the source {problem.replace('network:', 'network, host or group:', 1)}"
    return ""


def covers(networks: Iterable[str], address: str) -> bool:
    """Whether an address lies in one of the networks, of which those that are none do not count."""
    parsed: Any = ipaddress.ip_address(address.partition("%")[0])
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(
        parsed in network
        for network in (ipaddress.ip_network(text) for text in networks if not network_problem(text))
        if network.version == parsed.version
    )
