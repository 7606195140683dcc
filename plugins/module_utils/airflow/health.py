# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the answers of Airflow's REST API mean for its health. Pure functions."""

from __future__ import annotations

import re
from typing import Any, Iterable, Mapping

from ansible_collections.airflowops.cluster.plugins.module_utils.airflow.api import parse_time

JOB_TYPES = ("SchedulerJob", "DagProcessorJob", "TriggererJob")
# An error may quote an address with a password.
LOGIN_IN_URL = re.compile(r"(://)[^/\s@]+@")
LONGEST_ERROR = 300


def age(moment: str | None, now: float) -> float | None:
    """Seconds since a moment as the API writes it."""
    parsed = parse_time(moment)
    return None if parsed is None else round(now - parsed.timestamp(), 1)


def without_logins(text: str) -> str:
    return LOGIN_IN_URL.sub(r"\1********@", text)


def describe_jobs(jobs: Iterable[Mapping[str, Any]], now: float) -> list[dict[str, Any]]:
    """The job with the latest heartbeat of each kind on each host."""
    latest: dict[tuple[str, str], dict[str, Any]] = {}
    for job in jobs:
        seconds = age(job.get("latest_heartbeat"), now)
        if seconds is None:
            continue
        key = (str(job["job_type"]), str(job.get("hostname") or ""))
        if key not in latest or seconds < latest[key]["heartbeat_age"]:
            latest[key] = {
                "type": key[0],
                "host": key[1],
                "state": job.get("state"),
                "heartbeat_age": seconds,
            }
    return [latest[key] for key in sorted(latest)]


def describe_errors(errors: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    reported = []
    for error in errors:
        lines = (error.get("stack_trace") or "").strip().splitlines()
        last = lines[-1].strip() if lines else "no stack trace"
        reported.append(
            {
                "file": str(error["filename"]),
                "bundle": str(error.get("bundle_name") or ""),
                "error": without_logins(last)[:LONGEST_ERROR],
            }
        )
    return reported


def describe_dags(dags: Iterable[Mapping[str, Any]], count: int, now: float) -> dict[str, Any]:
    """How many there are, and which was read longest ago."""
    ages = {str(dag["dag_id"]): age(dag.get("last_parsed_time"), now) or 0.0 for dag in dags}
    oldest = max(ages, key=lambda name: ages[name], default=None)
    return {"count": count, "oldest": oldest, "oldest_age": ages[oldest] if oldest else None}


def describe_queued(tasks: Iterable[Mapping[str, Any]], count: int, now: float) -> dict[str, Any]:
    queues: dict[str, dict[str, Any]] = {}
    for task in tasks:
        seconds = age(task.get("queued_when"), now) or 0.0
        entry = queues.setdefault(
            str(task.get("queue")), {"tasks": 0, "oldest_age": seconds, "dag": task["dag_id"]}
        )
        entry["tasks"] += 1
        if seconds > entry["oldest_age"]:
            entry.update(oldest_age=seconds, dag=task["dag_id"])
    return {"count": count, "queues": {name: queues[name] for name in sorted(queues)}}
