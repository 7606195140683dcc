# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts that a host has to run by its roles: their units, and where they answer."""

from __future__ import annotations

from typing import Any, Collection, Mapping

# Of a master: {part: (unit, the kind of its heartbeat, what answers)}
MASTER_PARTS = {
    "api-server": ("airflow-api-server.service", "", "api"),
    "execution-api": ("airflow-execution-api.service", "", "execution"),
    "scheduler": ("airflow-scheduler.service", "SchedulerJob", "scheduler"),
    "dag-processor": ("airflow-dag-processor.service", "DagProcessorJob", ""),
    "triggerer": ("airflow-triggerer.service", "TriggererJob", ""),
}


def host_parts(roles: Collection[str], settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """[{component, name, unit, url}], url empty where nothing answers by HTTP.

    roles: what the host plays, as the role topology works it out.
    settings: redis_ports, workers, many_metastores, backups (off, member or keeper), clean, secrets_unit, and
        `urls` by names: api, execution, scheduler, task_logs, flower, front.
    """
    urls = settings["urls"]
    parts: list[dict[str, Any]] = []

    def add(component: str, name: str, unit: str, url: str = "") -> None:
        parts.append({"component": component, "name": name, "unit": unit, "url": url})

    if "redis_cluster" in roles:
        for port in settings["redis_ports"]:
            add("redis", f"redis {port}", f"redis-cluster@{port}.service")
    if "etcd" in roles:
        add("metastore", "etcd", "etcd.service")
    if "postgres_metastore" in roles:
        many = settings["many_metastores"]
        add(
            "metastore",
            "patroni" if many else "postgresql",
            "patroni.service" if many else "postgresql",
        )
        if settings["backups"] != "off" and many:
            add("backups", "pgbackrest", "pgbackrest.service")
        if settings["backups"] == "keeper":
            for kind in ("full", "incr"):
                add("backups", f"{kind} backup timer", f"metastore-backup-{kind}.timer")
    if "service_endpoints" in roles:
        add("endpoints", "haproxy", "haproxy.service")
    if "airflow_master" in roles:
        for name, (unit, _job, url) in MASTER_PARTS.items():
            add("airflow", name, unit, urls[url] if url else "")
        add("airflow", "clean timer", "airflow-clean.timer")
    if "airflow_worker" in roles:
        for worker in settings["workers"]:
            add("workers", f"worker {worker['name']}", f"airflow-worker@{worker['name']}.service")
        add("workers", "task logs", "airflow-task-logs.service", urls["task_logs"])
    if "flower" in roles:
        add("flower", "flower", "flower.service", urls["flower"])
    if "nginx_lb" in roles:
        add("front", "nginx", "nginx.service", urls["front"])
    return parts
