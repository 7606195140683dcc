# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes back when a run fails, what stays, and what starts again with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.airflowops.cluster.plugins.module_utils.host.rollback_plan import (
    plan_acceptance,
    plan_rollback,
    plan_units,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.host.systemd import Unit

CONFIG = "/etc/airflow/airflow.cfg"
SCHEDULER_UNIT = "/etc/systemd/system/airflow-scheduler.service"
WORKER_UNIT = "/etc/systemd/system/airflow-worker@q1.service"
UNIT = Unit(
    name="airflow-scheduler.service",
    loaded=True,
    active_state="active",
    sub_state="running",
    enabled=True,
    needs_reload=False,
    restarts=0,
    queued=False,
    started_at=50.0,
    settled_at=50.0,
    fragments=(SCHEDULER_UNIT,),
)
WORKER = replace(UNIT, name="airflow-worker@q1.service", fragments=(WORKER_UNIT,))
NOTED = {
    UNIT.name: {"files": [CONFIG], "reload_files": []},
    WORKER.name: {"files": [CONFIG], "reload_files": []},
}


def kept(**entry: Any) -> dict[str, Any]:
    return {"part": "airflow", "copy": "a", "replaced_at": 100.0, **entry}


def restarted(unit: Unit) -> Unit:
    return replace(unit, started_at=110.0, settled_at=110.0)


def steps(files: dict[str, Any], returned: list[str], units: list[Unit], noted: Any = NOTED) -> list[str]:
    return [step.describe() for step in plan_units(files, returned, units, noted)]


def test_what_no_unit_was_restarted_for_goes_back_and_nothing_is_restarted() -> None:
    files = {CONFIG: kept(), SCHEDULER_UNIT: kept()}
    assert plan_rollback(files, [UNIT, WORKER], NOTED, []).files == (CONFIG, SCHEDULER_UNIT)
    assert steps(files, [CONFIG], [UNIT, WORKER]) == []


def test_what_all_of_its_units_run_healthy_with_stays() -> None:
    files = {CONFIG: kept(), SCHEDULER_UNIT: kept()}
    rollback = plan_rollback(files, [restarted(UNIT), restarted(WORKER)], NOTED, [])
    assert rollback.files == ()
    assert rollback.proven == (CONFIG, SCHEDULER_UNIT)


def test_a_file_that_one_of_two_units_runs_with_goes_back_and_that_unit_starts_again() -> None:
    files = {CONFIG: kept(), SCHEDULER_UNIT: kept()}
    units = [restarted(UNIT), WORKER]
    rollback = plan_rollback(files, units, NOTED, [])
    assert rollback.files == (CONFIG,)
    assert rollback.proven == (SCHEDULER_UNIT,)
    assert steps(files, [CONFIG], units) == [f"restart {UNIT.name}"]


def test_on_the_host_that_failed_all_of_a_part_goes_back() -> None:
    files = {CONFIG: kept(), "/etc/nginx/nginx.conf": kept(part="nginx_lb")}
    nginx = replace(
        restarted(UNIT), name="nginx.service", fragments=("/usr/lib/systemd/system/nginx.service",)
    )
    noted = {**NOTED, nginx.name: {"files": [], "reload_files": ["/etc/nginx/nginx.conf"]}}
    units = [restarted(UNIT), restarted(WORKER), nginx]
    assert plan_rollback(files, units, noted, ["airflow"]).files == (CONFIG,)


def test_a_unit_that_failed_or_hangs_with_the_new_file_starts_with_the_previous_one() -> None:
    files = {CONFIG: kept(), SCHEDULER_UNIT: kept()}
    failed = replace(restarted(UNIT), active_state="failed")
    hanging = replace(restarted(WORKER), active_state="activating", sub_state="start-post")
    assert plan_rollback(files, [failed, hanging], NOTED, []).files == (CONFIG, SCHEDULER_UNIT)
    assert steps(files, [CONFIG, SCHEDULER_UNIT], [failed, hanging]) == [
        "daemon-reload",
        f"start {UNIT.name}",
        f"restart {WORKER.name}",
    ]


def test_what_was_reloaded_is_reloaded_again_and_what_was_not_is_left() -> None:
    path = "/etc/haproxy/haproxy.cfg"
    files = {path: kept(part="service_endpoints")}
    noted = {UNIT.name: {"files": [], "reload_files": [path]}}
    reloaded = replace(UNIT, settled_at=110.0)
    assert plan_rollback(files, [reloaded], noted, []).proven == (path,)
    assert steps(files, [path], [reloaded], noted) == [f"reload {UNIT.name}"]
    assert steps(files, [path], [UNIT], noted) == []


def test_a_unit_that_the_run_has_brought_is_left_alone() -> None:
    files = {WORKER_UNIT: kept(copy=None), CONFIG: kept()}
    new = replace(restarted(WORKER), active_state="activating", sub_state="auto-restart")
    rollback = plan_rollback(files, [UNIT, new], NOTED, ["airflow"])
    assert rollback.new == (WORKER_UNIT,)
    assert rollback.files == (CONFIG,)
    assert steps(files, [CONFIG], [UNIT, new]) == []


def test_a_file_that_nothing_is_known_to_read_goes_back() -> None:
    assert plan_rollback({"/etc/redis-cluster/live.conf": kept()}, [UNIT], NOTED, []).files


def test_a_worker_out_of_service_keeps_nothing_from_being_proven() -> None:
    gone = replace(WORKER, active_state="inactive", sub_state="dead", enabled=False)
    assert plan_rollback({CONFIG: kept()}, [restarted(UNIT), gone], NOTED, []).proven == (CONFIG,)


def test_only_what_every_running_unit_has_read_is_accepted() -> None:
    files = {CONFIG: kept(), "/etc/nginx/nginx.conf": kept(part="nginx_lb")}
    assert plan_acceptance(files, [restarted(UNIT), WORKER], NOTED, ["airflow"]) == []
    units = [restarted(UNIT), restarted(WORKER)]
    assert plan_acceptance(files, units, NOTED, ["airflow"]) == [CONFIG]
    assert plan_acceptance(files, units, NOTED, []) == sorted(files)
