# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services on a host that serve somebody else: they are not taken over unless that is asked for."""

from __future__ import annotations

from typing import Any

from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.metastore import (
    uses_own_metastore,
    uses_patroni,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import (
    Problems,
    as_integer,
    known_hosts,
    listing,
    values_of,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import RUNS_AIRFLOW

# As the role postgres_metastore expects them.
POSTGRESQL_VERSIONS = {("debian", "12"): "15", ("debian", "13"): "17", ("ubuntu", "24.04"): "16"}
NAMES = {
    "airflow": "Airflow",
    "etcd": "etcd",
    "haproxy": "HAProxy",
    "nginx": "nginx",
    "patroni": "Patroni",
    "postgresql": "PostgreSQL",
    "prometheus": "Prometheus",
}


def users_of(cluster: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Which roles bring which of the services."""
    own = ("postgres_metastore",) if uses_own_metastore(cluster) else ()
    many = own if uses_patroni(cluster) else ()
    return {
        "airflow": (*RUNS_AIRFLOW, "flower"),
        "etcd": many,
        "haproxy": (*RUNS_AIRFLOW, "flower", "nginx_lb"),
        "nginx": ("nginx_lb",),
        "patroni": many,
        "postgresql": own,
        "prometheus": ("observability",),
    }


def check_foreign(cluster: dict[str, Any], problems: Problems) -> None:
    for service, roles in users_of(cluster).items():
        for host in known_hosts(cluster, *roles):
            probe = cluster["hosts"][host].get("probe") or {}
            accepted = values_of(cluster, host).get("preflight_takeover")
            if isinstance(accepted, list) and service in accepted:
                continue
            paths = (
                postgresql_data(probe) if service == "postgresql" else probe.get("foreign", {}).get(service)
            )
            if paths:
                problems.add(
                    f"{NAMES[service]} on {{hosts}} serves something else already ({listing(paths)}), which "
                    f"this run would end: use another host, or remove it; or, if nobody needs it any more, "
                    f"set preflight_takeover: [{service}]",
                    host,
                )
    for host in known_hosts(cluster, *users_of(cluster)["postgresql"]):
        check_postgresql_port(cluster, host, problems)
        check_postgresql_version(cluster, host, problems)


def expected_version(probe: dict[str, Any]) -> str:
    system = probe.get("os", {})
    return POSTGRESQL_VERSIONS.get((system.get("id"), system.get("version")), "")


def postgresql_data(probe: dict[str, Any]) -> list[str]:
    """The data of a server that would become the metastore's: one that holds databases, and is not ours."""
    return [
        found["data"]
        for found in probe.get("postgresql_clusters", [])
        if (found["version"], found["name"]) == (expected_version(probe), "main")
        and found["databases"]
        and not found["ours"]
    ]


def check_postgresql_port(cluster: dict[str, Any], host: str, problems: Problems) -> None:
    """Another database cluster of the same machine: it counts among the units of ours by its name."""
    probe = cluster["hosts"][host].get("probe") or {}
    version = expected_version(probe)
    port = as_integer(values_of(cluster, host).get("postgres_metastore_port"))
    others = {
        entry["unit"]
        for entry in probe.get("listening") or []
        if version
        and entry["port"] == port
        and (entry.get("unit") or "").startswith("postgresql@")
        and entry["unit"] != f"postgresql@{version}-main.service"
    }
    for unit in others:
        problems.add(
            f"Port {port} of postgres_metastore_port is taken on {{hosts}} by another PostgreSQL ({unit}): "
            "stop that one, or choose another port",
            host,
        )


def check_postgresql_version(cluster: dict[str, Any], host: str, problems: Problems) -> None:
    """The package `postgresql` of PostgreSQL's own repository is the newest version."""
    probe = cluster["hosts"][host].get("probe") or {}
    package, expected = probe.get("postgresql_package") or {}, expected_version(probe)
    ours = any(
        found["ours"] and found["version"] == expected for found in probe.get("postgresql_clusters", [])
    )
    version = package.get("version", "")
    if not expected or ours or version == expected:
        return
    pin = (
        "in /etc/apt/preferences.d/postgresql put the three lines `Package: *`, "
        "`Pin: release o=apt.postgresql.org`, `Pin-Priority: 100`"
    )
    if version:
        source = f" by {listing(package['sources'])}" if package["sources"] else ""
        problems.add(
            f"The package postgresql on {{hosts}} is version {version}{source}, and the metastore needs that "
            f"of the distribution, {expected}: {pin}, remove what is installed of version {version}, and run "
            "`apt update`; or remove the repository",
            host,
        )
    elif package.get("sources"):
        problems.add(
            f"{listing(package['sources'])} on {{hosts}} names PostgreSQL's own repository, whose versions "
            f"are other ones than the {expected} that the metastore needs, and apt has no lists yet: {pin}, "
            "and run `apt update`; or remove the repository",
            host,
        )
