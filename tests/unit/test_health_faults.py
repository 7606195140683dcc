# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One fault is one finding, and what follows from it belongs to it."""

from __future__ import annotations

import json
from typing import Callable

import pytest
from health_world import (
    DAY,
    MASTERS,
    METASTORES,
    NOW,
    WORKERS,
    World,
    haproxy_stopped_on_a_master,
    login_refused,
    redis_node_down,
    reported,
    unreachable_worker,
)


def test_a_cluster_that_is_well_is_silent() -> None:
    report = World().judged()
    assert report["findings"] == []
    assert report["unknown"] == []
    assert report["state"] == "ok"
    assert {part["state"] for host in report["hosts"] for part in host["parts"]} == {"ok"}
    assert "All is well" in report["text"]
    assert json.loads(json.dumps(report)) == report


# --- Each fault by itself: one finding, and all that follows belongs to it


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
    assert reported(report) == [ONE_FAULT[fault]], report["text"]
    (finding,) = (entry for entry in report["findings"] if entry["level"] == "problem")
    assert all(finding[name] for name in ("what", "cause", "fix"))
    assert report["state"] == "problem"
