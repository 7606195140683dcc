# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The systemd units of each role, by name: what health checks, and what the metrics expect to run."""

from __future__ import annotations

from typing import Any, Collection, Mapping

# A master runs one unit of each: airflow-NAME.service.
MASTER_SERVICES = ("api-server", "execution-api", "scheduler", "dag-processor", "triggerer")
LOG_SERVER = "airflow-task-logs.service"
FLOWER = "flower.service"
BACKUP_TIMERS = {kind: f"metastore-backup-{kind}.timer" for kind in ("full", "incr")}


def master_unit(name: str) -> str:
    return f"airflow-{name}.service"


def worker_unit(name: str) -> str:
    return f"airflow-worker@{name}.service"


def redis_unit(port: Any) -> str:
    return f"redis-cluster@{port}.service"


def expected_units(roles: Collection[str], settings: Mapping[str, Any]) -> list[str]:
    """The units that run on a host of these roles, for the metrics.

    settings: redis_ports, workers, many_metastores, and whether the host keeps_backups.
    """
    many = settings["many_metastores"]
    units = {
        "redis_cluster": [redis_unit(port) for port in settings["redis_ports"]],
        "etcd": ["etcd.service"],
        "postgres_metastore": ["patroni.service"] if many else [],
        "service_endpoints": ["haproxy.service"],
        "airflow_master": [master_unit(name) for name in MASTER_SERVICES],
        "airflow_worker": [LOG_SERVER, *(worker_unit(worker["name"]) for worker in settings["workers"])],
        "flower": [FLOWER],
        "nginx_lb": ["nginx.service"],
    }
    backups = [*BACKUP_TIMERS.values()] if settings["keeps_backups"] else []
    return [unit for role, names in units.items() if role in roles for unit in names] + backups
