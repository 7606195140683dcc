# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of the distributions' packages, by role. Pure functions."""

from __future__ import annotations

from typing import Any, Collection, Mapping

# What keeps the clock: {family of distributions: (package, service)}, and all that do.
TIME_SERVICES = {"Debian": ("systemd-timesyncd", "systemd-timesyncd"), "RedHat": ("chrony", "chronyd")}
CLOCKS = {"chrony", "ntpsec", "openntpd", "systemd-timesyncd"}
# Exporters of the services of a host. Airflow's metrics come by StatsD, which collectd understands.
EXPORTERS = {
    "redis_cluster": ["prometheus-redis-exporter"],
    "postgres_metastore": ["prometheus-postgres-exporter"],
    "nginx_lb": ["prometheus-nginx-exporter"],
}


def role_packages(family: str, host: Mapping[str, Any]) -> dict[str, list[str]]:
    """{role: its packages} on a distribution of this family.

    host: flavor (redis or valkey), roles, many_metastores, git (whether DAGs come from repositories), ldap,
    front_tls, floating, monitors, and old_time (Debian 12, which is from before the names with t64).
    """
    flavor = host["flavor"]
    nginx = ["nginx", "logrotate"]
    # With HTTPS or a virtual IP nginx is checked with curl.
    nginx += ["curl"] if host["front_tls"] or host["floating"] else []
    nginx += ["keepalived"] if host["floating"] else []
    common = {
        "service_endpoints": ["haproxy"],
        "nginx_lb": nginx,
        "certificates": ["python3-cryptography"],
        "postgres_client": ["python3-psycopg2"],
        "firewall": ["nftables"],
    }
    if family == "RedHat":
        git = ["git-core", "openssh-clients"] if host["git"] else []
        return {
            **common,
            "redis_cluster": [flavor, "python3-redis"],
            "postgres_metastore": ["postgresql-server", "python3-psycopg2", "acl", "logrotate"],
            "airflow_common": ["python3.11", "python3.11-pip", "rsync", *git],
        }
    git = ["git", "openssh-client"] if host["git"] else []
    ldap = ["python3-ldap"] if host["ldap"] and "airflow_master" in host["roles"] else []
    patroni = ["patroni", "python3-etcd"] if host["many_metastores"] else []
    return {
        **common,
        "redis_cluster": [f"{flavor}-server", f"{flavor}-tools", "python3-redis"],
        "postgres_metastore": ["postgresql", "python3-psycopg2", "acl", "pgbackrest", "logrotate", *patroni],
        "etcd": ["etcd-server", "etcd-client"],
        "airflow_common": ["python3-pip-whl", "rsync", *git, *ldap],
        "observability": exporter_packages(host),
    }


def exporter_packages(host: Mapping[str, Any]) -> list[str]:
    names = ["prometheus-node-exporter", "prometheus-exporter-exporter", "dbus"]
    names += [name for role, packages in EXPORTERS.items() if role in host["roles"] for name in packages]
    if "airflow_common" in host["roles"]:
        names += ["collectd-core", f"libmicrohttpd12{'' if host['old_time'] else 't64'}", "libprotobuf-c1"]
    return names + (["prometheus", "prometheus-alertmanager"] if host["monitors"] else [])


def time_packages(family: str, installed: Collection[str]) -> list[str]:
    """The package that keeps the clock, where nothing does."""
    return [] if CLOCKS & {*installed} else [TIME_SERVICES[family][0]]


def time_service(family: str) -> str:
    return TIME_SERVICES[family][1]


def package_names(
    roles: Collection[str], family: str, host: Mapping[str, Any], more: Collection[str] = ()
) -> list[str]:
    """The packages of the roles, and more, each once and in order."""
    names = role_packages(family, host)
    return sorted({*more, *(name for role in roles for name in names.get(role, []))})
