#!/usr/bin/env python3
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Airflow with its own defaults against our configuration, in turn, on the same lab.

Tasks that do nothing: 100 side by side, a chain of 20, and DAGs of 10 rows of 10. What is taken is what
Airflow noted of its tasks. Writes the tables in docs/benchmarks.md; the last line printed is JSON. Ends with
1 unless ours has twice the tasks a second of the defaults with as many slots, and a quarter of their median
gap between a task's end and its successor's start.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import statistics
import sys
import time
from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "lab"), str(ROOT / ".collections")]

from lab import Lab, wait_until

PAGE = ROOT / "docs/benchmarks.md"
BEGIN, END = "<!-- airflow {} -->", "<!-- airflow {} end -->"
# What our configuration sets for speed, or what bears on it.
TUNED = {
    "scheduler": [
        "scheduler_idle_sleep_time",
        "task_instance_heartbeat_timeout",
        "task_instance_heartbeat_timeout_detection_interval",
    ],
    "workers": [
        "min_heartbeat_interval",
        "execution_api_retries",
        "execution_api_retry_wait_max",
        "execution_api_timeout",
        "max_failed_heartbeats",
    ],
    "dag_processor": ["refresh_interval", "min_file_process_interval"],
    "celery": ["worker_concurrency"],
}
COMPONENTS = {
    "airflow-api-server": "airflow_master",
    "airflow-execution-api": "airflow_master",
    "airflow-scheduler": "airflow_master",
    "airflow-dag-processor": "airflow_master",
    "airflow-triggerer": "airflow_master",
    "airflow-worker@*": "airflow_worker",
}
# Ten hosts on two cores measure what nine idle ones cost, too.
TOPOLOGIES = {"single_node": "One host of two cores", "multi_node": "Ten hosts on two cores"}
# Airflow's defaults; the same with our number of slots; ours.
SIDES = ("stock", "slots", "ours")
# Who watches would be measured, too.
UNWATCHED = {"observability_group": "nobody"}
# After a restart of everything.
SETTLE = 10
# For a request that is answered that it should be sent again.
PATIENCE = 60
MOST_GAP, LEAST_RATE = 0.25, 2.0


def stock(lab: Lab) -> dict[str, dict[str, str]]:
    """Airflow's own defaults of what we set, as the release in use reports them."""
    program = (
        "import json; from airflow.configuration import conf; "
        f"wanted = json.loads('{json.dumps(TUNED)}'); "
        "known = conf.configuration_description; "
        "print(json.dumps({section: {name: known[section]['options'][name]['default'] for name in names} "
        "for section, names in wanted.items()}))"
    )
    shown = lab.host(lab.group("airflow_master")[0]).check_output("airflow-run python -c %s", program)
    return json.loads(shown.splitlines()[-1])


def variables_of(lab: Lab, side: str) -> dict[str, Any]:
    if side == "ours":
        return {}
    config = stock(lab)
    slots = int(config["celery"].pop("worker_concurrency"))
    asleep = {"airflow_config": config, "airflow_patches_off": ["speed"]}
    if side == "slots":
        return asleep
    workers = {
        host: [{**worker, "concurrency": slots} for worker in lab.variables(host)["airflow_workers"]]
        for host in lab.group("airflow_worker")
    }
    return {
        **asleep,
        # A host that has none is not asked.
        "airflow_workers": "{{ bench_workers[inventory_hostname] | default([]) }}",
        "bench_workers": workers,
    }


def use(lab: Lab, side: str, dags: int) -> None:
    folder = lab.directory / "bench"
    folder.mkdir(exist_ok=True)
    sources = ROOT / "tests/lab/dags"
    shutil.copy(sources / "lab_bench.py", folder)
    for number in range(dags):
        shutil.copy(sources / "lab_bench_many.py", folder / f"lab_bench_many_{number:03}.py")
    variables = {"airflow_dags_path": str(folder), **UNWATCHED, **variables_of(lab, side)}
    lab.playbook(ROOT / "site.yml", "-e", json.dumps(variables))
    wait_until("the DAGs are known", lambda: len(bench_dags(lab)) == dags + 2, timeout=600)
    for dag in bench_dags(lab):
        lab.airflow.patch(f"dags/{dag}", {"is_paused": False})


def bench_dags(lab: Lab) -> list[str]:
    known = lab.airflow.get_all("dags", "dags", order_by="dag_id", dag_id_pattern="lab_bench_%")
    return [dag["dag_id"] for dag in known]


def run(lab: Lab, dag: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A run that has ended, with its tasks."""
    path = f"dags/{dag}/dagRuns"
    path = f"{path}/{lab.airflow.post(path, {'logical_date': None})['dag_run_id']}"
    return ended(lab, path)


def ended(lab: Lab, path: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    wait_until("the end of the run", lambda: lab.airflow.get(path)["state"] == "success", timeout=3600)
    return lab.airflow.get(path), lab.airflow.get_all(
        f"{path}/taskInstances", "task_instances", order_by="id"
    )


def moment(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def rate(runs: Iterable[tuple[dict[str, Any], list[dict[str, Any]]]]) -> float:
    """Tasks a second, from the start of the first run to the end of the last task."""
    runs = list(runs)
    tasks = [task for _, tasks in runs for task in tasks]
    begin = min(moment(entry["queued_at"]) for entry, _ in runs)
    return len(tasks) / (max(moment(task["end_date"]) for task in tasks) - begin)


def gap(tasks: list[dict[str, Any]]) -> float:
    """Median of the seconds from a task's end to its successor's start."""
    ordered = sorted(tasks, key=lambda task: task["task_id"])
    return statistics.median(
        moment(later["start_date"]) - moment(now["end_date"]) for now, later in pairwise(ordered)
    )


def many(lab: Lab, number: int, seconds: float) -> tuple[float, int]:
    """Tasks a second, and how many have ended: of all, or of those that the time sufficed for."""
    paths = []
    for place in range(number):
        path = f"dags/lab_bench_many_{place:03}/dagRuns"
        paths.append(f"{path}/{lab.airflow.post(path, {'logical_date': None})['dag_run_id']}")
    begin = min(moment(lab.airflow.get(path)["queued_at"]) for path in paths)
    end = begin + seconds
    while time.time() < end and any(lab.airflow.get(path)["state"] != "success" for path in paths):
        time.sleep(10)
    ends = [
        moment(task["end_date"])
        for path in paths
        for task in lab.airflow.get_all(f"{path}/taskInstances", "task_instances", order_by="id")
        if task["state"] == "success"
    ]
    within = [moment for moment in ends if moment <= end]
    for path in paths:
        if lab.airflow.get(path)["state"] != "success":
            give_up(lab, path)
    return len(within) / ((max(within) if len(within) == 100 * number else end) - begin), len(ends)


def give_up(lab: Lab, path: str) -> None:
    """The scheduler holds the rows that this changes, too: one of the two may be asked to try again."""
    deadline = time.monotonic() + PATIENCE
    lab.airflow.patiently(lambda: lab.airflow.patch(path, {"state": "failed"}), deadline)


def used(lab: Lab) -> dict[str, tuple[float, float]]:
    """Of each component on all its hosts: CPU seconds since its start, and MiB of memory (PSS) now."""
    found = {}
    for unit, group in COMPONENTS.items():
        seconds = memory = 0.0
        for host in lab.group(group):
            shown = lab.host(host).check_output(
                f"for unit in $(systemctl list-units --plain --no-legend '{unit}.service' | cut -d' ' -f1);"
                " do"
                " systemctl show -P CPUUsageNSec $unit;"
                " for pid in $(systemctl show -P ControlGroup $unit"
                " | xargs -d '\\n' -I@ find /sys/fs/cgroup@ -name cgroup.procs -exec cat '{}' +); do"
                " sed -n 's/^Pss: *//p' /proc/$pid/smaps_rollup 2>/dev/null; done; done"
            )
            for line in shown.splitlines():
                if line.endswith("kB"):
                    memory += int(line.split()[0]) / 1024
                else:
                    seconds += int(line) / 1e9
        found[unit] = (seconds, memory)
    return found


def measure(lab: Lab, repeats: int, dags: int, seconds: float) -> dict[str, Any]:
    # Not measured: what a part does for the first time after its start.
    run(lab, "lab_bench_parallel")
    before, count = used(lab), 0
    seen: dict[str, Any] = {"parallel": [], "chain": [], "many": []}
    for _ in range(repeats):
        done = run(lab, "lab_bench_parallel")
        seen["parallel"].append(rate([done]))
        _, tasks = run(lab, "lab_bench_chain")
        seen["chain"].append(gap(tasks))
        count += len(done[1]) + len(tasks)
    if dags:
        tasks_a_second, ended_tasks = many(lab, dags, seconds)
        seen["many"].append(tasks_a_second)
        count += ended_tasks
    after = used(lab)
    seen["parts"] = {
        unit: ((after[unit][0] - before[unit][0]) / count, after[unit][1]) for unit in COMPONENTS
    }
    return seen


def tables(lab: Lab, seen: dict[str, list[dict[str, Any]]], dags: int) -> tuple[list[str], dict[str, float]]:
    def median(side: str, name: str) -> float:
        """Not a number, if it was left out."""
        values = [value for one in seen[side] for value in one[name]]
        return statistics.median(values) if values else math.nan

    kinds = {"parallel": ("100 tasks side by side: tasks a second", "{:.1f}")}
    kinds["chain"] = ("a chain of 20: from a task's end to its successor's start", "{:.2f} s")
    if dags:
        kinds["many"] = (f"{dags} DAGs of 10 rows of 10 tasks: tasks a second", "{:.1f}")
    lines = [
        "| | Airflow's defaults | and our number of slots | ours | ours : defaults | ours : our slots |",
        "|---|---|---|---|---|---|",
    ]
    ratios = {}
    for name, (title, form) in kinds.items():
        values = [median(side, name) for side in SIDES]
        ratios[name] = values[-1] / values[0]
        ratios[f"{name}_slots"] = values[-1] / values[1]
        cells = [*map(form.format, values), f"{ratios[name]:.2f}", f"{ratios[f'{name}_slots']:.2f}"]
        lines.append(f"| {title} | {' | '.join(cells)} |".replace("nan", "not run"))
    lines += [
        "",
        "| component, all its hosts | CPU seconds a task, in the same order | MiB (PSS) after it |",
    ]
    lines.append("|---|---|---|")
    for unit, group in COMPONENTS.items():
        cells = [
            ", ".join(
                form.format(statistics.median(one["parts"][unit][place] for one in seen[side]))
                for side in SIDES
            )
            for place, form in ((0, "{:.3f}"), (1, "{:.0f}"))
        ]
        lines.append(f"| `{unit}` on {len(lab.group(group))} hosts | {' | '.join(cells)} |")
    return lines, {name: ratio for name, ratio in ratios.items() if not math.isnan(ratio)}


def write(lab: Lab, options: argparse.Namespace, lines: list[str]) -> None:
    """Into the page, in place of what stood there for this topology."""
    workers = [
        worker for host in lab.group("airflow_worker") for worker in lab.variables(host)["airflow_workers"]
    ]
    slots = sum(worker["concurrency"] for worker in workers)
    note = (
        f"{TOPOLOGIES[options.topology]}, {len(workers)} workers; ours have {slots} slots together. "
        f"Each side {options.turns} times in turn, {options.repeats} runs of each kind a time; medians."
    )
    if options.dags:
        note += f" The {options.dags} DAGs once a turn, for {options.minutes:g} minutes at the most."
    begin, end = BEGIN.format(options.topology), END.format(options.topology)
    head, rest = PAGE.read_text(encoding="utf-8").split(begin)
    text = "\n".join([note, "", *lines])
    PAGE.write_text(f"{head}{begin}\n{text}\n{end}{rest.split(end)[1]}", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--topology", default="single_node", choices=TOPOLOGIES)
    parser.add_argument("--dags", type=int, default=100, help="DAGs of 100 tasks each; 0 leaves them out")
    parser.add_argument(
        "--dags-on",
        nargs="+",
        choices=SIDES,
        default=SIDES,
        help="whose DAGs are run, as 10,000 tasks take long",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=3,
        help="after which those DAGs are given up: the rate is that of this time; 10,000 tasks would take "
        "half an hour and more",
    )
    parser.add_argument("--turns", type=int, default=2, help="how often each side comes")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each kind in a turn")
    parser.add_argument("--keep", action="store_true", help="use the lab that is up, and leave it up")
    options = parser.parse_args()
    lab = Lab(options.topology)
    if not options.keep:
        lab.playbook(ROOT / "molecule/shared/create.yml")
        lab.playbook(ROOT / "site.yml", "-e", json.dumps(UNWATCHED))
    seen: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    try:
        for _ in range(options.turns):
            for side in SIDES:
                use(lab, side, options.dags)
                time.sleep(SETTLE)
                seen[side].append(
                    measure(
                        lab,
                        options.repeats,
                        options.dags if side in options.dags_on else 0,
                        options.minutes * 60,
                    )
                )
                print(side, json.dumps(seen[side][-1]), flush=True)
    finally:
        if not options.keep:
            lab.playbook(ROOT / "molecule/shared/destroy.yml")
    lines, ratios = tables(lab, seen, options.dags)
    write(lab, options, lines)
    print("\n".join(lines))
    print(json.dumps({"suite": "airflow", "lab": options.topology, "dags": options.dags, "ratios": ratios}))
    return 0 if ratios["parallel_slots"] >= LEAST_RATE and ratios["chain_slots"] <= MOST_GAP else 1


if __name__ == "__main__":
    sys.exit(main())
