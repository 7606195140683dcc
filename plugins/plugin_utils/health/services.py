# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts that a host has to run by its roles: their units, and where they answer."""

from __future__ import annotations

from typing import Any, Collection, Mapping

from ansible_collections.airflowops.cluster.plugins.plugin_utils.roles import units

# Of a master: {service: (the kind of its heartbeat, what answers)}
HEARTBEATS = {
    "api-server": ("", "api"),
    "execution-api": ("", "execution"),
    "scheduler": ("SchedulerJob", "scheduler"),
    "dag-processor": ("DagProcessorJob", ""),
    "triggerer": ("TriggererJob", ""),
}
# {service: (unit, the kind of its heartbeat, what answers)}
MASTER_PARTS = {name: (units.master_unit(name), *HEARTBEATS[name]) for name in units.MASTER_SERVICES}


def part_urls(settings: Mapping[str, Any]) -> dict[str, str]:
    base = settings["base_path"]
    paths = {
        "api": f"{base}/api/v2/monitor/health",
        "execution": f"{base}/execution/health",
        "scheduler": "/health",
        "task_logs": "/",
        # Who has no secrets still sees whether it serves. Of what asks for a login, this costs Flower the
        # least.
        "flower": "/flower/api/task/types" if settings["flower_login"] else "/flower/healthcheck",
        "front": f"{base}/api/v2/version",
    }
    return {name: f"http://127.0.0.1:{port}{paths[name]}" for name, port in settings["ports"].items()}


def host_parts(roles: Collection[str], settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """[{component, name, unit, url}], url empty where nothing answers by HTTP.

    roles: what the host plays, as the role topology works it out.
    settings: redis_ports, workers, many_metastores, backups (off, member or backup_host), base_path,
        flower_login (whether there is a password for it), and `ports` by names: api, execution, scheduler,
        task_logs, flower, front.
    """
    urls = part_urls(settings)
    parts: list[dict[str, Any]] = []

    def add(component: str, name: str, unit: str, url: str = "") -> None:
        parts.append({"component": component, "name": name, "unit": unit, "url": url})

    if "redis_cluster" in roles:
        for port in settings["redis_ports"]:
            add("redis", f"redis {port}", units.redis_unit(port))
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
        if settings["backups"] == "backup_host":
            for kind, timer in units.BACKUP_TIMERS.items():
                add("backups", f"{kind} backup timer", timer)
    if "service_endpoints" in roles:
        add("endpoints", "haproxy", "haproxy.service")
    if "airflow_master" in roles:
        for name, (unit, _job, url) in MASTER_PARTS.items():
            add("airflow", name, unit, urls[url] if url else "")
        add("airflow", "clean timer", "airflow-clean.timer")
    if "airflow_worker" in roles:
        for worker in settings["workers"]:
            add("workers", f"worker {worker['name']}", units.worker_unit(worker["name"]))
        add("workers", "task logs", units.LOG_SERVER, urls["task_logs"])
    if "flower" in roles:
        add("flower", "flower", units.FLOWER, urls["flower"])
    if "nginx_lb" in roles:
        add("front", "nginx", "nginx.service", urls["front"])
    return parts
