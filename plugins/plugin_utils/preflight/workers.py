# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with workers and queues. The cluster's description is that of `preflight`."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from ansible.module_utils.parsing.convert_bool import BOOLEANS
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import (
    Problems,
    all_known,
    as_integer,
    count,
    hosts_of,
    known_hosts,
    listing,
    nearest,
    values_of,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import (
    RUNS_AIRFLOW,
    unset,
)

WORKER_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
# Celery takes queues as one text with commas between them, on the command line of a unit.
QUEUE_NAME = re.compile(r"(?!-)[^\s,\"'`\\\x00-\x1f\x7f]{1,200}")
SQS_QUEUE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,80}")
# Of systemd's MemoryMax=: systemd.resource-control(5).
MEMORY = re.compile(r"[1-9][0-9]*[KMGT]")
# What needs no quotes in a unit.
PLAIN_PATH = re.compile(r"/[^\s\"'%\\]*")


def check_workers(cluster: dict[str, Any], problems: Problems) -> dict[str, list[tuple[str, str]]]:
    """Judges airflow_workers; returns which workers (host, name) serve which queue."""
    served: dict[str, list[tuple[str, str]]] = {}
    for host in known_hosts(cluster, "airflow_worker"):
        workers = values_of(cluster, host).get("airflow_workers")
        if not isinstance(workers, list) or not workers:
            problems.add(
                "airflow_workers must be a list of at least one worker on {hosts}: "
                "for example [{name: default, queues: [default], concurrency: 8}]",
                host,
            )
            continue
        names = []
        for number, worker in enumerate(workers, start=1):
            if not isinstance(worker, dict):
                fix = "give it name, queues and concurrency"
                problems.add(
                    f"Worker {number} of airflow_workers is not a dictionary on {{hosts}}: {fix}", host
                )
                continue
            check_worker(cluster, host, number, worker, problems)
            names.append(str(worker.get("name")))
            queues = worker.get("queues")
            for queue in set(map(str, queues)) if isinstance(queues, list) else ():
                served.setdefault(queue, []).append((host, names[-1]))
        for name, times in Counter(names).items():
            if times > 1:
                problems.add(
                    f"airflow_workers names {name} {times} times on {{hosts}}: give each worker its own name",
                    host,
                )
    return served


def check_worker(
    cluster: dict[str, Any], host: str, number: int, worker: dict[str, Any], problems: Problems
) -> None:
    name, queues = worker.get("name"), worker.get("queues")
    label = f"Worker {name if isinstance(name, str) and name else number} of airflow_workers"
    if not isinstance(name, str) or not WORKER_NAME.fullmatch(name):
        fix = "use lower-case letters, digits, - and _, and begin with a letter or digit"
        problems.add(f"{label} has no fit name on {{hosts}}: {fix}", host)
    if not isinstance(queues, list) or not queues:
        problems.add(f"{label} has no queues on {{hosts}}: list at least one", host)
    else:
        for queue in queues:
            if not isinstance(queue, str) or not QUEUE_NAME.fullmatch(queue):
                fix = "use text without commas, spaces, quotes and backslashes, and no - at its beginning"
                problems.add(f"{label} has the queue {queue!r} on {{hosts}}: {fix}", host)
            elif uses_sqs(cluster, host) and not SQS_QUEUE_NAME.fullmatch(queue):
                fix = "Amazon SQS takes letters, digits, _, - and dots, 80 at the most"
                problems.add(f"{label} has the queue {queue!r} on {{hosts}}: {fix}", host)
        twice = sorted({str(queue) for queue in queues if queues.count(queue) > 1})
        if twice:
            problems.add(f"{label} has the queue {twice[0]} twice on {{hosts}}: remove one of them", host)
    check_slots(label, host, worker, problems)
    check_limits(label, host, worker, problems)
    keys = (cluster["known_variables"].get("airflow_workers") or {}).get("options") or {}
    for key in worker if keys else ():
        if key not in keys:
            hint = nearest(str(key), keys)
            problems.add(f"{label} has the unknown key {key}{hint} on {{hosts}}: correct or remove it", host)


def uses_sqs(cluster: dict[str, Any], host: str) -> bool:
    return (cluster["hosts"][host].get("broker") or {}).get("scheme") == "sqs"


def check_slots(label: str, host: str, worker: dict[str, Any], problems: Problems) -> None:
    if ("concurrency" in worker) == ("autoscale" in worker):
        problems.add(
            f"{label} has no fit concurrency on {{hosts}}: set it to the number of its task slots, 1 or "
            "more, or give it autoscale: {min: 2, max: 8} instead",
            host,
        )
    elif "concurrency" in worker:
        if (as_integer(worker["concurrency"]) or 0) < 1:
            problems.add(
                f"{label} has no fit concurrency on {{hosts}}: set it to the number of its task slots, "
                "1 or more",
                host,
            )
    else:
        bounds = worker["autoscale"] if isinstance(worker["autoscale"], dict) else {}
        least, most = as_integer(bounds.get("min")), as_integer(bounds.get("max"))
        if set(bounds) != {"min", "max"} or least is None or most is None or not 1 <= least <= most:
            problems.add(
                f"{label} has no fit autoscale on {{hosts}}: give min and max, numbers of task slots, "
                "with min from 1 to max",
                host,
            )


def check_limits(label: str, host: str, worker: dict[str, Any], problems: Problems) -> None:
    # What is in it is judged with all other variables (environment.py).
    if not isinstance(worker.get("environment", {}), dict):
        fix = "map names of letters, digits and _ to their values"
        problems.add(f"{label} has no fit environment on {{hosts}}: {fix}", host)
    if "memory_max" in worker and not MEMORY.fullmatch(str(worker["memory_max"])):
        fix = "give bytes with a unit, as in 4G or 512M"
        problems.add(f"{label} has no fit memory_max on {{hosts}}: {fix}", host)
    weight = as_integer(worker.get("cpu_weight", 100))
    if weight is None or not 1 <= weight <= 10000:
        fix = "give a number from 1 to 10000; 100 is a unit's share by default"
        problems.add(f"{label} has no fit cpu_weight on {{hosts}}: {fix}", host)
    check_sandbox(label, host, worker, problems)


def check_sandbox(label: str, host: str, worker: dict[str, Any], problems: Problems) -> None:
    if str(worker.get("sandbox", True)).lower() not in BOOLEANS:
        problems.add(f"{label} has no fit sandbox on {{hosts}}: give true or false", host)
    paths = worker.get("write_paths", [])
    if not isinstance(paths, list) or not all(
        isinstance(path, str) and PLAIN_PATH.fullmatch(path) for path in paths
    ):
        fix = "list absolute paths without spaces, quotes, % and backslashes"
        problems.add(f"{label} has no fit write_paths on {{hosts}}: {fix}", host)


def most_slots(worker: Any) -> int:
    """Task slots of an entry of airflow_workers, as many as it may have; none where that is not fit."""
    if not isinstance(worker, dict):
        return 0
    bounds = worker.get("autoscale")
    number = bounds.get("max") if isinstance(bounds, dict) else worker.get("concurrency")
    return as_integer(number) or 0


def check_queues(
    cluster: dict[str, Any], served: dict[str, list[tuple[str, str]]], problems: Problems
) -> None:
    needed: dict[str, int] = {}
    for host in known_hosts(cluster, *RUNS_AIRFLOW):
        required = values_of(cluster, host).get("airflow_required_queues")
        if unset(required):
            continue
        if not isinstance(required, dict):
            problems.add(
                "airflow_required_queues is not a dictionary on {hosts}: "
                "map each queue to the least number of its workers, as in {default: 2}",
                host,
            )
            continue
        for queue, least in required.items():
            number = as_integer(least)
            if number is None or number < 1:
                problems.add(
                    f"airflow_required_queues has no whole number from 1 for {queue} on {{hosts}}: "
                    "give the least number of its workers",
                    host,
                )
            else:
                needed[str(queue)] = max(number, needed.get(str(queue), 1))
    if not all_known(cluster, "airflow_worker") or not hosts_of(cluster, "airflow_worker"):
        return
    for queue, least in needed.items():
        workers = served.get(queue, [])
        if len(workers) < least:
            who = listing(f"{name} on {host}" for host, name in workers)
            problems.add(
                f"airflow_required_queues asks for {count(least, 'worker')} on the queue {queue}, but "
                + (
                    f"only {len(workers)} ({who}) would serve it"
                    if workers
                    else f"none would serve it{nearest(queue, served)}"
                )
                + ": add the queue to the queues of more workers in airflow_workers, or lower the number"
            )
