# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is found in a cluster of ten hosts, where several things are wrong or something is unknown."""

from __future__ import annotations

import json

import pytest
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.evaluate import judge
from health_world import (
    DAY,
    LIMITS,
    MASTERS,
    METASTORES,
    NODES,
    NOW,
    REDIS,
    ROLES,
    WORKERS,
    World,
    haproxy_stopped_on_a_master,
    reported,
)


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
    assert {component for component, _, _ in reported(report)} == {"metastore"}
    assert len(reported(report)) == 3
    assert any("no primary" in text for entry in report["findings"] for text in entry["consequences"])
    assert {entry["because"] for entry in report["unknown"]} == {"the metastore is down"}
    assert "because the metastore is down" in report["text"]


def test_every_master_without_haproxy_is_all_that_is_wrong() -> None:
    world = World()
    for host in MASTERS:
        haproxy_stopped_on_a_master(world, host)
    report = world.judged()
    assert reported(report) == [("endpoints", host, "haproxy") for host in MASTERS], report["text"]
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
    assert {component for component, _, _ in reported(report)} == {"redis"}
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
    assert ("airflow", "master1", "triggerer") in reported(world.judged())


def test_a_host_that_was_left_out_is_unknown_and_no_problem() -> None:
    world = World()
    world.observed["worker1"].update(left_out=True, reachable=False, look={})
    report = world.judged()
    assert reported(report) == []
    assert {entry["because"] for entry in report["unknown"]} == {"worker1 was left out (--limit)"}


def test_a_host_whose_module_failed_is_told_once() -> None:
    world = World()
    world.observed["worker1"].update(reason="timed out", look={})
    assert reported(world.judged()) == [("hosts", "worker1", "")]


def test_of_what_nobody_could_see_no_consequence_is_told() -> None:
    world = World()
    for host in (*REDIS, *METASTORES):
        world.unreachable(host)
    report = world.judged()
    assert {component for component, _, _ in reported(report)} == {"hosts"}
    assert len(reported(report)) == 6
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
    assert reported(report) == [("redis", "redis1", "redis 7000")]
    assert "its loss stops all tasks" in report["findings"][0]["what"]


def test_a_host_whose_names_are_gone_is_told_where_it_needs_them() -> None:
    world = World()
    for host in ("master1", "front1"):
        world[host]["host"]["knows_names"] = False
    world.expected["hosts"]["master1"]["names"] = True
    report = world.judged()
    assert reported(report) == [("hosts", "master1", "")]
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
    assert reported(report) == []
    assert reported(report, "warning") == [("redis", "redis1", "")]
    assert "redis_heal.yml" in report["findings"][0]["fix"]


@pytest.mark.parametrize("limit", [("disk_warn_percent", "disk_percent")])
def test_limits_are_inputs(limit: tuple[str, str]) -> None:
    world = World()
    limits = {**LIMITS, limit[0]: 40, limit[1]: 60}
    report = judge(world.expected, world.observed, limits, NOW)
    assert {entry["level"] for entry in report["findings"]} == {"warning"}
    assert report["state"] == "warning"
    report = judge(world.expected, world.observed, {**limits, limit[1]: 45}, NOW)
    assert len(reported(report)) == len(ROLES)


def test_a_patch_that_does_not_fit_is_one_warning_and_one_that_is_off_is_none() -> None:
    world = World()
    for host in ("worker1", "worker2"):
        world[host]["airflow_patches"] = {
            "airflow-worker@q1.service": {
                "task-end": {"state": "skipped", "reason": "gone"},
                "watchdog": {"state": "off", "reason": ""},
            }
        }
    (finding,) = world.judged()["findings"]
    assert finding["level"] == "warning"
    assert finding["what"].startswith("the patch task-end is skipped")
    assert (
        finding["cause"]
        == "gone (airflow-worker@q1.service on worker1, airflow-worker@q1.service on worker2)"
    )


def test_versions_that_differ_are_a_warning() -> None:
    world = World()
    world["redis3"]["redis"]["7001"]["version"] = "7.2.4"
    world["worker2"]["airflow_installed"] = "3.3.1"
    report = world.judged()
    assert reported(report) == []
    assert [entry["what"].split()[0] for entry in report["findings"]] == ["Airflow", "Redis"]


def test_the_controllers_clock_is_blamed_where_all_differ_alike() -> None:
    world = World()
    for name in ROLES:
        world[name]["clock_offset"] = 100.0
    report = world.judged()
    assert reported(report) == [("hosts", "", "")]
    assert "controller" in report["findings"][0]["what"]


def test_a_wrong_clock_makes_no_heartbeat_old() -> None:
    world = World()
    world["master1"]["clock_offset"] = 100.0
    for job in world.observed["master1"]["airflow"]["jobs"]:
        if job["host"].startswith("master2"):
            job["heartbeat_age"] += 100.0
    assert reported(world.judged()) == [("hosts", "master1", "")]


def test_a_backup_that_nobody_verified_is_a_warning_once_it_is_old_enough() -> None:
    world = World()
    backups = world["db1"]["backups"]["backups"]
    backups.insert(0, {**backups[0], "ended": NOW - 60 * DAY})
    report = world.judged()
    assert reported(report, "warning") == [("backups", "db1", "")]
    world["db1"]["backups"]["verified"] = {"backup": "F", "time": NOW - 3 * DAY}
    assert world.judged()["findings"] == []


def test_a_foreign_unit_that_failed_is_a_warning() -> None:
    world = World()
    world["redis1"]["systemd"]["failed"] = ["smartd.service"]
    report = world.judged()
    assert reported(report, "warning") == [("hosts", "redis1", "")]
    assert reported(report) == []


def test_a_deep_queue_that_is_served_is_a_warning() -> None:
    world = World()
    world["redis1"]["redis"]["7000"]["queues"] = {"q1": 5000}
    report = world.judged()
    assert reported(report, "warning") == [("workers", "", "")]
    (queue,) = (entry for entry in report["queues"] if entry["queue"] == "q1")
    assert (queue["messages"], queue["workers"], queue["state"]) == (5000, 2, "warning")


def test_every_part_of_every_host_is_in_the_report() -> None:
    world = World()
    report = world.judged()
    wanted = {
        (name, part["name"]) for name, host in world.expected["hosts"].items() for part in host["parts"]
    }
    assert {(host["name"], part["name"]) for host in report["hosts"] for part in host["parts"]} == wanted
