# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metastore's hosts, and a database of the user."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.checks import (
    find_problems,
)
from clusters import MULTI_NODE, Cluster, make_cluster, only, put

# --- Groups


def with_metastores(count: int, **values: Any) -> Cluster:
    hosts = [f"db{number}" for number in range(1, count + 1)]
    return make_cluster({**MULTI_NODE, "postgres_metastore": hosts}, **values)


def test_two_metastores() -> None:
    problem = only(with_metastores(2))
    assert "has 2 hosts (db1, db2)" in problem
    assert "no majority" in problem


@pytest.mark.parametrize("count", [1, 3, 4, 5])
def test_number_of_metastores(count: int) -> None:
    assert find_problems(with_metastores(count)) == []


def test_more_connections_than_postgresql_accepts() -> None:
    cluster = with_metastores(1)
    for host in ("worker1", "worker2", "worker3"):
        cluster["hosts"][host]["values"]["airflow_workers"] = [
            {"name": "big", "queues": ["default"], "concurrency": 60}
        ]
    problem = only(cluster)
    # Two masters: (2 + 2 + 3) pools of 15, and 8; three workers of 60 slots and themselves.
    assert problem.startswith(
        "postgres_metastore_max_connections is 400 on db1, but up to 424 connections may be open: "
        "226 of 2 masters, 183 of the workers and their slots, 15 kept free. Set it to 424 or more"
    )
    cluster["hosts"]["db1"]["given"] = {"postgres_metastore_max_connections": "424"}
    assert find_problems(cluster) == []


def test_backups_on_a_host_that_has_no_metastore() -> None:
    cluster = with_metastores(3)
    for host in ("db1", "db2", "db3"):
        cluster["hosts"][host]["given"] = {"postgres_metastore_backup_host": "backup1"}
    assert only(cluster).startswith(
        "postgres_metastore_backup_host is backup1, which is no host of the group"
    )
    for host in ("db1", "db2", "db3"):
        cluster["hosts"][host]["given"] = {"postgres_metastore_backup_host": "db2"}
    assert find_problems(cluster) == []


GOOD_SERVER = {"problem": "", "server": "db:5432", "server_version": "15.4 (Debian)", "read_only": False}


def with_database(**server: Any) -> Cluster:
    """A cluster on a database of the user's, as its masters and workers see it."""
    cluster = make_cluster({**MULTI_NODE, "postgres_metastore": []})
    for host in (*MULTI_NODE["airflow_master"], *MULTI_NODE["airflow_worker"]):
        cluster["hosts"][host]["database"] = {"airflow_database_url": {**GOOD_SERVER, **server}}
        for name in ("password", "owner_password", "results_password"):
            cluster["hosts"][host]["secrets"][f"postgres_metastore_{name}"] = "is missing"
    return cluster


def test_a_database_of_the_user_needs_no_host_and_no_secret_of_ours() -> None:
    assert find_problems(with_database()) == []


def test_no_database_at_all() -> None:
    problem = only(make_cluster({**MULTI_NODE, "postgres_metastore": []}))
    assert problem.startswith("The group postgres_metastore has no host: put one into it")
    assert "airflow_database_url" in problem


@pytest.mark.parametrize(
    ("server", "problem"),
    [
        (
            {"problem": "db:5432: password authentication failed (28P01)"},
            "airflow_database_url cannot be used from master1, master2, worker1, worker2, worker3: "
            "db:5432: password authentication failed (28P01). Correct it, or let the server accept",
        ),
        (
            {"server_version": "12.22"},
            "airflow_database_url leads to PostgreSQL 12.22, which Airflow 3 does not support: upgrade it to "
            "13 or later, or name another server",
        ),
        (
            {"read_only": True},
            "airflow_database_url leads to db:5432, which only reads: name the primary, or add "
            "target_session_attrs=read-write and all servers",
        ),
    ],
)
def test_a_database_that_does_not_serve(server: dict[str, Any], problem: str) -> None:
    assert only(with_database(**server)).startswith(problem)


def test_a_database_and_hosts_for_ours() -> None:
    cluster = with_database()
    cluster["roles"]["postgres_metastore"]["hosts"] = ["worker1"]
    assert find_problems(cluster)[0].startswith(
        "airflow_database_url names a database, but the group postgres_metastore has hosts (worker1)"
    )


def test_a_database_for_some_hosts_alone() -> None:
    cluster = with_database()
    del cluster["hosts"]["worker2"]["database"]
    assert any(
        "airflow_database_url is set on master1, master2, worker1, worker3 alone" in problem
        for problem in find_problems(cluster)
    )


def test_smaller_pools_need_fewer_connections() -> None:
    cluster = with_metastores(1)
    cluster["hosts"]["db1"]["given"] = {"postgres_metastore_max_connections": 140}
    assert only(cluster).startswith("postgres_metastore_max_connections is 140 on db1")
    for host in ("master1", "master2"):
        cluster["hosts"][host]["given"] = {"airflow_config": {"database": {"sql_alchemy_max_overflow": 0}}}
    assert find_problems(cluster) == []


def test_several_metastores_where_the_distribution_has_no_patroni() -> None:
    cluster = with_metastores(3)
    cluster["hosts"]["db2"]["probe"]["os"] = {"id": "rocky", "version": "9", "name": "Rocky Linux 9"}
    put(cluster, "preflight_allow_untested", True)
    assert "the distribution of db2 ships neither Patroni nor etcd" in only(cluster)


def test_metastore_left_alone_by_its_replicas() -> None:
    cluster = with_metastores(1)
    cluster["hosts"]["db1"]["probe"]["packages"] = ["patroni", "postgresql-15"]
    assert only(cluster).startswith("db1 is alone in the group postgres_metastore, and was one of several")


def test_ports_of_patroni_and_etcd() -> None:
    assert find_problems(with_metastores(1, etcd_client_port=5432)) == []
    problems = find_problems(with_metastores(3, etcd_client_port=5432))
    assert ["Port 5432 is used twice" in problem for problem in problems] == [True]
