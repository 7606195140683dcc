# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of a DAG is reported as."""

from __future__ import annotations

import pytest
from airflow_api_server import URL, instance
from ansible_collections.airflowops.cluster.plugins.module_utils.airflow import dag_run_report as report


def test_tasks_come_in_the_order_of_their_start():
    tasks = report.summarize_tasks(
        [
            instance("never", state=None, start=None, hostname="", try_number=0),
            instance("second", start="2026-03-01T00:00:01.500000Z"),
            instance("first", start="2026-03-01T00:00:01Z"),
        ]
    )
    assert [task["task_id"] for task in tasks] == ["first", "second", "never"]
    assert tasks[0] == {
        "task_id": "first",
        "map_index": -1,
        "state": "success",
        "queue": "q1",
        "host": "w1",
        "try_number": 1,
        "duration": 1.5,
    }
    assert tasks[2]["host"] is None
    assert tasks[2]["duration"] is None


def test_seconds_between():
    assert report.seconds_between("2026-03-01T00:00:00Z", "2026-03-01T01:00:00.250000+01:00") == 0.25
    assert report.seconds_between("2026-03-01T00:00:00Z", None) is None
    assert report.seconds_between(None, None) is None


def test_log_url():
    task = report.summarize_tasks([instance("t", map_index=3, try_number=2)])[0]
    assert report.log_url(URL + "/", "d", "manual__2026-03-01T00:00:00+00:00", task) == (
        f"{URL}/dags/d/runs/manual__2026-03-01T00%3A00%3A00%2B00%3A00/tasks/t/mapped/3?try_number=2"
    )


def test_a_failure_names_task_host_queue_try_and_log():
    tasks = report.summarize_tasks(
        [
            instance("ok"),
            instance("bad", "failed", try_number=2),
            instance("after", "upstream_failed", start=None),
        ]
    )
    assert report.describe_failure(URL, "d", "r", tasks) == (
        "run r of DAG d failed: task bad failed on host w1, queue q1, try 2; "
        f"log: {URL}/dags/d/runs/r/tasks/bad?try_number=2; 1 more did not run because of that"
    )


def test_a_failure_without_a_failed_task():
    message = report.describe_failure(URL, "d", "r", report.summarize_tasks([instance("t", "skipped")]))
    assert "dagrun_timeout" in message
    assert "t skipped" in message


def test_long_lists_are_shortened():
    tasks = report.summarize_tasks([instance("t", "failed", map_index=i) for i in range(25)])
    message = report.describe_failure(URL, "d", "r", tasks)
    assert message.count("failed on host") == 10
    assert message.endswith("and 15 more")


@pytest.mark.parametrize(
    ("run_state", "states", "hint"),
    [
        ("queued", [], "max_active_runs"),
        ("running", ["queued"], "airflow_queue_membership"),
        ("running", ["scheduled"], "a slot in its pool"),
        ("running", ["success"], "look at the scheduler"),
    ],
)
def test_unfinished(run_state, states, hint):
    tasks = report.summarize_tasks([instance(f"t{i}", state) for i, state in enumerate(states)])
    message = report.describe_unfinished("d", {"dag_run_id": "r", "state": run_state}, tasks, 60)
    assert message.startswith(f"run r of DAG d is still {run_state} after 60 s: ")
    assert hint in message


def test_unfinished_names_state_queue_and_host():
    tasks = report.summarize_tasks(
        [instance("a", "running"), instance("b", None, start=None, hostname=None), instance("c")]
    )
    message = report.describe_unfinished("d", {"dag_run_id": "r", "state": "running"}, tasks, 60)
    assert "task a is running, queue q1, host w1; task b is not scheduled yet, queue q1" in message
    assert "task c" not in message


def test_import_errors_are_told_by_their_last_line():
    errors = [
        {"filename": "a.py", "stack_trace": "Traceback\n  x\nZeroDivisionError: y\n"},
        {"filename": "b.py"},
    ]
    assert report.describe_import_errors(errors) == "a.py: ZeroDivisionError: y; b.py: no stack trace"
