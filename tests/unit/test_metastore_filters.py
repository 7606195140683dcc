# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metastore's roles, logins, sizes and backups."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.airflowops.cluster.plugins.plugin_utils.roles import postgres_metastore as metastore

MIB = 1048576


def test_outside_a_rotation_each_role_has_its_password() -> None:
    roles = [{"name": "a", "password": "x", "rotation": {}}, {"name": "m", "password": ""}]
    assert metastore.metastore_roles(roles) == [
        {"name": "a", "password": "x"},
        {"name": "m", "password": ""},
    ]


@pytest.mark.parametrize(
    ("rotation", "first", "second"), [({"previous": "old"}, "old", "now"), ({"next": "new"}, "now", "new")]
)
def test_in_a_rotation_a_second_role_has_the_new_password(
    rotation: dict[str, str], first: str, second: str
) -> None:
    roles = [{"name": "a", "password": "now", "rotation": rotation}, {"name": "b", "password": "y"}]
    assert metastore.metastore_roles(roles) == [
        {"name": "a", "password": first},
        {"name": "b", "password": "y"},
        {"name": "a_next", "of": "a", "password": second},
    ]


def test_each_host_that_logs_in_has_one_line() -> None:
    clients = [
        {"database": "airflow", "roles": ["a", "a_next"], "hosts": ["192.0.2.2", "192.0.2.1", "192.0.2.2"]},
        {"database": "results", "roles": ["r"], "hosts": ["fd00::1"]},
    ]
    assert [entry["line"] for entry in metastore.metastore_logins(clients)] == [
        "hostssl airflow  a,a_next  192.0.2.1/32  scram-sha-256",
        "hostssl airflow  a,a_next  192.0.2.2/32  scram-sha-256",
        "hostssl results  r  fd00::1/128  scram-sha-256",
    ]
    assert {entry["database"]: entry["address"] for entry in metastore.metastore_logins(clients)} == {
        "airflow": "192.0.2.2",
        "results": "fd00::1",
    }


@pytest.mark.parametrize(
    ("probe", "memory"),
    [
        (None, 0),
        ({}, 0),
        ({"memory_total": 1000, "memory_limit": 0}, 1000),
        ({"memory_total": 1000, "memory_limit": 400}, 400),
        ({"memory_total": "1000", "memory_limit": None}, 1000),
    ],
)
def test_a_host_may_use_its_memory_or_what_it_is_limited_to(probe: Any, memory: int) -> None:
    assert metastore.host_memory(probe) == memory


def test_postgresql_counts_on_half_of_a_shared_host_and_on_a_gib_where_nobody_looked() -> None:
    assert metastore.postgres_memory(8192 * MIB, True) == 8192
    assert metastore.postgres_memory(8192 * MIB, False) == 4096
    assert metastore.postgres_memory(0, True) == 1024


@pytest.mark.parametrize(
    ("memory", "sizes"),
    [
        (512, ("128MB", "256MB", "64MB", "4MB")),
        (8192, ("2048MB", "4096MB", "512MB", "4MB")),
        (65536, ("8192MB", "32768MB", "1024MB", "20MB")),
    ],
)
def test_sizes_follow_from_the_memory_within_bounds(memory: int, sizes: tuple[str, ...]) -> None:
    assert tuple(metastore.postgres_sizes(memory, 400).values()) == sizes


def test_a_new_kernel_that_takes_some_memory_changes_no_size() -> None:
    assert metastore.postgres_sizes(8190, 400) == {
        **metastore.postgres_sizes(8192, 400),
        "shared_buffers": "1984MB",
        "effective_cache_size": "4032MB",
        "maintenance_work_mem": "448MB",
    }
    assert metastore.postgres_sizes(8250, 400) == metastore.postgres_sizes(8290, 400)


def test_redis_takes_a_quarter_of_the_memory_for_all_instances() -> None:
    assert metastore.redis_memory(8192 * MIB, 2) == "1024mb"
    assert metastore.redis_memory(8100 * MIB, 2) == "960mb"
    assert metastore.redis_memory(0, 2) == "0mb"


def test_a_host_runs_the_units_of_its_part_in_backups() -> None:
    assert metastore.backup_units({"secrets": False, "many": False, "keeps": False}, "/s", ["/f"]) == []
    assert metastore.backup_units({"secrets": True, "many": True, "keeps": True}, "/s", ["/f"]) == [
        {"name": "metastore-secrets.service", "restart_files": ["/s"]},
        {"name": "pgbackrest.service", "reload_files": ["/f"]},
        {"name": "metastore-backup-full.timer"},
        {"name": "metastore-backup-incr.timer"},
    ]


def test_a_backup_is_described_in_utc() -> None:
    backup = {
        "label": "20231114-221320F",
        "type": "full",
        "timestamp": {"stop": 1700000000},
        "info": {"size": 12345678, "repository": {"delta": 234567}},
    }
    assert metastore.backup_lines([backup]) == [
        "20231114-221320F full, ended 2023-11-14 22:13:20+0000, metastore of 11.8 MiB, "
        "0.2 MiB added to the repository"
    ]
