# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is found in a cluster of ten hosts that is well, and after one thing in it is broken."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, Callable

import pytest
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
PORTS = {"api": 8080, "execution": 8081, "scheduler": 8974, "task_logs": 8793, "flower": 5555, "front": 80}
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
        "backups": "keeper" if name == "db1" else "member",
        "base_path": "",
        "ports": PORTS,
        "flower_login": False,
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


def told(report: dict[str, Any], level: str = "problem") -> list[tuple[str, str, str]]:
    return [
        (entry["component"], entry["host"], entry["part"])
        for entry in report["findings"]
        if entry["level"] == level
    ]


def test_a_cluster_that_is_well_is_silent() -> None:
    report = World().judged()
    assert report["findings"] == []
    assert report["unknown"] == []
    assert report["state"] == "ok"
    assert {part["state"] for host in report["hosts"] for part in host["parts"]} == {"ok"}
    assert "All is well" in report["text"]
    assert json.loads(json.dumps(report)) == report


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


def scheduler_stopped(world: World) -> None:
    world.stop("master1", "airflow-scheduler.service")
    world["master1"]["urls"]["scheduler"] = {"error": "Connection refused"}
    world.jobs_end("master1", "SchedulerJob")


def dag_processors_stopped_on_one(world: World) -> None:
    world.stop("master1", "airflow-dag-processor.service")
    world.jobs_end("master1", "DagProcessorJob")


def triggerer_failed(world: World) -> None:
    world.stop("master2", "airflow-triggerer.service", "failed", "failed")
    world.jobs_end("master2", "TriggererJob")


def api_server_stopped(world: World) -> None:
    world.stop("master1", "airflow-api-server.service")
    world["master1"]["urls"]["api-server"] = {"error": "Connection refused"}
    world.api_down("master1")
    for entry in world["front1"]["haproxy"]:
        if (entry["listener"], entry["server"]) == ("api", "master1"):
            entry.update(up=False, status="DOWN")


def execution_api_hangs(world: World) -> None:
    world["master1"]["urls"]["execution-api"] = {"error": "timed out"}
    for host in (*MASTERS, *WORKERS, "front1"):
        for entry in world[host]["haproxy"]:
            if (entry["listener"], entry["server"]) == ("execution", "master1"):
                entry.update(up=False, status="DOWN")


def scheduler_hangs(world: World) -> None:
    world.jobs_end("master2", "SchedulerJob")


def worker_stopped(world: World) -> None:
    world.stop("worker1", "airflow-worker@general.service")
    world.silent("worker1")


def worker_deaf(world: World) -> None:
    world.silent("worker2")


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


def flower_stopped(world: World) -> None:
    world.stop("front1", "flower.service")
    world["front1"]["urls"]["flower"] = {"error": "Connection refused"}
    for entry in world["front1"]["haproxy"]:
        if entry["listener"] == "flower":
            entry.update(up=False, status="DOWN")


def nginx_stopped(world: World) -> None:
    world.stop("front1", "nginx.service")
    world["front1"]["urls"]["nginx"] = {"error": "Connection refused"}


def replica_behind(world: World) -> None:
    for host in METASTORES:
        world[host]["patroni"]["members"][2]["lag"] = 200 * 1024**2


def patroni_stopped(world: World) -> None:
    world.stop("db3", "patroni.service")
    world["db3"].update(postgres={"error": "no server"}, patroni={"error": "Connection refused"})
    for host in METASTORES[:2]:
        world[host]["patroni"]["members"].pop()


def etcd_failed(world: World) -> None:
    world.stop("db2", "etcd.service", "failed", "failed")
    world["db2"]["etcd"] = {"error": "Connection refused"}


def import_error(world: World) -> None:
    for host in MASTERS:
        world.observed[host]["airflow"].update(
            import_errors=[{"file": "broken.py", "bundle": "dags-folder", "error": "NameError: x"}],
            import_error_count=1,
        )


def unserved_queue(world: World) -> None:
    for host in MASTERS:
        world.observed[host]["airflow"]["queued"] = {
            "count": 1,
            "queues": {"nowhere": {"tasks": 1, "oldest_age": 90.0, "dag": "lost"}},
        }
    world["redis1"]["redis"]["7000"]["queues"] = {"nowhere": 1}


def full_disk(world: World) -> None:
    world["db2"]["disks"][0].update(used_percent=93.0, free=2e9)


def out_of_memory(world: World) -> None:
    world["worker1"]["host"]["memory"]["available"] = 50 * 1024**2


def certificate_ends(world: World) -> None:
    world["db1"]["certificates"][0]["ends"] = NOW + 2 * DAY


def certificate_ended(world: World) -> None:
    world["db1"]["certificates"][0]["ends"] = NOW - 2 * DAY


def old_backup(world: World) -> None:
    world["db1"]["backups"]["backups"][0]["ended"] = NOW - 4 * DAY


def no_backup(world: World) -> None:
    world["db1"]["backups"].update(usable=False, status="no valid backups", backups=[])


def archive_fails(world: World) -> None:
    world["db1"]["postgres"]["archive_failed_since"] = NOW - 60


def backup_failed(world: World) -> None:
    world["db1"]["systemd"]["failed"] = ["metastore-backup@full.service"]


def cleaning_failed(world: World) -> None:
    world["master1"]["systemd"]["failed"] = ["airflow-clean.service"]


def timer_stopped(world: World) -> None:
    world.stop("db1", "metastore-backup-full.timer")


def wrong_clock(world: World) -> None:
    world["worker2"]["clock_offset"] = -42.0


def connections_used(world: World) -> None:
    world["db1"]["postgres"]["connections"] = 390


def redis_full(world: World) -> None:
    world["redis1"]["redis"]["7000"]["memory"]["used"] = int(0.97 * 1024**3)


def unreachable_worker(world: World) -> None:
    world.unreachable("worker1")
    world.silent("worker1")


def unreachable_redis(world: World) -> None:
    world.unreachable("redis2")
    redis2 = ("redis2-7000", "redis2-7001")
    for host in ("redis1", "redis3"):
        for port in ("7000", "7001"):
            for entry in world[host]["redis"][port]["members"]:
                if entry["id"] in redis2:
                    entry.update(failed=True, slots=0)
                if entry["id"] == "redis3-7001":
                    entry.update(role="master", master_id=None, slots=5461)


def login_refused(world: World) -> None:
    for host in MASTERS:
        world.api_down(host, "refuses the password")
        world.observed[host]["airflow"]["login_refused"] = True


ONE_FAULT: dict[Callable[[World], None], tuple[str, str, str]] = {
    redis_node_down: ("redis", "redis2", "redis 7000"),
    scheduler_stopped: ("airflow", "master1", "scheduler"),
    scheduler_hangs: ("airflow", "master2", "scheduler"),
    dag_processors_stopped_on_one: ("airflow", "master1", "dag-processor"),
    triggerer_failed: ("airflow", "master2", "triggerer"),
    api_server_stopped: ("airflow", "master1", "api-server"),
    execution_api_hangs: ("airflow", "master1", "execution-api"),
    worker_stopped: ("workers", "worker1", "worker general"),
    worker_deaf: ("workers", "worker2", "worker general"),
    haproxy_stopped_on_a_master: ("endpoints", "master1", "haproxy"),
    flower_stopped: ("flower", "front1", "flower"),
    nginx_stopped: ("front", "front1", "nginx"),
    replica_behind: ("metastore", "db3", "patroni"),
    patroni_stopped: ("metastore", "db3", "patroni"),
    etcd_failed: ("metastore", "db2", "etcd"),
    import_error: ("dags", "", ""),
    unserved_queue: ("workers", "", ""),
    full_disk: ("hosts", "db2", ""),
    out_of_memory: ("hosts", "worker1", ""),
    certificate_ends: ("certificates", "db1", ""),
    certificate_ended: ("certificates", "db1", ""),
    old_backup: ("backups", "db1", ""),
    no_backup: ("backups", "db1", ""),
    archive_fails: ("backups", "db1", ""),
    backup_failed: ("backups", "db1", ""),
    timer_stopped: ("backups", "db1", "full backup timer"),
    cleaning_failed: ("airflow", "master1", ""),
    wrong_clock: ("hosts", "worker2", ""),
    connections_used: ("metastore", "db1", "patroni"),
    redis_full: ("redis", "redis1", "redis 7000"),
    unreachable_worker: ("hosts", "worker1", ""),
    unreachable_redis: ("hosts", "redis2", ""),
    login_refused: ("airflow", "", ""),
}


@pytest.mark.parametrize("fault", ONE_FAULT, ids=lambda fault: fault.__name__)
def test_one_fault_is_one_finding(fault: Callable[[World], None]) -> None:
    world = World()
    fault(world)
    report = world.judged()
    assert told(report) == [ONE_FAULT[fault]], report["text"]
    (finding,) = (entry for entry in report["findings"] if entry["level"] == "problem")
    assert all(finding[name] for name in ("what", "cause", "mend"))
    assert report["state"] == "problem"


def test_the_metastore_without_a_primary_explains_what_does_not_run() -> None:
    world = World()
    for host in METASTORES:
        world.stop(host, "patroni.service", "failed", "failed")
        world[host].update(postgres={"error": "no server"}, patroni={"error": "refused"})
    for host in MASTERS:
        for name in ("scheduler", "dag-processor", "triggerer"):
            world.stop(host, f"airflow-{name}.service", "activating", "auto-restart")
        world[host]["urls"]["api-server"]["body"] = {"metadatabase": {"status": "unhealthy"}}
        world[host]["urls"]["execution-api"] = {"status": 500, "body": None}
        world[host]["urls"]["scheduler"] = {"error": "Connection refused"}
        # It then knows no user.
        world.api_down(host, "refuses the password")
        world.observed[host]["airflow"]["login_refused"] = True
    for host in (*MASTERS, *WORKERS, "front1"):
        for entry in world[host]["haproxy"]:
            if entry["listener"] in ("metastore", "execution", "api"):
                entry.update(up=False, status="DOWN")
    world["front1"]["urls"]["nginx"] = {"status": 503, "body": None}
    report = world.judged()
    assert {component for component, _, _ in told(report)} == {"metastore"}
    assert len(told(report)) == 3
    assert any("no primary" in text for entry in report["findings"] for text in entry["consequences"])
    assert {entry["because"] for entry in report["unknown"]} == {"the metastore is down"}
    assert "because the metastore is down" in report["text"]


def test_every_master_without_haproxy_is_all_that_is_wrong() -> None:
    world = World()
    for host in MASTERS:
        haproxy_stopped_on_a_master(world, host)
    report = world.judged()
    assert told(report) == [("endpoints", host, "haproxy") for host in MASTERS], report["text"]
    assert {entry["because"].split()[-1] for entry in report["unknown"]} == {"run"}


def test_all_redis_gone_makes_the_queues_unknown() -> None:
    world = World()
    for host, port in NODES:
        world.stop(host, f"redis-cluster@{port}.service")
        world[host]["redis"][str(port)] = {"error": "refused"}
    for host in (*MASTERS, *WORKERS, "front1"):
        for entry in world[host]["haproxy"]:
            if entry["listener"] == "broker":
                entry.update(up=False, status="DOWN")
    for host in MASTERS:
        world.observed[host]["membership"] = {"msg": "the broker did not answer"}
    world["front1"]["urls"]["flower"] = {"error": "timed out"}
    report = world.judged()
    assert {component for component, _, _ in told(report)} == {"redis"}
    assert {entry["because"] for entry in report["unknown"]} == {"the broker is down"}
    assert "no Redis node answers: no task can be queued" in report["findings"][0]["consequences"]


def test_a_flower_with_another_password_is_a_fault_of_its_own() -> None:
    world = World()
    world["front1"]["urls"]["flower"] = {"status": 401, "body": None}
    (finding,) = world.judged()["findings"]
    assert finding["component"] == "flower"
    assert "refuses flower_user with flower_password" in json.dumps(finding)
    assert "site.yml" in json.dumps(finding)


def test_a_stopped_part_is_a_fault_of_its_own_while_the_metastore_is_down() -> None:
    world = World()
    for host in METASTORES:
        world.stop(host, "patroni.service", "failed", "failed")
        world[host].update(postgres={"error": "no server"}, patroni={"error": "refused"})
    world.stop("master1", "airflow-triggerer.service")
    for host in MASTERS:
        world.api_down(host)
    assert ("airflow", "master1", "triggerer") in told(world.judged())


def test_a_host_that_was_left_out_is_unknown_and_no_problem() -> None:
    world = World()
    world.observed["worker1"].update(left_out=True, reachable=False, look={})
    report = world.judged()
    assert told(report) == []
    assert {entry["because"] for entry in report["unknown"]} == {"worker1 was left out (--limit)"}


def test_a_host_whose_module_failed_is_told_once() -> None:
    world = World()
    world.observed["worker1"].update(reason="timed out", look={})
    assert told(world.judged()) == [("hosts", "worker1", "")]


def test_of_what_nobody_could_see_no_consequence_is_told() -> None:
    world = World()
    for host in (*REDIS, *METASTORES):
        world.unreachable(host)
    report = world.judged()
    assert {component for component, _, _ in told(report)} == {"hosts"}
    assert len(told(report)) == 6
    assert all(entry["consequences"] == [] for entry in report["findings"]), report["text"]
    assert {"host redis1 does not answer", "host db1 does not answer"} <= {
        entry["because"] for entry in report["unknown"]
    }


def test_the_owner_without_a_replica() -> None:
    world = World()
    for host, port in NODES:
        entries = world[host]["redis"][str(port)]["members"]
        entries[:] = [entry for entry in entries if entry["id"] != "redis2-7001"]
    world.expected["redis_nodes"] = [
        entry for entry in world.expected["redis_nodes"] if (entry["name"], entry["port"]) != ("redis2", 7001)
    ]
    parts = world.expected["hosts"]["redis2"]["parts"]
    parts[:] = [part for part in parts if part["name"] != "redis 7001"]
    report = world.judged()
    assert told(report) == [("redis", "redis1", "redis 7000")]
    assert "its loss stops all tasks" in report["findings"][0]["what"]


def test_a_host_whose_names_are_gone_is_told_where_it_needs_them() -> None:
    world = World()
    for host in ("master1", "front1"):
        world[host]["host"]["knows_names"] = False
    world.expected["hosts"]["master1"]["names"] = True
    report = world.judged()
    assert told(report) == [("hosts", "master1", "")]
    (problem,) = report["findings"]
    assert "its /etc/hosts has lost the names" in str(problem)
    assert "manage_etc_hosts" in str(problem)


def test_masters_of_one_host_are_a_warning() -> None:
    world = World()
    for host, port in NODES:
        for entry in world[host]["redis"][str(port)]["members"]:
            if entry["id"] == "redis3-7000":
                entry.update(role="replica", master_id="redis1-7001", slots=0)
            if entry["id"] == "redis1-7001":
                entry.update(role="master", master_id=None, slots=5461)
    report = world.judged()
    assert told(report) == []
    assert told(report, "warning") == [("redis", "redis1", "")]
    assert "redis_heal.yml" in report["findings"][0]["mend"]


@pytest.mark.parametrize("limit", [("disk_warn_percent", "disk_percent")])
def test_limits_are_inputs(limit: tuple[str, str]) -> None:
    world = World()
    limits = {**LIMITS, limit[0]: 40, limit[1]: 60}
    report = judge(world.expected, world.observed, limits, NOW)
    assert {entry["level"] for entry in report["findings"]} == {"warning"}
    assert report["state"] == "warning"
    report = judge(world.expected, world.observed, {**limits, limit[1]: 45}, NOW)
    assert len(told(report)) == len(ROLES)


def test_versions_that_differ_are_a_warning() -> None:
    world = World()
    world["redis3"]["redis"]["7001"]["version"] = "7.2.4"
    world["worker2"]["airflow_installed"] = "3.3.1"
    report = world.judged()
    assert told(report) == []
    assert [entry["what"].split()[0] for entry in report["findings"]] == ["Airflow", "Redis"]


def test_the_controllers_clock_is_blamed_where_all_differ_alike() -> None:
    world = World()
    for name in ROLES:
        world[name]["clock_offset"] = 100.0
    report = world.judged()
    assert told(report) == [("hosts", "", "")]
    assert "controller" in report["findings"][0]["what"]


def test_a_wrong_clock_makes_no_heartbeat_old() -> None:
    world = World()
    world["master1"]["clock_offset"] = 100.0
    for job in world.observed["master1"]["airflow"]["jobs"]:
        if job["host"].startswith("master2"):
            job["heartbeat_age"] += 100.0
    assert told(world.judged()) == [("hosts", "master1", "")]


def test_a_backup_that_nobody_verified_is_a_warning_once_it_is_old_enough() -> None:
    world = World()
    backups = world["db1"]["backups"]["backups"]
    backups.insert(0, {**backups[0], "ended": NOW - 60 * DAY})
    report = world.judged()
    assert told(report, "warning") == [("backups", "db1", "")]
    world["db1"]["backups"]["verified"] = {"backup": "F", "time": NOW - 3 * DAY}
    assert world.judged()["findings"] == []


def test_a_foreign_unit_that_failed_is_a_warning() -> None:
    world = World()
    world["redis1"]["systemd"]["failed"] = ["smartd.service"]
    report = world.judged()
    assert told(report, "warning") == [("hosts", "redis1", "")]
    assert told(report) == []


def test_a_deep_queue_that_is_served_is_a_warning() -> None:
    world = World()
    world["redis1"]["redis"]["7000"]["queues"] = {"q1": 5000}
    report = world.judged()
    assert told(report, "warning") == [("workers", "", "")]
    (queue,) = (entry for entry in report["queues"] if entry["queue"] == "q1")
    assert (queue["messages"], queue["workers"], queue["state"]) == (5000, 2, "warning")


def test_every_part_of_every_host_is_in_the_report() -> None:
    world = World()
    report = world.judged()
    wanted = {
        (name, part["name"]) for name, host in world.expected["hosts"].items() for part in host["parts"]
    }
    assert {(host["name"], part["name"]) for host in report["hosts"] for part in host["parts"]} == wanted
