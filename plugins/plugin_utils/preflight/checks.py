# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with an inventory: pure functions from a description of the cluster to a list of sentences.

The description is a dictionary::

    roles:             {role: {"group": the group's name, "hosts": [...]}} for each role that is a group
    inventory_groups:  {group: [hosts]}, every group of the inventory
    known_variables:   {variable: its option in the argument spec of a role}
    fingerprints:      {secret: {host: digest}}, equal where the secret is
    hosts:             {host: {"values": {variable: effective value},
                               "given": {variable: value that the inventory or the command line gives it},
                               "authority": what the controller has as the collection's CA, see `authority`,
                               "broker": {"own": whether it is our Redis Cluster,
                                          "problem": what is wrong with airflow_broker_url,
                                          "unusable": what broker_probe found},
                               "bundles": what is wrong with airflow_dag_bundles, without secrets,
                               "dags_path": airflow_dags_path, where the controller has no such folder,
                               "remote_logs": what is wrong with airflow_remote_logs, without secrets,
                               "secrets_backend": what is wrong with airflow_secrets_backend, likewise,
                               "bundle_servers": {server: why it could not be reached, empty if it was},
                               "database": {variable: what postgres_probe found}, with airflow_database_url,
                               "certificate": which of "certificate", "private_key", "ca" are given,
                               "front": what is known of nginx' HTTPS and address, see `preflight_front`,
                               "unknown_variables": [names with our prefix that no role knows],
                               "secrets": {secret: what is wrong with it, empty if nothing},
                               "release": {"wanted", "in_use": versions of Airflow, "change": "upgrade" or
                                           "rollback" in the playbooks for it, "lock_file", "lock_there",
                                           "packages": the names of those in it, in lower case with dashes,
                                           "needs": [(variable, class of a provider that it asks for)]},
                               "figures": {"ports": {name: port} of what tells figures, with observability,
                                           "problems": what is wrong with its inputs},
                               "resolved": {"addresses": what cluster_address resolves to on the
                                            controller, "error": why it does not},
                               "probe": what host_probe returned}}

``hosts`` holds the hosts of this run only. With ``--limit`` it lacks some, and what needs all is not judged.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from fnmatch import fnmatch
from functools import partial
from typing import Any, Callable, Iterable

from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight import kinds
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.airflow_config import (
    check_airflow_config,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.airflow_options import (
    check_options,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.auth import check_auth
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.authority import check_authority
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.broker import (
    BUS_OFFSET,
    check_broker,
    redis_ports,
    uses_own_broker,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.bundles import check_bundles
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.disks import (
    check_disks,
    installed,
    release_on_root,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.environment import (
    check_environment,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.firewall import check_firewall
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.foreign import check_foreign
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.ingress import (
    HTTPS_PORT,
    check_front,
    uses_https,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.interpreter import (
    check_interpreter,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.kinds import shown
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.meaning import check_meaning
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.metastore import (
    PATRONI_PORTS,
    check_metastore,
    uses_own_metastore,
    uses_patroni,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.names import check_names
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.observability import (
    OBSERVABILITY_PORTS,
    check_observability,
    figure_ports,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import (
    HIGHEST_PORT,
    Problems,
    as_integer,
    hosts_of,
    known_hosts,
    listing,
    setting,
    values_of,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.release import check_release
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.sandbox import check_sandbox
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secret_inputs import (
    check_secret_inputs,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import (
    RUNS_AIRFLOW,
    SECRETS,
    SECRETS_FILE,
    unset,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.server_settings import (
    check_server_settings,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.structure import check_types
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.templates import check_templates
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.users import check_users
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.variables import (
    accepted_names,
    check_variables,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.workers import (
    check_queues,
    check_workers,
)

MIB = 1024 * 1024
# RFC 5280: ub-common-name.
LONGEST_COMMON_NAME = 64
# A machine's kernel keeps some of the memory that is built in; a machine sold as 2 GiB shows 1.8 to 1.95.
MEMORY_KEPT_BY_KERNEL = 0.1
PYTHONS = ("3.11", "3.12", "3.13")
# Versions by the id in os-release.
SYSTEMS = {"debian": ("12", "13")}
# Written for, and not proven: only for who asks for it.
UNTESTED_SYSTEMS = {"ubuntu": ("24.04",), "almalinux": ("9",), "rocky": ("9",), "rhel": ("9",)}
# Their own Python is too old; a role installs another beside it.
ENTERPRISE_LINUX = ("almalinux", "rocky", "rhel")
SYSTEM_NAMES = "Debian 12 or 13"
OUR_UNITS = (
    "redis-cluster@*",
    "postgresql*",
    "patroni*",
    "etcd*",
    "airflow*",
    "flower*",
    "haproxy*",
    "service-endpoints*",
    "nginx*",
    "prometheus*",
    "collectd*",
)

MUST_HAVE_HOSTS = ("airflow_master", "airflow_worker")
# Flower asks the broker, so it needs the way to it as well.
USES_ENDPOINTS = (*RUNS_AIRFLOW, "flower")

# Which role listens on the port that a variable names. The ports of Redis are a list.
PORTS = {
    "postgres_metastore_port": ("postgres_metastore",),
    **{name: ("postgres_metastore",) for name in PATRONI_PORTS},
    "airflow_master_api_port": ("airflow_master",),
    "airflow_master_execution_port": ("airflow_master",),
    "airflow_master_scheduler_health_port": ("airflow_master",),
    "airflow_master_triggerer_log_port": ("airflow_master",),
    "airflow_worker_log_port": ("airflow_worker",),
    "service_endpoints_broker_port": USES_ENDPOINTS,
    "service_endpoints_metastore_port": USES_ENDPOINTS,
    "service_endpoints_execution_port": USES_ENDPOINTS,
    "flower_port": ("flower",),
    "nginx_lb_http_port": ("nginx_lb",),
    HTTPS_PORT: ("nginx_lb",),
}
# Variables whose types are judged together with what they mean, in plainer words.
JUDGED_BY_MEANING = {
    *PORTS,
    *OBSERVABILITY_PORTS,
    *SECRETS,
    "cluster_address",
    "redis_cluster_ports",
    "redis_cluster_replicas_per_master",
    "airflow_workers",
    "airflow_required_queues",
}


# --- Hosts and groups


def check_groups(cluster: dict[str, Any], problems: Problems) -> None:
    for role in MUST_HAVE_HOSTS:
        group = cluster["roles"][role]["group"]
        if not hosts_of(cluster, role):
            problems.add(
                f"The group {group} has no host: put one into it, or name another group in {role}_group"
            )


def check_group_names(cluster: dict[str, Any], problems: Problems) -> None:
    """Finds groups whose names are next to ours and whose hosts would silently be left out."""
    ours = {entry["group"]: set(entry["hosts"]) for entry in cluster["roles"].values()}
    accepted = accepted_names(cluster, "preflight_ignore_groups")
    for group, hosts in cluster["inventory_groups"].items():
        if group in ours or any(fnmatch(group, pattern) for pattern in accepted):
            continue
        for ours_name in difflib.get_close_matches(group, sorted(ours), n=1, cutoff=0.85):
            # airflow_worker_q1 is no typo, and neither is a group of hosts that are in ours as well.
            extended = re.search(rf"(^|[_-]){re.escape(ours_name)}([_-]|$)", group)
            left_out = set(hosts) - ours[ours_name]
            if left_out and not extended:
                problems.add(
                    f"The group {group} ({{hosts}}) looks like a misspelt {ours_name}: rename it, "
                    "or list it in preflight_ignore_groups",
                    *left_out,
                )


def check_addresses(cluster: dict[str, Any], problems: Problems) -> None:
    by_address: dict[str, list[str]] = {}
    several = len(hosts_of(cluster, *cluster["roles"])) > 1
    for host in known_hosts(cluster, *cluster["roles"]):
        address = values_of(cluster, host).get("cluster_address")
        if unset(address) or not isinstance(address, str):
            problems.add(
                "cluster_address has no value on {hosts}: set it to the address that the other hosts use",
                host,
            )
            continue
        problem = address_problem(address)
        if problem:
            problems.add(f"cluster_address is {shown(address)} on {{hosts}}, {problem}", host)
            continue
        by_address.setdefault(address, []).append(host)
        if several and (address in ("localhost", "::1", "0.0.0.0", "::") or address.startswith("127.")):
            problems.add(
                f"cluster_address is {address} on {{hosts}}, where other hosts cannot reach it: "
                "set it to the host's own address in the network of the cluster",
                host,
            )
    for address, hosts in by_address.items():
        if len(hosts) > 1:
            problems.add(
                f"cluster_address is {address} on {{hosts}} at once: give each host its own address, "
                "or name one machine once and put it into several groups",
                *hosts,
            )


def address_problem(address: str) -> str:
    """What of an address keeps the cluster from using it, and the fix."""
    # What is of the host itself is reported as that.
    if address in ("::1", "::"):
        return ""
    if ":" in address.strip("[]") and re.fullmatch(r"[0-9a-fA-F:.%\[\]]+", address):
        return "an IPv6 address, which is not supported yet: use an IPv4 address, or a name that has one"
    problem = kinds.address(address)
    return "which is no address or host name: set it to one, without a port" if problem else ""


def check_host_names(cluster: dict[str, Any], problems: Problems) -> None:
    """The name of a host becomes the common name of its certificate."""
    for host in known_hosts(cluster, *cluster["roles"]):
        if len(host) > LONGEST_COMMON_NAME:
            problems.add(
                f"The name of {{hosts}} has {len(host)} characters, and a certificate's common name at most "
                f"{LONGEST_COMMON_NAME}: name the host shorter in the inventory, and its address in "
                "ansible_host",
                host,
            )


# --- Secrets


def check_secrets(cluster: dict[str, Any], problems: Problems) -> None:
    where = f"{SECRETS_FILE}, encrypted with ansible-vault"
    needed = {
        name: secret
        for name, secret in SECRETS.items()
        if (not secret.own_broker or uses_own_broker(cluster))
        and (not secret.own_metastore or uses_own_metastore(cluster))
    }
    for name, secret in needed.items():
        needed_on = known_hosts(cluster, *secret.roles)
        for host in needed_on:
            reason = cluster["hosts"][host].get("secrets", {}).get(name, "is missing")
            if reason:
                mend = f"make one with `{secret.command}` and put it into {where}"
                problems.add(f"{name} {reason} on {{hosts}}: {mend}", host)
        digests = cluster.get("fingerprints", {}).get(name, {})
        digests = {host: digests[host] for host in needed_on if host in digests}
        if len(set(digests.values())) > 1:
            usual = Counter(digests.values()).most_common(1)[0][0]
            others = [host for host, digest in digests.items() if digest != usual]
            problems.add(
                f"{name} on {{hosts}} is not the one of the other hosts: set it once, in {where}", *others
            )


# --- Ports


def planned_ports(cluster: dict[str, Any], host: str, problems: Problems) -> list[tuple[int, str]]:
    """The ports that a host will listen on, each with the variable it comes from."""
    values = values_of(cluster, host)
    roles = {role for role in cluster["roles"] if host in hosts_of(cluster, role)}
    ports: list[tuple[int, str]] = []
    if "redis_cluster" in roles:
        for port in redis_ports(cluster, host) or []:
            ports += [
                (port, "redis_cluster_ports"),
                (port + BUS_OFFSET, "the cluster bus of redis_cluster_ports"),
            ]
    for name, users in PORTS.items():
        if (
            roles.intersection(users)
            and (name not in PATRONI_PORTS or uses_patroni(cluster))
            and (name != HTTPS_PORT or uses_https(cluster, host))
        ):
            ports += checked_port(name, values.get(name), host, problems)
    for name, value in figure_ports(cluster, host).items():
        ports += checked_port(name, value, host, problems)
    return ports


def checked_port(name: str, value: Any, host: str, problems: Problems) -> list[tuple[int, str]]:
    port = as_integer(value)
    if port is None or not 1 <= port <= HIGHEST_PORT:
        problems.add(f"{name} is not a port on {{hosts}}: set it to a number from 1 to {HIGHEST_PORT}", host)
        return []
    return [(port, name)]


def check_ports(cluster: dict[str, Any], problems: Problems) -> None:
    for host in known_hosts(cluster, *cluster["roles"]):
        users: dict[int, list[str]] = {}
        for port, name in planned_ports(cluster, host, problems):
            users.setdefault(port, []).append(name)
        for port, names in users.items():
            if len(names) > 1:
                twice = (
                    f"{names[0]} names it {len(names)} times"
                    if len(set(names)) == 1
                    else " and ".join(sorted(set(names)))
                )
                problems.add(
                    f"Port {port} is used twice on {{hosts}}, {twice}: choose another port for one of them",
                    host,
                )
        for port, owner in foreign_listeners(cluster["hosts"][host].get("probe"), users).items():
            problems.add(
                f"Port {port} of {users[port][0]} is taken on {{hosts}} by {owner}: "
                "stop that service, or choose another port",
                host,
            )


def foreign_listeners(probe: dict[str, Any] | None, ports: Iterable[int]) -> dict[int, str]:
    """Which of the ports are held by processes that no unit of ours has started."""
    # Without root's rights the owner of a socket cannot be seen: it may well be ours.
    if not probe or not probe.get("privileged"):
        return {}
    found = {}
    for entry in probe.get("listening") or []:
        unit = entry.get("unit") or ""
        if entry["port"] in ports and not any(fnmatch(unit, pattern) for pattern in OUR_UNITS):
            process = entry.get("process") or "a process that cannot be seen from this host"
            found[entry["port"]] = f"{process} ({unit})" if unit else process
    return found


# --- What was seen of the hosts


def check_probes(cluster: dict[str, Any], problems: Problems) -> None:
    probes = {host: entry["probe"] for host, entry in cluster["hosts"].items() if entry.get("probe")}
    for host, probe in probes.items():
        check_system(host, probe, problems, bool(values_of(cluster, host).get("preflight_allow_untested")))
    for host in known_hosts(cluster, *RUNS_AIRFLOW):
        if host in probes:
            check_memory(
                host, probes[host], setting(cluster, host, "preflight_min_memory_mib", 2048), problems
            )
            folders = probes[host].get("filesystems") or {}
            if release_on_root(folders) and not installed(cluster, host):
                check_disk(
                    host, probes[host], setting(cluster, host, "preflight_min_disk_mib", 2048), problems
                )
    if probes:
        limit = max(setting(cluster, host, "preflight_max_clock_offset", 5) for host in probes)
        check_clocks(probes, limit, problems)


def check_system(host: str, probe: dict[str, Any], problems: Problems, allow_untested: bool = False) -> None:
    system = probe["os"]
    version = system["version"]
    if system["id"] in ENTERPRISE_LINUX:
        version = version.partition(".")[0]
    untested = version in UNTESTED_SYSTEMS.get(system["id"], ())
    if version not in SYSTEMS.get(system["id"], ()) and not untested:
        problems.add(f"{system['name']} on {{hosts}} is not supported: use {SYSTEM_NAMES}", host)
    elif untested and not allow_untested:
        problems.add(
            f"{system['name']} on {{hosts}} is not supported yet, nobody has proven that it works: "
            f"use {SYSTEM_NAMES}, or set preflight_allow_untested: true to try it",
            host,
        )
    elif system["id"] not in ENTERPRISE_LINUX and not set(PYTHONS).intersection(probe["pythons"]):
        have = f"only Python {', '.join(probe['pythons'])}" if probe["pythons"] else "no Python 3"
        problems.add(
            f"There is {have} on {{hosts}}, but Airflow is installed for {', '.join(PYTHONS)}: "
            "install the distribution's package python3",
            host,
        )
    if not probe["systemd"]:
        problems.add(
            "systemd is not the init system of {hosts}: use hosts that boot it, it runs all services",
            host,
        )


def check_memory(host: str, probe: dict[str, Any], least: int, problems: Problems) -> None:
    total, limit = probe.get("memory_total"), probe.get("memory_limit")
    seen = [int(number / MIB) for number in (total, limit) if number is not None]
    short = (total is not None and total < least * MIB * (1 - MEMORY_KEPT_BY_KERNEL)) or (
        limit is not None and limit < least * MIB
    )
    if short:
        problems.add(
            f"Memory is {min(seen)} MiB on {{hosts}}, but a host that runs Airflow needs {least} MiB: "
            "give it more, or lower preflight_min_memory_mib at your own risk",
            host,
        )


def check_disk(host: str, probe: dict[str, Any], least: int, problems: Problems) -> None:
    free = probe.get("disk_free")
    if free is not None and free < least * MIB:
        problems.add(
            f"Free disk on / is {int(free / MIB)} MiB on {{hosts}}, but a host that runs Airflow needs "
            f"{least} MiB: free some, or lower preflight_min_disk_mib",
            host,
        )


def check_clocks(probes: dict[str, dict[str, Any]], limit: int, problems: Problems) -> None:
    """Compares the clocks with the controller's, and those that agree with it with one another."""
    mend = "run chrony or systemd-timesyncd on all hosts and the controller"
    ranges = {
        host: (
            probe["clock_offset"] - probe["clock_uncertainty"],
            probe["clock_offset"] + probe["clock_uncertainty"],
        )
        for host, probe in probes.items()
        if probe.get("clock_offset") is not None and probe.get("clock_uncertainty") is not None
    }
    off = [host for host, (least, most) in ranges.items() if least > limit or most < -limit]
    if off:
        offsets = listing(f"{host} by {probes[host]['clock_offset']:+.1f} s" for host in off)
        problems.add(f"Clocks are more than {limit} s apart from the controller's, {offsets}: {mend}")
    rest = [host for host in sorted(ranges) if host not in off]
    if rest:
        ahead = max(rest, key=lambda host: ranges[host][0])
        behind = min(rest, key=lambda host: ranges[host][1])
        apart = probes[ahead]["clock_offset"] - probes[behind]["clock_offset"]
        if ranges[ahead][0] - ranges[behind][1] > limit:
            problems.add(
                f"The clocks of {ahead} and {behind} are {apart:.1f} s apart, more than {limit} s: {mend}"
            )


CHECKS: tuple[Callable[[dict[str, Any], Problems], Any], ...] = (
    check_groups,
    check_group_names,
    check_addresses,
    check_names,
    check_host_names,
    check_variables,
    partial(check_types, judged_elsewhere=JUDGED_BY_MEANING),
    check_templates,
    check_meaning,
    check_airflow_config,
    check_server_settings,
    check_secrets,
    check_secret_inputs,
    check_auth,
    check_authority,
    check_broker,
    check_bundles,
    check_options,
    check_environment,
    check_metastore,
    check_front,
    check_observability,
    lambda cluster, problems: check_queues(cluster, check_workers(cluster, problems), problems),
    check_ports,
    check_firewall,
    check_probes,
    check_interpreter,
    check_sandbox,
    check_users,
    check_foreign,
    check_disks,
    check_release,
)


def find_problems(cluster: dict[str, Any]) -> list[str]:
    """Every problem of the cluster that the description shows, one sentence each, sorted."""
    problems = Problems(cluster["hosts"])
    for check in CHECKS:
        check(cluster, problems)
    return problems.sentences()
