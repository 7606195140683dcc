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
                               "metrics": {"ports": {name: port} of what provides metrics, with observability,
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
from typing import Any, Callable

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
    check_broker,
    uses_own_broker,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.bundles import check_bundles
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.disks import (
    check_disks,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.environment import (
    check_environment,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.firewall import check_firewall
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.foreign import check_foreign
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.ingress import (
    check_front,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.interpreter import (
    check_interpreter,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.kinds import shown
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.machines import check_probes
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.meaning import check_meaning
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.metastore import (
    check_metastore,
    uses_own_metastore,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.names import check_names
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.observability import (
    OBSERVABILITY_PORTS,
    check_observability,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.ports import PORTS, check_ports
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import (
    Problems,
    hosts_of,
    known_hosts,
    values_of,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.release import check_release
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.sandbox import check_sandbox
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secret_inputs import (
    check_secret_inputs,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import (
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

# RFC 5280: ub-common-name.
LONGEST_COMMON_NAME = 64

MUST_HAVE_HOSTS = ("airflow_master", "airflow_worker")

# Variables whose types are checked together with what they mean, in plainer words.
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
                fix = f"make one with `{secret.command}` and put it into {where}"
                problems.add(f"{name} {reason} on {{hosts}}: {fix}", host)
        digests = cluster.get("fingerprints", {}).get(name, {})
        digests = {host: digests[host] for host in needed_on if host in digests}
        if len(set(digests.values())) > 1:
            usual = Counter(digests.values()).most_common(1)[0][0]
            others = [host for host, digest in digests.items() if digest != usual]
            problems.add(
                f"{name} on {{hosts}} is not the one of the other hosts: set it once, in {where}", *others
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
