# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster of ten hosts that is well, and the faults that are made in it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.evaluate import judge
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.services import host_parts

NOW = 1_800_000_000.0
DAY = 86400
ROLE = Path(__file__).parents[2] / "roles/health"
LIMITS = {
    name[len("health_") :]: value
    for name, value in yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8")).items()
    if isinstance(value, int)
}


REDIS, METASTORES, MASTERS = ("redis1", "redis2", "redis3"), ("db1", "db2", "db3"), ("master1", "master2")
WORKERS = ("worker1", "worker2")
ROLES = {
    **{name: ["redis_cluster"] for name in REDIS},
    **{name: ["etcd", "postgres_metastore"] for name in METASTORES},
    **{name: ["airflow_common", "service_endpoints", "airflow_master"] for name in MASTERS},
    **{name: ["airflow_common", "service_endpoints", "airflow_worker"] for name in WORKERS},
    "front1": ["airflow_common", "service_endpoints", "flower", "nginx_lb"],
}
PORTS = {
    name: 8000 + number
    for number, name in enumerate(("api", "execution", "scheduler", "task_logs", "flower", "front"))
}
QUEUES = {"default": list(WORKERS), "q1": list(WORKERS)}
ADDRESSES = {name: f"192.0.2.{number}" for number, name in enumerate(ROLES, 1)}


# Three masters on port 7000, and the replica of each on another host.
NODES = {(host, port): f"{host}-{port}" for host in REDIS for port in (7000, 7001)}
MASTER_OF = {"redis2-7001": "redis1-7000", "redis3-7001": "redis2-7000", "redis1-7001": "redis3-7000"}


def settings(name: str) -> dict[str, Any]:
    return {
        "redis_ports": [7000, 7001],
        "workers": [{"name": "general", "queues": ["default", "q1"]}],
        "many_metastores": True,
        "backups": "backup_host" if name == "db1" else "member",
        "base_path": "",
        "flower_login": False,
        "ports": PORTS,
    }


def expected() -> dict[str, Any]:
    return {
        "name": "test",
        "hosts": {
            name: {
                "address": ADDRESSES[name],
                "roles": roles,
                "parts": host_parts(roles, settings(name)),
                "workers": settings(name)["workers"] if "airflow_worker" in roles else [],
            }
            for name, roles in ROLES.items()
        },
        "queues": QUEUES,
        "required": {queue: len(hosts) for queue, hosts in QUEUES.items()},
        "masters": list(MASTERS),
        "redis_nodes": [{"name": host, "ip": ADDRESSES[host], "port": port} for host, port in NODES],
        "redis_replicas": 1,
        "broker": "own",
        "broker_kind": "redis",
        "metastore": "own",
        "metastore_hosts": list(METASTORES),
        "etcd_hosts": list(METASTORES),
        "synchronous": True,
        "database": "airflow",
        "backups": True,
        "backup_host": "db1",
    }


def unit(name: str) -> dict[str, Any]:
    return {
        "unit": name,
        "loaded": True,
        "state": "active",
        "sub_state": "running",
        "enabled": True,
        "seconds": 9000,
    }


def member(host: str, port: int) -> dict[str, Any]:
    name = f"{host}-{port}"
    master = port == 7000
    return {
        "id": name,
        "address": ADDRESSES[host],
        "port": port,
        "role": "master" if master else "replica",
        "master_id": None if master else MASTER_OF[name],
        "slots": 5461 + (host == "redis1") if master else 0,
        "owner": name == "redis1-7000",
        "failed": False,
    }


def node(host: str, port: int) -> dict[str, Any]:
    me = member(host, port)
    return {
        "id": me["id"],
        "version": "7.0.15",
        "role": me["role"],
        "master_id": me["master_id"],
        "owner": me["owner"],
        "cluster_ok": True,
        "link_up": True,
        "saved": True,
        "memory": {"used": 10 * 1024**2, "limit": 1024**3},
        "members": [member(*key) for key in NODES],
        "queues": {"q1": 2} if me["owner"] else None,
    }


def server(listener: str, name: str, up: bool) -> dict[str, Any]:
    return {
        "listener": listener,
        "server": name,
        "up": up,
        "status": "UP" if up else "DOWN",
        "backup": False,
        "checked": True,
        "seconds": 60,
        "check": "" if up else "L4CON",
    }


def haproxy(name: str) -> list[dict[str, Any]]:
    servers = [
        server("broker", f"{ADDRESSES[host]}-{port}", (host, port) == ("redis1", 7000))
        for host, port in NODES
    ]
    servers += [server("metastore", host, host == "db1") for host in METASTORES]
    servers += [server("execution", host, True) for host in MASTERS]
    servers.append(
        {**server("broker", "hold", False), "backup": True, "checked": False, "status": "no check"}
    )
    if name == "front1":
        servers += [*(server("api", host, True) for host in MASTERS), server("flower", "front1", True)]
    return servers


def look(name: str) -> dict[str, Any]:
    roles, parts = ROLES[name], host_parts(ROLES[name], settings(name))
    seen: dict[str, Any] = {
        "host": {
            "fqdn": f"{name}.example.org",
            "os": {"id": "debian", "name": "Debian"},
            "memory": {"total": 4 * 1024**3, "available": 3 * 1024**3},
        },
        "systemd": {"units": {part["unit"]: unit(part["unit"]) for part in parts}, "failed": []},
        "urls": {part["name"]: {"status": 200, "body": None} for part in parts if part["url"]},
        "certificates": [
            {"path": "/etc/airflowops/metastore-ca.crt", "subject": "CA", "ends": NOW + 700 * DAY}
        ],
        "disks": [
            {"path": "/", "size": 40e9, "free": 20e9, "used_percent": 50.0, "inodes_percent": 4.0},
        ],
        "clock_offset": 0.01,
        "clock_uncertainty": 0.1,
    }
    if "api-server" in seen["urls"]:
        seen["urls"]["api-server"]["body"] = {"metadatabase": {"status": "healthy"}}
    if "service_endpoints" in roles:
        seen["haproxy"] = haproxy(name)
        seen["airflow_installed"] = "3.3.2"
    if "redis_cluster" in roles:
        seen["redis"] = {str(port): node(name, port) for port in (7000, 7001)}
    if "postgres_metastore" in roles:
        seen["postgres"] = {
            "version": "15.8 (Debian 15.8-0+deb12u1)",
            "recovery": name != "db1",
            "connections": 40,
            "max_connections": 397,
            "databases": ["postgres", "airflow", "airflow_results"],
            "archive_failed_since": None,
        }
        seen["patroni"] = {
            "members": [
                {"name": "db1", "role": "leader", "state": "running"},
                {"name": "db2", "role": "sync_standby", "state": "streaming", "lag": 0},
                {"name": "db3", "role": "replica", "state": "streaming", "lag": 0},
            ],
            "pause": False,
        }
        seen["etcd"] = {"healthy": True, "members": list(METASTORES), "why": ""}
    if name == "db1":
        seen["backups"] = {
            "usable": True,
            "status": "ok",
            "backups": [{"label": "F", "type": "full", "ended": NOW - DAY / 2, "size": 1, "failed": False}],
            "verified": None,
        }
    return seen


def airflow() -> dict[str, Any]:
    return {
        "answers": True,
        "login_refused": False,
        "reason": "",
        "version": "3.3.2",
        "metastore_reached": True,
        "jobs": [
            {"type": kind, "host": f"{host}.example.org", "state": "running", "heartbeat_age": 3.0}
            for kind in ("SchedulerJob", "DagProcessorJob", "TriggererJob")
            for host in MASTERS
        ],
        "import_errors": [],
        "import_error_count": 0,
        "dags": {"count": 2, "oldest": "hello", "oldest_age": 20.0},
        "queued": {"count": 0, "queues": {}},
        "errors": {},
    }


def observed() -> dict[str, Any]:
    membership = {"workers": {f"general@{host}": ["default", "q1"] for host in WORKERS}, "msg": ""}
    return {
        name: {
            "left_out": False,
            "reachable": True,
            "reason": "",
            "look": look(name),
            "airflow": airflow() if name in MASTERS else None,
            "membership": copy.deepcopy(membership) if name in MASTERS else None,
        }
        for name in ROLES
    }


class World:
    """A cluster that is well, to be broken."""

    def __init__(self) -> None:
        self.expected = expected()
        self.observed = observed()

    def __getitem__(self, host: str) -> dict[str, Any]:
        return self.observed[host]["look"]

    def stop(self, host: str, unit_name: str, state: str = "inactive", sub_state: str = "dead") -> None:
        self[host]["systemd"]["units"][unit_name].update(state=state, sub_state=sub_state)

    def unreachable(self, host: str) -> None:
        self.observed[host].update(
            reachable=False,
            reason="ssh: connect to host: No route to host",
            look={},
            airflow=None,
            membership=None,
        )

    def silent(self, *hosts: str) -> None:
        """Workers that do not answer, as the masters notice."""
        for master in MASTERS:
            if self.observed[master]["membership"]:
                for host in hosts:
                    self.observed[master]["membership"]["workers"].pop(f"general@{host}")

    def jobs_end(self, host: str, *kinds: str) -> None:
        for master in MASTERS:
            for job in (self.observed[master]["airflow"] or {"jobs": []})["jobs"]:
                if job["host"].startswith(host) and job["type"] in kinds:
                    job["heartbeat_age"] = 500.0

    def api_down(self, host: str, reason: str = "Connection refused") -> None:
        self.observed[host]["airflow"] = {
            **airflow(),
            "answers": False,
            "reason": reason,
            "version": None,
            "jobs": [],
        }

    def judged(self) -> dict[str, Any]:
        return judge(self.expected, self.observed, LIMITS, NOW)


def reported(report: dict[str, Any], level: str = "problem") -> list[tuple[str, str, str]]:
    return [
        (entry["component"], entry["host"], entry["part"])
        for entry in report["findings"]
        if entry["level"] == level
    ]


# --- Each fault by itself: one finding, and all that follows belongs to it


def redis_node_down(world: World) -> None:
    world.stop("redis2", "redis-cluster@7000.service", "failed", "failed")
    world["redis2"]["redis"]["7000"] = {"error": "Connection refused"}
    for host, port in NODES:
        for entry in world[host]["redis"].get(str(port), {}).get("members", []):
            if entry["id"] == "redis2-7000":
                entry.update(failed=True, slots=0)
            if entry["id"] == "redis3-7001":
                entry.update(role="master", master_id=None, slots=5461)


def haproxy_stopped_on_a_master(world: World, host: str = "master1") -> None:
    world.stop(host, "haproxy.service")
    world[host]["haproxy"] = {"error": "No such file or directory"}
    for name in ("airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"):
        world.stop(host, f"{name}.service", "activating", "auto-restart")
    world[host]["urls"].update(
        {"api-server": {"status": 200, "body": {"metadatabase": {"status": "unhealthy"}}}}
    )
    world[host]["urls"]["scheduler"] = {"error": "Connection refused"}
    world.api_down(host, "refuses the password")
    world.observed[host]["airflow"]["login_refused"] = True
    world.observed[host]["membership"] = {"msg": "the broker did not answer"}
    world.jobs_end(host, "SchedulerJob", "DagProcessorJob", "TriggererJob")


def unreachable_worker(world: World) -> None:
    world.unreachable("worker1")
    world.silent("worker1")


def login_refused(world: World) -> None:
    for host in MASTERS:
        world.api_down(host, "refuses the password")
        world.observed[host]["airflow"]["login_refused"] = True
