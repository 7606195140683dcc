# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges workers, and the queues that they serve."""

from __future__ import annotations

from typing import Any

from ansible_collections.airflowops.cluster.plugins.module_utils.celery.inspect import host_of, same_host
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.context import Context
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.masters import asked
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.report import count, follows, span

# A task is queued and taken within a second or two: what waits for less says nothing.
QUEUED_MOMENT = 20


def judge_workers(context: Context) -> None:
    for host, part in context.parts("workers"):
        needs = (("haproxy", host), ("endpoint", host, "broker"), ("broker",))
        context.unit_fault(host, part, *(needs if part["name"].startswith("worker ") else ()))
        answer = context.table(host, "urls").get(part["name"], {})
        if part["url"] and "error" in answer and not context.down("part", host, part["name"]):
            context.report.problem(
                "workers",
                "runs and does not answer: the UI cannot show logs of this host",
                str(answer["error"]),
                "`journalctl -u airflow-task-logs -n 50`",
                host=host,
                part=part["name"],
            )
    membership = next(
        (
            answer
            for host in context.expected["hosts"]
            if "workers" in (answer := context.observed.get(host, {}).get("membership") or {})
        ),
        None,
    )
    if membership is None:
        membership_unknown(context)
    else:
        answering(context, membership["workers"])
    served(context, None if membership is None else membership["workers"])
    waiting(context)


def membership_unknown(context: Context) -> None:
    if not any(True for _ in context.parts("workers")):
        return
    if context.expected["broker_kind"] == "sqs":
        context.report.note("workers", "Amazon SQS carries no questions to workers")
        return
    down = context.down("broker")
    askers = [host for host in context.expected["hosts"] if context.observed.get(host, {}).get("membership")]
    if not down:
        down = context.first_down(
            *(("haproxy", host) for host in askers), *(("endpoint", host, "broker") for host in askers)
        )
    if not down and not askers:
        down = context.first_down(*(("host", host) for host in context.expected["masters"]))
    if down:
        context.report.unknown("workers", "which worker serves which queue", down.because)
        return
    reported = [str(context.observed[host]["membership"].get("msg", "")) for host in askers]
    context.report.problem(
        "workers",
        "the workers cannot be asked for their queues",
        reported[0] if reported else "no master could ask",
        'docs/troubleshooting.md, "A task stays queued"',
    )


def answering(context: Context, workers: dict[str, list[str]]) -> None:
    """Whether each worker that runs answers, and serves what it should."""
    total = 0
    for host, entry in context.expected["hosts"].items():
        for worker in entry["workers"]:
            name = f"worker {worker['name']}"
            if context.down("part", host, name) or not context.seen(host):
                continue
            mine = [
                queues
                for node, queues in workers.items()
                if node.split("@", 1)[0] == worker["name"] and same_host(host_of(node), host)
            ]
            context.report.set_part(host, name, role=", ".join(worker["queues"]))
            unit = f"airflow-worker@{worker['name']}"
            if not mine:
                context.report.problem(
                    "workers",
                    "runs and does not answer",
                    "it lost the broker, or is too busy to answer",
                    f"`journalctl -u {unit} -n 50`, then `systemctl restart {unit}`: it finishes "
                    "its tasks first",
                    host=host,
                    part=name,
                )
                continue
            total += 1
            lacking = sorted({*worker["queues"]} - {queue for queues in mine for queue in queues})
            if lacking:
                context.report.problem(
                    "workers",
                    f"does not serve {', '.join(lacking)}",
                    "it is being drained or paused, or runs with an older configuration",
                    f"if nobody drains it: `systemctl restart {unit}`, or run site.yml",
                    host=host,
                    part=name,
                )
    context.report.note("workers", f"{count(total, 'worker')} answer" + ("s" if total == 1 else ""))


def depths(context: Context) -> dict[str, int]:
    """Messages that wait, as the owner of the broker's slot reports."""
    for host, part in context.parts("redis"):
        node = context.table(host, "redis").get(part["name"].split()[-1], {})
        if node.get("queues") is not None:
            return dict(node["queues"])
    return {}


def serving(context: Context, queue: str, workers: dict[str, list[str]] | None) -> int:
    """How many workers serve a queue; those that should, where nobody could be asked."""
    if workers is None:
        return len(context.expected["queues"].get(queue, []))
    return sum(queue in queues for queues in workers.values())


def served(context: Context, workers: dict[str, list[str]] | None) -> None:
    """The queues of the inventory: enough workers?"""
    waits = depths(context)
    answer = asked(context) or {"queued": {}}
    queued = answer["queued"].get("queues", {})
    for queue in sorted({*context.expected["queues"], *waits, *queued}):
        hosts = context.expected["queues"].get(queue, [])
        found = serving(context, queue, workers)
        wanted = context.expected["required"].get(queue, len(hosts))
        state = "ok" if found >= wanted else "problem"
        context.queues.append(
            {
                "queue": queue,
                "workers": found if workers is not None else None,
                "wanted": wanted,
                "messages": waits.get(queue, 0) if context.expected["redis_nodes"] else None,
                "queued_tasks": queued.get(queue, {}).get("tasks", 0),
                "oldest_seconds": queued.get(queue, {}).get("oldest_age"),
                "state": state if workers is not None else "unknown",
            }
        )
        if workers is None or found >= wanted:
            continue
        causes = faults_of(context, queue)
        text = f"queue {queue} has {found} of {count(wanted, 'worker')}"
        if causes:
            follows(causes[0], text)
        else:
            context.report.problem(
                "workers",
                text,
                "the inventory demands more than it gives the queue",
                "give the queue to more of airflow_workers, or lower airflow_required_queues",
            )


def faults_of(context: Context, queue: str) -> list[dict[str, Any]]:
    """The findings about workers that should serve a queue, or about their hosts."""
    names = {
        (host, f"worker {worker['name']}")
        for host, entry in context.expected["hosts"].items()
        for worker in entry["workers"]
        if queue in worker["queues"]
    }
    found = [
        entry
        for entry in context.report.findings
        if entry["level"] == "problem" and (entry["host"], entry["part"]) in names
    ]
    found += [down.finding for key in sorted(names) if (down := context.down("part", *key)) and down.finding]
    return found


def waiting(context: Context) -> None:
    """Queues that nobody serves, that are deep, or in which tasks wait for long."""
    limits = context.limits
    if not asked(context):
        down = context.down("answers")
        if down:
            context.report.unknown("workers", "tasks that wait", down.because)
    elif "queued" in (asked(context) or {})["errors"]:
        context.report.unknown("workers", "tasks that wait", (asked(context) or {})["errors"]["queued"])
    for entry in context.queues:
        queue = entry["queue"]
        waits = max(entry["messages"] or 0, entry["queued_tasks"])
        age = entry["oldest_seconds"] or 0
        if not waits or context.down("broker"):
            continue
        reported = f"{count(waits, 'task')} in queue {queue}" + (
            f", the first for {span(age)}" if age else ""
        )
        if entry["workers"] == 0:
            causes = faults_of(context, queue)
            if causes:
                follows(causes[0], f"{reported} wait")
            elif queue not in context.expected["queues"] and (
                age >= QUEUED_MOMENT or not entry["queued_tasks"]
            ):
                entry["state"] = "problem"
                dag = ((asked(context) or {"queued": {}})["queued"].get("queues", {}).get(queue) or {}).get(
                    "dag"
                )
                context.report.problem(
                    "workers",
                    f"{reported}: no worker serves it",
                    "a DAG names a queue that is in no airflow_workers" + (f": {dag}" if dag else ""),
                    "correct `queue=` in the DAG, or give the queue to a worker in "
                    "airflow_workers and run site.yml",
                )
            continue
        if entry["workers"] is None:
            continue
        if waits >= limits["queue_messages"] or age >= limits["queued_seconds"]:
            entry["state"] = "warning" if entry["state"] == "ok" else entry["state"]
            context.report.warn(
                "workers",
                f"{reported}",
                f"{count(entry['workers'], 'worker')} serve it; all slots are busy, or a task hangs in them",
                "Flower shows what they do; raise `concurrency`, add a worker, or see pools and "
                "max_active_tasks",
            )
