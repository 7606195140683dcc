# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of a DAG is reported as: its tasks, and why it failed or did not end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

from ansible_collections.airflowops.cluster.plugins.module_utils.airflow.api import parse_time, segment

FINISHED_RUN = frozenset({"success", "failed"})
FINISHED_TASK = frozenset({"success", "failed", "upstream_failed", "skipped", "removed"})


def seconds_between(start: str | None, end: str | None) -> float | None:
    begun, ended = parse_time(start), parse_time(end)
    return round((ended - begun).total_seconds(), 3) if begun and ended else None


def summarize_tasks(instances: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Task instances of the API, in the order in which they started, with what a user asks for."""
    latest = datetime.max.replace(tzinfo=timezone.utc)  # those that have not started come last
    ordered = sorted(
        instances,
        key=lambda task: (parse_time(task["start_date"]) or latest, task["task_id"], task["map_index"]),
    )
    return [
        {
            "task_id": task["task_id"],
            "map_index": task["map_index"],
            "state": task["state"],
            "queue": task["queue"],
            "host": task["hostname"] or None,
            "try_number": task["try_number"],
            "duration": seconds_between(task["start_date"], task["end_date"]),
        }
        for task in ordered
    ]


def log_url(base_url: str, dag_id: str, run_id: str, task: Mapping[str, Any]) -> str:
    """The page of Airflow's UI with the log of a task's last try."""
    mapped = f"/mapped/{task['map_index']}" if task["map_index"] >= 0 else ""
    attempt = f"?try_number={task['try_number']}" if task["try_number"] else ""
    return (
        f"{base_url.rstrip('/')}/dags/{segment(dag_id)}/runs/{segment(run_id)}/tasks/{segment(task['task_id'])}"
        f"{mapped}{attempt}"
    )


def task_name(task: Mapping[str, Any]) -> str:
    return f"{task['task_id']}[{task['map_index']}]" if task["map_index"] >= 0 else str(task["task_id"])


def describe_failure(base_url: str, dag_id: str, run_id: str, tasks: Iterable[Mapping[str, Any]]) -> str:
    """Which tasks failed, where, and where their logs are."""
    tasks = list(tasks)
    failed = [
        f"task {task_name(task)} failed on host {task['host'] or '(none: it never started)'}, "
        f"queue {task['queue']}, try {task['try_number']}; log: {log_url(base_url, dag_id, run_id, task)}"
        for task in tasks
        if task["state"] == "failed"
    ]
    text = f"run {run_id} of DAG {dag_id} failed: "
    if not failed:
        states = ", ".join(f"{task_name(task)} {task['state']}" for task in tasks[:10])
        return (
            f"{text}no task of it did, so see dagrun_timeout, and who set its state "
            f"(tasks: {states or 'none'})"
        )
    held = sum(task["state"] == "upstream_failed" for task in tasks)
    return text + _shortened(failed) + (f"; {held} more did not run because of that" if held else "")


def describe_unfinished(
    dag_id: str, run: Mapping[str, Any], tasks: Iterable[Mapping[str, Any]], seconds: float
) -> str:
    """Which tasks a timeout found unfinished, and what their state says about the reason."""
    tasks = list(tasks)
    left = [
        f"task {task_name(task)} is {task['state'] or 'not scheduled yet'}, queue {task['queue']}"
        + (f", host {task['host']}" if task["host"] else "")
        for task in tasks
        if task["state"] not in FINISHED_TASK
    ]
    text = f"run {run['dag_run_id']} of DAG {dag_id} is still {run['state']} after {seconds:g} s: "
    text += _shortened(left) if left else "all of its tasks are done, so look at the scheduler"
    states = {task["state"] for task in tasks}
    if run["state"] == "queued":
        text += ". The scheduler has not begun it: is one running, and is max_active_runs of the DAG reached?"
    elif "queued" in states:
        text += (
            ". Queued means that no worker has taken it: "
            "airflowops.cluster.airflow_queue_membership reports who serves the queue"
        )
    elif "scheduled" in states:
        text += ". Scheduled means that it waits for the scheduler or for a slot in its pool"
    return text


def describe_import_errors(errors: Iterable[Mapping[str, Any]]) -> str:
    """The last line of each stack trace, which is the informative one."""
    reported = []
    for error in errors:
        lines = (error.get("stack_trace") or "").strip().splitlines()
        reported.append(f"{error['filename']}: {lines[-1].strip() if lines else 'no stack trace'}")
    return _shortened(reported)


def _shortened(items: list[str], most: int = 10) -> str:
    more = f"; and {len(items) - most} more" if len(items) > most else ""
    return "; ".join(items[:most]) + more
