# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the metastore's hosts. The cluster's description is that of `preflight`."""

from __future__ import annotations

from typing import Any

from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight import option_data
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.kinds import database_url
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import (
    Problems,
    as_integer,
    count,
    hosts_of,
    known_hosts,
    values_of,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.workers import most_slots

# Used where three or more hosts keep the metastore.
PATRONI_PORTS = ("postgres_metastore_patroni_port", "etcd_client_port", "etcd_peer_port")
# Distributions that ship Patroni and etcd, by the id in os-release.
WITH_PATRONI = ("debian", "ubuntu")

# https://airflow.apache.org/docs/apache-airflow/3.3.2/installation/prerequisites.html
OLDEST_POSTGRESQL = 13
MAX_CONNECTIONS = 400
LEAST_CONNECTIONS = 20
# https://airflow.apache.org/docs/apache-airflow/3.3.2/configurations-ref.html#database: of each pool.
POOL_SIZE, MAX_OVERFLOW = 5, 10
# Pools of a master. API server and execution API have one for each process, and as many for asynchronous
# requests.
POOLS_OF_API_WORKER, POOLS_OF_THE_REST = 2, 3
API_WORKERS = ("airflow_master_api_workers", "airflow_master_execution_workers")
# What each scheduler asks of Celery's results, by processes of its own: [celery] sync_parallelism.
RESULTS_OF_MASTER = 8
# Superusers' own, replicas and backups, a monitor.
KEPT_FREE = 15


def external(cluster: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """{host: {variable: what postgres_probe found}} of the hosts that are to use a database of the user's."""
    return {host: entry["database"] for host, entry in cluster["hosts"].items() if entry.get("database")}


def uses_own_metastore(cluster: dict[str, Any]) -> bool:
    """Whether some host is to use our PostgreSQL, as is usual."""
    runs_airflow = known_hosts(cluster, "airflow_master", "airflow_worker")
    return not runs_airflow or any(host not in external(cluster) for host in runs_airflow)


def check_external(cluster: dict[str, Any], problems: Problems) -> None:
    group = cluster["roles"]["postgres_metastore"]["group"]
    members = hosts_of(cluster, "postgres_metastore")
    others = external(cluster)
    if not others and not members:
        problems.add(
            f"The group {group} has no host: put one into it, name another group in "
            "postgres_metastore_group, or a database in airflow_database_url"
        )
    if others and members:
        problems.add(
            f"airflow_database_url names a database, but the group {group} has hosts ({{hosts}}): empty the "
            "group, or remove airflow_database_url to use its PostgreSQL",
            *members,
        )
    elif others and uses_own_metastore(cluster):
        problems.add("airflow_database_url is set on {hosts} alone: set it once, for all hosts", *others)
    for host, found in others.items():
        for name, server in found.items():
            # A URL that is none is judged by its meaning.
            if not database_url(given(cluster, host, name)):
                check_server(host, name, server, problems)


def check_server(host: str, name: str, server: dict[str, Any], problems: Problems) -> None:
    if server.get("problem"):
        problems.add(
            f"{name} cannot be used from {{hosts}}: {server['problem']}. Correct it, or let the server "
            "accept these hosts",
            host,
        )
        return
    version = server["server_version"]
    if not version:  # Without psycopg2 nothing is known of it yet: see roles/preflight/tasks/driver.yml.
        return
    major = as_integer(version.split(".")[0])
    if major is None or major < OLDEST_POSTGRESQL:
        problems.add(
            f"{name} leads to PostgreSQL {version}, which Airflow 3 does not support: upgrade it to "
            f"{OLDEST_POSTGRESQL} or later, or name another server"
        )
    if server["read_only"]:
        problems.add(
            f"{name} leads to {server['server']}, which only reads: name the primary, or add "
            "target_session_attrs=read-write and all servers"
        )


def check_revision(cluster: dict[str, Any], problems: Problems) -> None:
    """A new installation must not migrate the metastore of another one."""
    hosts = known_hosts(cluster, "airflow_master")
    if any((cluster["hosts"][host].get("release") or {}).get("in_use") for host in hosts):
        return
    for host in hosts:
        entry = cluster["hosts"][host]
        release = entry.get("release") or {}
        revision = ((entry.get("database") or {}).get("airflow_database_url") or {}).get("revision")
        data = option_data.load("airflow", str(release.get("wanted")))
        if not revision or not data or release.get("change") or revision == data["revision"]:
            continue
        version = data["revisions"].get(revision)
        whose = (
            f"Airflow {version} or a version near it"
            if version
            else f"a version that Airflow {data['airflow']} does not know (revision {revision})"
        )
        problems.add(
            f"airflow_database_url on {{hosts}} leads to a database with the tables of {whose}, which "
            "another installation may use, and a run would migrate them: name an empty database. To take "
            "this one over, stop that installation, back the database up, and bring it to Airflow "
            f"{data['airflow']} with its own `airflow db migrate` first",
            host,
        )


def uses_patroni(cluster: dict[str, Any]) -> bool:
    return len(hosts_of(cluster, "postgres_metastore")) > 1


def given(cluster: dict[str, Any], host: str, name: str) -> Any:
    entry = cluster["hosts"][host]
    return {**entry.get("values", {}), **entry.get("given", {})}.get(name)


def pool_connections(cluster: dict[str, Any], host: str) -> int:
    """How many connections a pool opens at most. Less than nothing is SQLAlchemy's word for no limit."""
    config = given(cluster, host, "airflow_config")
    section = config.get("database") if isinstance(config, dict) else None
    options = section if isinstance(section, dict) else {}
    size = as_integer(options.get("sql_alchemy_pool_size"))
    overflow = as_integer(options.get("sql_alchemy_max_overflow"))
    return (POOL_SIZE if size is None else size) + (MAX_OVERFLOW if overflow is None else overflow)


def connections(cluster: dict[str, Any]) -> dict[str, int]:
    """The most connections that masters and workers open, of the hosts in this run."""
    masters = 0
    for host in known_hosts(cluster, "airflow_master"):
        api_workers = sum(as_integer(given(cluster, host, name)) or 1 for name in API_WORKERS)
        pools = api_workers * POOLS_OF_API_WORKER + POOLS_OF_THE_REST
        masters += pools * pool_connections(cluster, host) + RESULTS_OF_MASTER
    workers = 0
    for host in known_hosts(cluster, "airflow_worker"):
        listed = values_of(cluster, host).get("airflow_workers")
        for worker in listed if isinstance(listed, list) else []:
            # Each slot, and the worker itself.
            workers += most_slots(worker) + 1
    return {"masters": masters, "workers": workers}


def check_connections(cluster: dict[str, Any], problems: Problems) -> None:
    hosts = known_hosts(cluster, "postgres_metastore")
    wanted = connections(cluster)
    total = sum(wanted.values()) + KEPT_FREE
    masters = count(len(known_hosts(cluster, "airflow_master")), "master")
    for host in hosts:
        limit = as_integer(given(cluster, host, "postgres_metastore_max_connections"))
        limit = MAX_CONNECTIONS if limit is None else limit
        # Below that, its meaning is judged.
        if LEAST_CONNECTIONS <= limit < total:
            problems.add(
                f"postgres_metastore_max_connections is {limit} on {{hosts}}, but up to {total} connections "
                f"may be open: {wanted['masters']} of {masters}, {wanted['workers']} of the workers and "
                f"their slots, {KEPT_FREE} kept free. Set it to {total} or more, or lower "
                "sql_alchemy_max_overflow in the section database of airflow_config",
                host,
            )


def check_metastore(cluster: dict[str, Any], problems: Problems) -> None:
    check_external(cluster, problems)
    check_revision(cluster, problems)
    check_connections(cluster, problems)
    hosts = hosts_of(cluster, "postgres_metastore")
    group = cluster["roles"]["postgres_metastore"]["group"]
    if len(hosts) == 2:
        problems.add(
            f"The group {group} has 2 hosts ({{hosts}}): two have no majority, so neither could take over "
            "from the other. Put a third host into the group, or leave one in it",
            *hosts,
        )
    for host in known_hosts(cluster, "postgres_metastore"):
        backup_host = given(cluster, host, "postgres_metastore_backup_host")
        if backup_host and backup_host not in hosts:
            problems.add(
                f"postgres_metastore_backup_host is {backup_host}, which is no host of the group {group}: "
                "name one of them, or leave it empty for the first"
            )
        probe = cluster["hosts"][host].get("probe") or {}
        if len(hosts) > 1 and (probe.get("os") or {}).get("id", "debian") not in WITH_PATRONI:
            problems.add(
                f"The group {group} has several hosts, and the distribution of {{hosts}} ships neither "
                "Patroni nor etcd: use Debian or Ubuntu there, or leave one host in the group",
                host,
            )
        if len(hosts) == 1 and "patroni" in (probe.get("packages") or []):
            problems.add(
                f"{{hosts}} is alone in the group {group}, and was one of several that Patroni runs: keep "
                "three hosts in the group, as its data cannot go back to a PostgreSQL without Patroni yet",
                host,
            )
