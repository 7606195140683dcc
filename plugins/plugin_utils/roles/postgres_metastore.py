# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metastore's roles, logins, sizes and backups. Pure functions."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Iterable, Mapping

from ansible_collections.airflowops.cluster.plugins.plugin_utils.addresses import ip_address
from ansible_collections.airflowops.cluster.plugins.plugin_utils.roles.units import BACKUP_TIMERS

# PostgreSQL knows one password of a role: while it is rotated, this ends the name of a second one.
SECOND_ROLE = "_next"
MIB = 1048576


def second_role(name: str) -> str:
    return name + SECOND_ROLE


def metastore_roles(roles: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """[{name, password, of}] of the roles and, while a password is rotated, of the second ones after them.

    roles: {name, password, rotation}. A role keeps its old password until the end of the rotation; the
    second one, a member `of` the first, has the new one.
    """
    first, second = [], []
    for role in roles:
        rotation = role.get("rotation") or {}
        first.append({"name": role["name"], "password": rotation.get("previous", role["password"])})
        if rotation:
            password = rotation.get("next", role["password"])
            second.append({"name": second_role(role["name"]), "of": role["name"], "password": password})
    return first + second


def unique_addresses(names: Iterable[str]) -> list[str]:
    """The addresses of hosts, each once and in order."""
    return sorted({ip_address(name) for name in names})


def metastore_logins(clients: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """[{database, address, line}]: a line of pg_hba.conf for each host that logs in to a database.

    clients: {database, roles, hosts}, the hosts by their addresses.
    """
    return [
        {
            "database": client["database"],
            "address": address,
            "line": f"hostssl {client['database']}  {','.join(client['roles'])}  "
            f"{address}/{128 if ':' in address else 32}  scram-sha-256",
        }
        for client in clients
        for address in unique_addresses(client["hosts"])
    ]


# --- Sizes


def host_memory(probe: Mapping[str, Any] | None) -> int:
    """Bytes of memory that a host may use, as preflight saw it: 0 where it did not."""
    probe = probe or {}
    sizes = (int(probe.get(name) or 0) for name in ("memory_limit", "memory_total"))
    return min((size for size in sizes if size), default=0)


def redis_memory(memory: int, instances: int) -> str:
    """`maxmemory` of an instance: a quarter of the memory for all together.

    A snapshot may need as much again. Where nobody has read the size of the memory there is no limit.
    """
    return f"{in_steps(memory / 4 / instances / MIB)}mb"


def postgres_memory(memory: int, alone: bool) -> int:
    """MiB that PostgreSQL may think of as its own: all that the host has, or half where others run as well.

    Where nobody has read the size of the memory, a GiB.
    """
    return (memory or 1024 * MIB) // MIB // (1 if alone else 2)


def postgres_sizes(memory: int, connections: int) -> dict[str, str]:
    """Settings by the MiB of memory, rounded down so that a new kernel changes none of them.

    "A reasonable starting value", as the documentation says:
    https://www.postgresql.org/docs/15/runtime-config-resource.html#GUC-SHARED-BUFFERS (a quarter, at most
    8 GiB here) and
    https://www.postgresql.org/docs/15/runtime-config-query.html#GUC-EFFECTIVE-CACHE-SIZE (half).
    """
    return {
        "shared_buffers": f"{min(max(in_steps(memory / 4), 128), 8192)}MB",
        "effective_cache_size": f"{max(in_steps(memory / 2), 256)}MB",
        # For each VACUUM and CREATE INDEX; three of the former may run at once.
        "maintenance_work_mem": f"{min(max(in_steps(memory / 16), 64), 1024)}MB",
        # For each sort, of which every connection may do one: an eighth of the memory for them together, not
        # less than the default.
        "work_mem": f"{min(max(int(memory / 8 / connections), 4), 64)}MB",
    }


def in_steps(size: float) -> int:
    return int(size / 64) * 64


# --- Backups


def backup_units(
    roles: Mapping[str, Any], secrets_file: str, server_files: Iterable[str]
) -> list[dict[str, Any]]:
    """The units of pgBackRest on a host, for `systemd_units`.

    roles: whether the host has secrets, is one of many, and keeps the backups.
    """
    units: list[dict[str, Any]] = []
    if roles["secrets"]:
        units.append({"name": "metastore-secrets.service", "restart_files": [secrets_file]})
    if roles["many"]:
        units.append({"name": "pgbackrest.service", "reload_files": [*server_files]})
    if roles["keeps"]:
        units += [{"name": timer} for timer in BACKUP_TIMERS.values()]
    return units


def backup_lines(backups: Iterable[Mapping[str, Any]]) -> list[str]:
    """A line for each backup, as `pgbackrest info --output=json` describes it."""
    return [
        f"{one['label']} {one['type']}, ended {utc(one['timestamp']['stop'])}, metastore of "
        f"{mebibytes(one['info']['size'])} MiB, {mebibytes(one['info']['repository']['delta'])} MiB "
        "added to the repository"
        for one in backups
    ]


def utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=timezone.utc).strftime("%Y-%m-%d %H:%M:%S%z")


def mebibytes(size: float) -> float:
    return round(size / MIB, 1)
