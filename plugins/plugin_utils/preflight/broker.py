# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the broker that an inventory asks for. Pure functions, see `preflight`."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from ansible_collections.airflowops.cluster.plugins.module_utils.redis.model import (
    BUS_OFFSET,
    MINIMUM_MASTERS,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import (
    HIGHEST_PORT,
    Problems,
    as_integer,
    count,
    hosts_of,
    known_hosts,
    values_of,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import is_placeholder

# What Celery accepts in airflow_broker_url.
SCHEMES = ("redis", "rediss", "sentinel", "amqp", "amqps", "pyamqp", "sqs")
# The packages of kombu[sqs] that kombu itself does not need.
OF_SQS = ("boto3", "urllib3")


# --- Which broker


def broker_url_problem(url: Any) -> str:
    """What is wrong with `airflow_broker_url`, in words without its password; empty if nothing is."""
    if not isinstance(url, str):
        return "is no text"
    if not url:
        return ""
    if url != url.strip() or "{{" in url:
        return "has blanks around it or a template that was not rendered"
    try:
        # Sentinels stand in it one after the other, with semicolons between them.
        first = urlsplit(url.split(";", maxsplit=1)[0])
        _ = first.port
    except ValueError:
        return "has no valid port, or its password holds a character that must be quoted, as / by %2F"
    scheme = first.scheme.lower()
    if scheme not in SCHEMES:
        return f"begins with {scheme or 'no scheme'}, not with one of {', '.join(SCHEMES)} and ://"
    if not first.hostname and scheme != "sqs":
        return "names no host"
    if first.password and scheme != "sqs" and is_placeholder(first.password):
        return "holds a placeholder as password"
    return ""


def uses_own_broker(cluster: dict[str, Any]) -> bool:
    """Whether some host is to use our Redis Cluster, as is usual."""
    brokers = [entry["broker"]["own"] for entry in cluster["hosts"].values() if entry.get("broker")]
    return not brokers or any(brokers)


def check_broker(cluster: dict[str, Any], problems: Problems) -> None:
    brokers = {host: entry["broker"] for host, entry in cluster["hosts"].items() if entry.get("broker")}
    for host, broker in brokers.items():
        if broker["problem"]:
            problems.add(
                f"airflow_broker_url {broker['problem']} on {{hosts}}: write it as Celery wants it, for "
                "example amqp://USER:PASSWORD@HOST:5672/VHOST",
                host,
            )
        elif broker.get("unusable"):
            problems.add(
                f"airflow_broker_url cannot be used from {{hosts}}: {broker['unusable']}. Correct it, or let "
                "the server accept these hosts",
                host,
            )
    others = sorted(host for host, broker in brokers.items() if not broker["own"])
    group = cluster["roles"]["redis_cluster"]["group"]
    members = hosts_of(cluster, "redis_cluster")
    if others and len(others) < len(brokers):
        problems.add("airflow_broker_url is set on {hosts} alone: set it once, for all hosts", *others)
    elif others and members:
        problems.add(
            f"airflow_broker_url names another broker, but the group {group} has hosts ({{hosts}}): empty "
            "the group, or remove airflow_broker_url to use its Redis Cluster",
            *members,
        )
    elif not others and not members:
        problems.add(
            f"The group {group} has no host: put one into it, name another group in redis_cluster_group, or "
            "another broker in airflow_broker_url"
        )
    for host in others:
        options = values_of(cluster, host).get("airflow_broker_transport_options")
        if brokers[host].get("scheme") == "sentinel" and "master_name" not in (options or {}):
            problems.add(
                "airflow_broker_transport_options has no master_name on {hosts}, which Redis Sentinel needs: "
                "set it to the name that the sentinels know the master by, as in {master_name: mymaster}",
                host,
            )
    check_sqs(cluster, [host for host in others if brokers[host].get("scheme") == "sqs"], problems)
    check_redis(cluster, problems)
    check_flavor(cluster, problems)
    check_tls(cluster, problems)


def check_sqs(cluster: dict[str, Any], hosts: list[str], problems: Problems) -> None:
    """What kombu[sqs] brings, and what SQS cannot do."""
    for host in hosts:
        release = cluster["hosts"][host].get("release") or {}
        lacking = sorted({*OF_SQS} - {*release.get("packages", OF_SQS)})
        if lacking:
            problems.add(
                f"airflow_broker_url begins with sqs on {{hosts}}, which needs {' and '.join(lacking)}, and "
                f"nothing in {release.get('lock_file')} has it: add kombu[sqs] to airflow_lock_file",
                host,
            )
    flower = hosts_of(cluster, "flower")
    if hosts and flower:
        problems.add(
            "airflow_broker_url begins with sqs, with which Flower and remote control do not work: "
            f"empty the group {cluster['roles']['flower']['group']} ({{hosts}})",
            *flower,
        )


def check_flavor(cluster: dict[str, Any], problems: Problems) -> None:
    for host in known_hosts(cluster, "redis_cluster"):
        flavor = values_of(cluster, host).get("redis_cluster_flavor", "redis")
        system = (cluster["hosts"][host].get("probe") or {}).get("os", {})
        if flavor == "valkey" and (system.get("id"), system.get("version")) == ("debian", "12"):
            problems.add(
                "redis_cluster_flavor is valkey on {hosts}, but Debian 12 has no Valkey: use redis there, or "
                "Debian 13",
                host,
            )


def check_tls(cluster: dict[str, Any], problems: Problems) -> None:
    hosts = known_hosts(cluster, "redis_cluster")
    settings = {str(values_of(cluster, host).get("redis_cluster_tls", False)).lower() for host in hosts}
    if len(settings) > 1:
        problems.add(
            "redis_cluster_tls differs between {hosts}, but nodes with and without TLS do not understand one "
            "another: set it once, for all hosts",
            *hosts,
        )
    for host in hosts:
        given = cluster["hosts"][host].get("certificate") or []
        lacking = sorted({"certificate", "private_key", "ca"} - {*given})
        if given and lacking:
            names = " and ".join(f"redis_cluster_tls_{name}" for name in lacking)
            problems.add(
                f"{names} is missing on {{hosts}}: give certificate, private key and CA together, or none of "
                "them, to have them made",
                host,
            )


# --- Our Redis Cluster


def redis_ports(cluster: dict[str, Any], host: str) -> list[int] | None:
    """The ports of a host's Redis nodes, or none where they are not a list of whole numbers."""
    value = values_of(cluster, host).get("redis_cluster_ports")
    if not isinstance(value, list):
        return None
    ports = [as_integer(port) for port in value]
    return None if None in ports else [port for port in ports if port is not None]


def check_redis(cluster: dict[str, Any], problems: Problems) -> None:
    hosts = hosts_of(cluster, "redis_cluster")
    nodes: dict[str, int] = {}
    replicas = set()
    for host in known_hosts(cluster, "redis_cluster"):
        ports = redis_ports(cluster, host)
        if not ports:
            problems.add(
                "redis_cluster_ports is no list of ports on {hosts}: use one like [7000, 7001]", host
            )
        else:
            nodes[host] = len(set(ports))
        for port in ports or []:
            if not 1 <= port <= HIGHEST_PORT - BUS_OFFSET:
                problems.add(
                    f"redis_cluster_ports has {port} on {{hosts}}: use ports from 1 to "
                    f"{HIGHEST_PORT - BUS_OFFSET}, for the cluster bus of each is {BUS_OFFSET} above it",
                    host,
                )
        number = as_integer(values_of(cluster, host).get("redis_cluster_replicas_per_master"))
        if number is None or number < 0:
            number = None
            problems.add(
                "redis_cluster_replicas_per_master is no whole number on {hosts}: set it to 0 or more", host
            )
        replicas.add(number)
    if len(replicas) > 1:
        problems.add(
            "redis_cluster_replicas_per_master differs between {hosts}: set it once for their group", *hosts
        )
    elif replicas and None not in replicas and len(nodes) == len(hosts):
        check_redis_shape(nodes, replicas.pop() or 0, problems)


def check_redis_shape(nodes: dict[str, int], replicas: int, problems: Problems) -> None:
    """Whether so many nodes on each host make a cluster which, with replicas, can lose any one host."""
    total = sum(nodes.values())
    shard = replicas + 1
    masters = total // shard
    have = f"The Redis Cluster has {count(total, 'node')} on {count(len(nodes), 'host')} ({{hosts}})"
    with_replicas = f"with {count(replicas, 'replica')} for each master"
    enough_hosts = max(MINIMUM_MASTERS, shard)
    hosts_lack = bool(replicas) and len(nodes) < enough_hosts
    if hosts_lack:
        problems.add(
            f"{have} {with_replicas}, which cannot be placed so that any host may be lost: use at least "
            f"{enough_hosts} hosts, or set redis_cluster_replicas_per_master to 0 and live without a spare",
            *nodes,
        )
    if masters < MINIMUM_MASTERS and (total < MINIMUM_MASTERS or not hosts_lack):
        needed = count(MINIMUM_MASTERS * shard, "node")
        needed += f" {with_replicas}" if replicas else ""
        problems.add(
            f"{have}, but at least {MINIMUM_MASTERS} masters are needed, that is {needed}: "
            "add hosts to the group or ports to redis_cluster_ports",
            *nodes,
        )
    if not replicas or hosts_lack or masters < MINIMUM_MASTERS:
        return
    fix = "give every host as many redis_cluster_ports as the others, or use more hosts"
    # Fewer than half: what is left must be a majority, or no replica is promoted.
    masters_per_host = (masters - 1) // 2
    if sum(min(number, masters_per_host) for number in nodes.values()) < masters:
        problems.add(
            f"{have}, of which {masters} are masters, and one host would hold half of these or more, "
            f"so that its loss would stop the cluster: {fix}, for example 2 or 4 ports on each of 3 hosts",
            *nodes,
        )
    elif sum(min(number, masters) for number in nodes.values()) < masters * shard:
        problems.add(
            f"{have} {with_replicas}, too many of them on one host to keep every replica off "
            f"its master's host: {fix}",
            *nodes,
        )
