# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd says of units is read right, and what follows from it is done, no more and in order."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.airflowops.cluster.plugins.module_utils.host.systemd import (
    PROPERTIES,
    Step,
    Unit,
    hung_units,
    outdated,
    parse_show,
    plan,
    stale_units,
    units_to_reload,
    with_new_drop_ins,
    with_triggered,
)

BOOT = 1_000_000.0
# As systemd 252 writes it.
RUNNING = """\
Id=redis-cluster@7000.service
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
NeedDaemonReload=no
NRestarts=2
Job=0
ExecMainStartTimestampMonotonic=2500000
ActiveEnterTimestampMonotonic=3000000
StateChangeTimestampMonotonic=4000000
FragmentPath=/etc/systemd/system/redis-cluster@.service
DropInPaths=/etc/systemd/system/redis-cluster@.service.d/a.conf /run/systemd/b=c.conf
Triggers=
"""
UNKNOWN = """\
Id=airflow-scheduler.service
LoadState=not-found
ActiveState=inactive
SubState=dead
UnitFileState=
NeedDaemonReload=no
NRestarts=0
Job=
ExecMainStartTimestampMonotonic=0
ActiveEnterTimestampMonotonic=0
StateChangeTimestampMonotonic=0
FragmentPath=
DropInPaths=
"""
UNIT = Unit(
    name="a.service",
    loaded=True,
    active_state="active",
    sub_state="running",
    enabled=True,
    needs_reload=False,
    restarts=0,
    queued=False,
    started_at=100.0,
    settled_at=105.0,
    fragments=(),
)
STOPPED = replace(UNIT, active_state="inactive", sub_state="dead", started_at=0.0, settled_at=0.0)


def steps(*units: Unit, restart: list[str] | None = None, reload: list[str] | None = None) -> list[str]:
    return [step.describe() for step in plan(list(units), restart or [], reload or [])]


# --- What systemd says


def test_a_running_unit() -> None:
    assert parse_show(RUNNING, BOOT) == [
        Unit(
            name="redis-cluster@7000.service",
            loaded=True,
            active_state="active",
            sub_state="running",
            enabled=True,
            needs_reload=False,
            restarts=2,
            queued=False,
            started_at=BOOT + 2.5,
            settled_at=BOOT + 4.0,
            fragments=(
                "/etc/systemd/system/redis-cluster@.service",
                "/etc/systemd/system/redis-cluster@.service.d/a.conf",
                "/run/systemd/b=c.conf",
            ),
        )
    ]


def test_a_unit_that_systemd_does_not_know_was_never_started() -> None:
    (unit,) = parse_show(UNKNOWN, BOOT)
    assert unit == replace(
        STOPPED, name="airflow-scheduler.service", loaded=False, enabled=False, fragments=()
    )


def test_several_units_are_told_apart_in_their_order() -> None:
    units = parse_show(f"{UNKNOWN}\n{RUNNING}\n", BOOT)
    assert [unit.name for unit in units] == ["airflow-scheduler.service", "redis-cluster@7000.service"]
    assert [unit.loaded for unit in units] == [False, True]


def test_nothing_said_is_no_unit() -> None:
    assert parse_show("\n", BOOT) == []


def test_a_timer_runs_since_it_became_active() -> None:
    (timer,) = parse_show(
        RUNNING.replace("ExecMainStartTimestampMonotonic=2500000", "ExecMainStartTimestampMonotonic=0"), BOOT
    )
    assert timer.started_at == BOOT + 3.0
    (service,) = parse_show(RUNNING, BOOT)
    assert service.started_at == BOOT + 2.5


def test_every_property_that_is_read_is_asked_for() -> None:
    assert {line.partition("=")[0] for line in RUNNING.splitlines()} == {*PROPERTIES}


@pytest.mark.parametrize(
    ("state", "enabled"),
    [("enabled", True), ("enabled-runtime", True), ("static", True), ("disabled", False), ("masked", False)],
)
def test_enabled(state: str, enabled: bool) -> None:
    (unit,) = parse_show(RUNNING.replace("UnitFileState=enabled", f"UnitFileState={state}"), BOOT)
    assert unit.enabled is enabled


def test_files_newer_than_what_systemd_has_read() -> None:
    (unit,) = parse_show(RUNNING.replace("NeedDaemonReload=no", "NeedDaemonReload=yes"), BOOT)
    assert unit.needs_reload


@pytest.mark.parametrize(
    ("state", "job", "active", "ready", "lost"),
    [
        ("active", 0, True, True, False),
        ("reloading", 0, True, True, False),
        ("active", 17, True, False, False),
        ("activating", 17, False, False, False),
        ("deactivating", 17, False, False, False),
        ("inactive", 17, False, False, False),
        ("inactive", 0, False, False, True),
        ("failed", 0, False, False, True),
    ],
)
def test_active_ready_and_lost(state: str, job: int, active: bool, ready: bool, lost: bool) -> None:
    text = RUNNING.replace("ActiveState=active", f"ActiveState={state}").replace("Job=0", f"Job={job}")
    (unit,) = parse_show(text, BOOT)
    assert (unit.active, unit.ready, unit.lost) == (active, ready, lost)


# --- Which units run with old files


def test_a_unit_is_stale_if_a_file_changed_after_its_process_had_started() -> None:
    assert stale_units([UNIT], {"a.service": 100.5}) == ["a.service"]
    assert stale_units([UNIT], {"a.service": 99.5}) == []


def test_a_unit_that_hangs_with_older_files_is_restarted_and_one_on_its_way_up_is_not() -> None:
    hanging = replace(UNIT, active_state="activating", sub_state="start-post", started_at=100.0)
    assert hung_units([hanging], {"a.service": 200.0}) == ["a.service"]
    assert hung_units([hanging], {"a.service": 50.0}) == []
    assert hung_units([replace(hanging, active_state="active")], {"a.service": 200.0}) == []
    assert steps(hanging, restart=["a.service"]) == ["restart a.service"]
    assert steps(hanging) == []


def test_a_reload_does_not_make_a_stale_unit_fresh() -> None:
    assert stale_units([replace(UNIT, settled_at=200.0)], {"a.service": 150.0}) == ["a.service"]


def test_a_unit_is_reloaded_if_a_file_changed_after_it_was_reloaded_last() -> None:
    assert units_to_reload([UNIT], {"a.service": 105.5}) == ["a.service"]
    assert units_to_reload([UNIT], {"a.service": 104.5}) == []


@pytest.mark.parametrize("judge", [stale_units, units_to_reload])
def test_what_does_not_run_or_has_no_files_is_left_out(judge) -> None:
    other = replace(UNIT, name="b.service")
    assert judge([STOPPED, other], {"a.service": 9e9}) == []
    assert judge([UNIT, other], {"b.service": 9e9}) == ["b.service"]


# --- What is done


def test_nothing_is_done_where_all_is_well() -> None:
    assert plan([UNIT, replace(UNIT, name="b.service")], [], []) == []


def test_a_bare_host() -> None:
    new = replace(STOPPED, loaded=False, enabled=False)
    assert plan([new, replace(new, name="b.service")], [], []) == [
        Step("daemon-reload", ()),
        Step("enable", ("a.service", "b.service")),
        Step("start", ("a.service", "b.service")),
    ]


def test_only_what_does_not_run_is_started() -> None:
    assert steps(UNIT, replace(STOPPED, name="b.service")) == ["start b.service"]


def test_what_failed_is_started_and_what_is_starting_is_left_alone() -> None:
    starting = replace(STOPPED, active_state="activating", name="b.service")
    assert steps(replace(STOPPED, active_state="failed"), starting) == ["start a.service"]


def test_what_runs_but_would_not_start_at_boot_is_enabled() -> None:
    assert steps(replace(UNIT, enabled=False)) == ["enable a.service"]


def test_what_does_not_run_is_started_and_not_restarted_or_reloaded() -> None:
    assert steps(STOPPED, restart=["a.service"], reload=["a.service"]) == ["start a.service"]


def test_a_restart_makes_a_reload_needless() -> None:
    other = replace(UNIT, name="b.service")
    assert steps(UNIT, other, restart=["a.service"], reload=["a.service", "b.service"]) == [
        "restart a.service",
        "reload b.service",
    ]


def test_systemd_reads_its_files_before_anything_is_started_with_them() -> None:
    changed = replace(UNIT, needs_reload=True)
    assert steps(changed, replace(STOPPED, name="b.service"), restart=["a.service"]) == [
        "daemon-reload",
        "start b.service",
        "restart a.service",
    ]


@pytest.mark.parametrize(
    ("drop_ins", "needed"),
    [
        ({}, False),
        ({"a.service": ["/etc/systemd/system/a.service.d/x.conf"]}, True),
        ({"b.service": ["/etc/systemd/system/b.service.d/x.conf"]}, False),
    ],
)
def test_drop_in_that_is_not_loaded(drop_ins: dict[str, list[str]], needed: bool) -> None:
    (unit,) = with_new_drop_ins([UNIT], drop_ins)
    assert unit.needs_reload is needed


def test_drop_in_that_is_loaded() -> None:
    path = "/etc/systemd/system/a.service.d/x.conf"
    (unit,) = with_new_drop_ins([replace(UNIT, fragments=(path,))], {"a.service": [path]})
    assert not unit.needs_reload


def test_a_timer_is_loaded_anew_with_what_it_starts() -> None:
    def shown(name: str, *, outdated: str = "no", triggers: str = "") -> str:
        return (
            f"Id={name}\nLoadState=loaded\nActiveState=active\nSubState=waiting\nUnitFileState=enabled\n"
            f"NeedDaemonReload={outdated}\nTriggers={triggers}\n"
        )

    text = "\n".join([shown("a.timer", triggers="a.service"), shown("b.timer", triggers="b.service")])
    units = parse_show(text, 0.0)
    triggered = parse_show("\n".join([shown("a.service", outdated="yes"), shown("b.service")]), 0.0)
    assert plan(units, [], []) == []
    reported = with_triggered(units, triggered)
    assert [unit.name for unit in reported if unit.needs_reload] == ["a.timer"]
    assert [step.action for step in plan(reported, [], [])] == ["daemon-reload"]


def test_a_unit_started_before_systemd_read_its_changed_file_is_outdated() -> None:
    changed = replace(UNIT, needs_reload=True)
    assert outdated(changed, UNIT.started_at - 1)
    # It is stale anyway.
    assert not outdated(changed, UNIT.started_at + 1)
    assert not outdated(UNIT, UNIT.started_at - 1)
    assert not outdated(replace(changed, active_state="inactive"), UNIT.started_at - 1)
    # A timer whose service is to be read again.
    assert not outdated(replace(changed, triggers=("b.service",)), UNIT.started_at - 1)
