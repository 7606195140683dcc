# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges Airflow: the masters' parts and their heartbeats, workers and their queues, DAG files."""

from __future__ import annotations

from typing import Any

from ansible_collections.airflowops.cluster.plugins.module_utils.celery.inspect import host_of, same_host
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.context import Down, Scene
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.report import count, follows, span
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.services import MASTER_PARTS

# A task is queued and taken within a second or two: what waits for less says nothing.
QUEUED_MOMENT = 20
MOST_NAMED = 10


def asked(scene: Scene) -> dict[str, Any] | None:
    """What the first API server that answered told."""
    for host in scene.expected["masters"]:
        answer = scene.observed.get(host, {}).get("airflow") or {}
        if answer.get("answers"):
            return {**answer, "asked": host}
    return None


def needs_of_masters(host: str) -> tuple[tuple[str, ...], ...]:
    return ("haproxy", host), ("endpoint", host, "metastore"), ("metastore",)


def judge_masters(scene: Scene) -> None:
    masters = scene.expected["masters"]
    for host, part in scene.parts("airflow"):
        if part["name"] not in MASTER_PARTS:
            scene.unit_fault(host, part)
            continue
        scene.unit_fault(host, part, *needs_of_masters(host))
        if not scene.down("part", host, part["name"]) and scene.seen(host) and part["url"]:
            answers(scene, host, part)
        down = scene.down("part", host, part["name"])
        if down and part["name"] == "api-server":
            scene.set_down("api", host, because=down.because, finding=down.finding)
    logins(scene)
    answer = asked(scene)
    if answer is None:
        no_answer(scene)
    else:
        heartbeats(scene, answer)
        if masters:
            told = [host for host in masters if not scene.down("host", host)]
            scene.report.note("airflow", f"{count(len(told), 'master')}")
    seen = [host for host in masters if scene.seen(host)]
    if seen == masters != [] and all(scene.down("part", host, "execution-api") for host in masters):
        for host in masters:
            down = scene.down("part", host, "execution-api")
            if down and down.finding:
                follows(down.finding, "no execution API answers: running tasks cannot report, and wait")
                break


def answers(scene: Scene, host: str, part: dict[str, Any]) -> None:
    """Whether a part whose unit is active serves."""
    name = part["name"]
    answer = scene.table(host, "urls").get(name, {})
    if "error" in answer:
        cause, why = scene.first_down(*needs_of_masters(host)), str(answer["error"])
    elif answer.get("status", 200) != 200:
        cause, why = scene.first_down(*needs_of_masters(host)), f"it answers {answer['status']}"
    elif name == "api-server" and reached(answer) is False:
        cause, why = scene.first_down(*needs_of_masters(host)), "it does not reach the metastore"
        if cause:
            # It would answer.
            scene.report.unknown("airflow", "", cause.because, host=host, part=name)
            return
    else:
        return
    if cause:
        scene.report.unknown("airflow", "", cause.because, host=host, part=name)
        scene.set_down("part", host, name, because=cause.because, finding=cause.finding)
        return
    unit = MASTER_PARTS[name][0]
    finding = scene.report.problem(
        "airflow",
        "runs and does not serve",
        why,
        f"`journalctl -u {unit} -n 50`, then `systemctl restart {unit}`",
        host=host,
        part=name,
    )
    scene.set_down("part", host, name, because=f"{name} on {host} does not serve", finding=finding)


def reached(answer: dict[str, Any]) -> bool | None:
    body = answer.get("body")
    if not isinstance(body, dict):
        return None
    return bool((body.get("metadatabase") or {}).get("status") == "healthy")


def logins(scene: Scene) -> None:
    """A user who is not let in is so everywhere: one finding."""
    refused = [
        (host, answer)
        for host in scene.expected["masters"]
        if (answer := scene.observed.get(host, {}).get("airflow") or {}).get("login_refused")
    ]
    # Without its database the API server knows no user, and says that the password is wrong.
    explained = [host for host, _ in refused if scene.first_down(*needs_of_masters(host))]
    if refused and not explained and asked(scene) is None:
        _host, answer = refused[0]
        finding = scene.report.problem(
            "airflow",
            "heartbeats, import errors and waiting tasks cannot be asked for",
            str(answer["reason"]),
            "give health_airflow_user and health_airflow_password a user of Airflow with the role Op",
        )
        scene.set_down("login", because="Airflow does not let the user in", finding=finding)


def no_answer(scene: Scene) -> None:
    if not scene.expected["masters"]:
        return
    hosts = scene.expected["masters"]
    needs = [need for host in hosts for need in (*needs_of_masters(host), ("api", host), ("host", host))]
    cause = scene.first_down(("metastore",), ("login",), *needs)
    reasons = [
        reason
        for host in hosts
        if (reason := (scene.observed.get(host, {}).get("airflow") or {}).get("reason"))
    ]
    if cause is None:
        finding = scene.report.problem(
            "airflow",
            "no API server tells of Airflow's health",
            reasons[0] if reasons else "none could be asked",
            "`journalctl -u airflow-api-server -n 50` on the masters",
        )
        cause = Down("no API server answers", finding)
    scene.set_down("answers", because=cause.because, finding=cause.finding)
    scene.report.unknown("airflow", "heartbeats", cause.because)


def clock_offset(scene: Scene, host: str) -> float:
    return float(scene.look(host).get("clock_offset") or 0.0)


def heartbeats(scene: Scene, answer: dict[str, Any]) -> None:
    """Of every master, not of the latest one alone."""
    if "jobs" in answer["errors"]:
        scene.report.unknown("airflow", "heartbeats", answer["errors"]["jobs"])
        return
    limit = scene.limits["heartbeat_seconds"]
    for host in scene.expected["masters"]:
        fqdn = scene.look(host).get("host", {}).get("fqdn", host)
        for name, (unit, kind, _url) in MASTER_PARTS.items():
            if not kind or scene.down("part", host, name) or not scene.seen(host):
                continue
            # Written by one clock and judged by another: what is wrong with them is a finding of its own.
            doubt = clock_offset(scene, host) - clock_offset(scene, answer["asked"])
            ages = [
                job["heartbeat_age"] + doubt
                for job in answer["jobs"]
                if job["type"] == kind and (same_host(job["host"], fqdn) or same_host(job["host"], host))
            ]
            if ages and min(ages) <= limit:
                continue
            cause = scene.first_down(*needs_of_masters(host))
            if cause:
                scene.report.unknown("airflow", "heartbeat", cause.because, host=host, part=name)
                continue
            scene.report.problem(
                "airflow",
                f"its last heartbeat is {span(min(ages))} old" if ages else "there is no heartbeat of it",
                "the process runs and hangs, or does not reach the metastore",
                f"`journalctl -u {unit} -n 50`, then `systemctl restart {unit}`",
                host=host,
                part=name,
            )


# --- Workers


def judge_workers(scene: Scene) -> None:
    for host, part in scene.parts("workers"):
        needs = (("haproxy", host), ("endpoint", host, "broker"), ("broker",))
        scene.unit_fault(host, part, *(needs if part["name"].startswith("worker ") else ()))
        answer = scene.table(host, "urls").get(part["name"], {})
        if part["url"] and "error" in answer and not scene.down("part", host, part["name"]):
            scene.report.problem(
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
            for host in scene.expected["hosts"]
            if "workers" in (answer := scene.observed.get(host, {}).get("membership") or {})
        ),
        None,
    )
    if membership is None:
        membership_unknown(scene)
    else:
        answering(scene, membership["workers"])
    served(scene, None if membership is None else membership["workers"])
    waiting(scene)


def membership_unknown(scene: Scene) -> None:
    if not any(True for _ in scene.parts("workers")):
        return
    if scene.expected["broker_kind"] == "sqs":
        scene.report.note("workers", "Amazon SQS carries no questions to workers")
        return
    down = scene.down("broker")
    askers = [host for host in scene.expected["hosts"] if scene.observed.get(host, {}).get("membership")]
    if not down:
        down = scene.first_down(
            *(("haproxy", host) for host in askers), *(("endpoint", host, "broker") for host in askers)
        )
    if not down and not askers:
        down = scene.first_down(*(("host", host) for host in scene.expected["masters"]))
    if down:
        scene.report.unknown("workers", "which worker serves which queue", down.because)
        return
    told = [str(scene.observed[host]["membership"].get("msg", "")) for host in askers]
    scene.report.problem(
        "workers",
        "the workers cannot be asked for their queues",
        told[0] if told else "no master could ask",
        'docs/troubleshooting.md, "A task stays queued"',
    )


def answering(scene: Scene, workers: dict[str, list[str]]) -> None:
    """Whether each worker that runs answers, and serves what it should."""
    total = 0
    for host, entry in scene.expected["hosts"].items():
        for worker in entry["workers"]:
            name = f"worker {worker['name']}"
            if scene.down("part", host, name) or not scene.seen(host):
                continue
            mine = [
                queues
                for node, queues in workers.items()
                if node.split("@", 1)[0] == worker["name"] and same_host(host_of(node), host)
            ]
            scene.report.set_part(host, name, role=", ".join(worker["queues"]))
            unit = f"airflow-worker@{worker['name']}"
            if not mine:
                scene.report.problem(
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
                scene.report.problem(
                    "workers",
                    f"does not serve {', '.join(lacking)}",
                    "it is being drained or paused, or runs with an older configuration",
                    f"if nobody drains it: `systemctl restart {unit}`, or run site.yml",
                    host=host,
                    part=name,
                )
    scene.report.note("workers", f"{count(total, 'worker')} answer" + ("s" if total == 1 else ""))


def depths(scene: Scene) -> dict[str, int]:
    """Messages that wait, as the owner of the broker's slot tells."""
    for host, part in scene.parts("redis"):
        node = scene.table(host, "redis").get(part["name"].split()[-1], {})
        if node.get("queues") is not None:
            return dict(node["queues"])
    return {}


def serving(scene: Scene, queue: str, workers: dict[str, list[str]] | None) -> int:
    """How many workers serve a queue; those that should, where nobody could be asked."""
    if workers is None:
        return len(scene.expected["queues"].get(queue, []))
    return sum(queue in queues for queues in workers.values())


def served(scene: Scene, workers: dict[str, list[str]] | None) -> None:
    """The queues of the inventory: enough workers?"""
    waits = depths(scene)
    answer = asked(scene) or {"queued": {}}
    queued = answer["queued"].get("queues", {})
    for queue in sorted({*scene.expected["queues"], *waits, *queued}):
        hosts = scene.expected["queues"].get(queue, [])
        found = serving(scene, queue, workers)
        wanted = scene.expected["required"].get(queue, len(hosts))
        state = "ok" if found >= wanted else "problem"
        scene.queues.append(
            {
                "queue": queue,
                "workers": found if workers is not None else None,
                "wanted": wanted,
                "messages": waits.get(queue, 0) if scene.expected["redis_nodes"] else None,
                "queued_tasks": queued.get(queue, {}).get("tasks", 0),
                "oldest_seconds": queued.get(queue, {}).get("oldest_age"),
                "state": state if workers is not None else "unknown",
            }
        )
        if workers is None or found >= wanted:
            continue
        causes = faults_of(scene, queue)
        text = f"queue {queue} has {found} of {count(wanted, 'worker')}"
        if causes:
            follows(causes[0], text)
        else:
            scene.report.problem(
                "workers",
                text,
                "the inventory demands more than it gives the queue",
                "give the queue to more of airflow_workers, or lower airflow_required_queues",
            )


def faults_of(scene: Scene, queue: str) -> list[dict[str, Any]]:
    """The findings about workers that should serve a queue, or about their hosts."""
    names = {
        (host, f"worker {worker['name']}")
        for host, entry in scene.expected["hosts"].items()
        for worker in entry["workers"]
        if queue in worker["queues"]
    }
    found = [
        entry
        for entry in scene.report.findings
        if entry["level"] == "problem" and (entry["host"], entry["part"]) in names
    ]
    found += [down.finding for key in sorted(names) if (down := scene.down("part", *key)) and down.finding]
    return found


def waiting(scene: Scene) -> None:
    """Queues that nobody serves, that are deep, or in which tasks wait for long."""
    limits = scene.limits
    if not asked(scene):
        down = scene.down("answers")
        if down:
            scene.report.unknown("workers", "tasks that wait", down.because)
    elif "queued" in (asked(scene) or {})["errors"]:
        scene.report.unknown("workers", "tasks that wait", (asked(scene) or {})["errors"]["queued"])
    for entry in scene.queues:
        queue = entry["queue"]
        waits = max(entry["messages"] or 0, entry["queued_tasks"])
        age = entry["oldest_seconds"] or 0
        if not waits or scene.down("broker"):
            continue
        told = f"{count(waits, 'task')} in queue {queue}" + (f", the first for {span(age)}" if age else "")
        if entry["workers"] == 0:
            causes = faults_of(scene, queue)
            if causes:
                follows(causes[0], f"{told} wait")
            elif queue not in scene.expected["queues"] and (
                age >= QUEUED_MOMENT or not entry["queued_tasks"]
            ):
                entry["state"] = "problem"
                dag = ((asked(scene) or {"queued": {}})["queued"].get("queues", {}).get(queue) or {}).get(
                    "dag"
                )
                scene.report.problem(
                    "workers",
                    f"{told}: no worker serves it",
                    "a DAG names a queue that is in no airflow_workers" + (f": {dag}" if dag else ""),
                    "correct `queue=` in the DAG, or give the queue to a worker in "
                    "airflow_workers and run site.yml",
                )
            continue
        if entry["workers"] is None:
            continue
        if waits >= limits["queue_messages"] or age >= limits["queued_seconds"]:
            entry["state"] = "warning" if entry["state"] == "ok" else entry["state"]
            scene.report.warn(
                "workers",
                f"{told}",
                f"{count(entry['workers'], 'worker')} serve it; all slots are busy, or a task hangs in them",
                "Flower shows what they do; raise `concurrency`, add a worker, or see pools and "
                "max_active_tasks",
            )


# --- DAG files


def judge_dags(scene: Scene) -> None:
    answer = asked(scene)
    if answer is None:
        down = scene.down("answers")
        if down:
            scene.report.unknown("dags", "import errors and age", down.because)
        return
    if "import_errors" in answer["errors"]:
        scene.report.unknown("dags", "import errors", answer["errors"]["import_errors"])
    for error in answer["import_errors"][:MOST_NAMED]:
        scene.report.problem(
            "dags",
            f"{error['file']} cannot be imported",
            error["error"],
            "correct the file and deploy it (dags_deploy.yml); `airflow dags "
            "list-import-errors` has the whole trace",
        )
    more = answer["import_error_count"] - min(len(answer["import_errors"]), MOST_NAMED)
    if more > 0:
        scene.report.problem(
            "dags",
            f"{count(more, 'more file')} cannot be imported",
            "see the others",
            "`airflow dags list-import-errors` on a master",
        )
    dags = answer["dags"]
    if "dags" in answer["errors"]:
        scene.report.unknown("dags", "age", answer["errors"]["dags"])
    if not dags:
        return
    scene.report.note("dags", f"{count(dags['count'], 'DAG')}")
    age = dags.get("oldest_age") or 0
    if age > scene.limits["parse_seconds"]:
        text = f"{dags['oldest']} was read {span(age)} ago"
        downs = [scene.down("part", host, "dag-processor") for host in scene.expected["masters"]]
        faulty = [down.finding for down in downs if down and down.finding]
        if downs and all(downs) and faulty:
            follows(faulty[0], f"DAG files are not read: {text}")
            return
        scene.report.warn(
            "dags",
            text,
            "the DAG processors do not keep up, or a file takes too long",
            "`journalctl -u airflow-dag-processor -n 100` names slow files; raise "
            "[dag_processor] parsing_processes",
        )
    elif age:
        scene.report.note("dags", f"read at most {span(age)} ago")


def judge_patches(scene: Scene) -> None:
    """Patches of the runtime package: one finding for each that does not fit, not for each service."""
    off: set[str] = set()
    skipped: dict[tuple[str, str], list[str]] = {}
    for host in scene.expected["hosts"]:
        for unit, patches in scene.table(host, "airflow_patches").items():
            for name, result in patches.items() if isinstance(patches, dict) else ():
                if result["state"] == "off":
                    off.add(name)
                else:
                    skipped.setdefault((name, result["reason"]), []).append(f"{unit} on {host}")
    if off:
        scene.report.note("airflow", f"patches switched off: {', '.join(sorted(off))}")
    for (name, reason), places in sorted(skipped.items()):
        scene.report.warn(
            "airflow",
            f"the patch {name} is skipped, as it does not fit what is installed",
            f"{reason} ({', '.join(places[:MOST_NAMED])})",
            "docs/runtime.md says what is missed without it: use the tested versions in airflow_lock_file, "
            "or a collection that knows these",
        )
