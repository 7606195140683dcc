#!/usr/bin/env python3
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes each fault of a suite as many times as asked, under a flow, in the multi-node lab.

A flow goes through the cluster's own endpoints: plain Celery tasks for the suite redis, rows for the suite
metastore, each with a DAG run beside it; DAG runs for the suite airflow, users' requests for the suite
front. Writes a table into docs/reliability.md; the last line printed is the same as JSON. Ends with 1 if
something accepted was lost, if there were two at once (executions of a task, primaries), if a task was
executed twice in a planned operation, if a task of the DAG run beside did not succeed at the first try, if a
DAG run failed, if more requests failed than the fault may cost, or if a gap was longer than the fault may
make it.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "tests/lab"), str(ROOT / ".collections")]

import results
from lab import Lab
from lab_flow import Flow
from lab_runs import Runs
from lab_visits import Visits
from lab_writer import Writer
from suite import Fault
from test_4_faults import Load, put_load_dag

SUITES = {
    "redis": "redis_suite",
    "metastore": "metastore_suite",
    "airflow": "airflow_suite",
    "front": "front_suite",
}
AnyFlow = Flow | Writer | Runs | Visits
# With these no DAG run beside.
ALONE = (Runs, Visits)
PAGE = ROOT / "docs/reliability.md"
# A message that a worker lost is offered again after airflow_visibility_timeout, and has to be found.
DRAIN_SECONDS = 180
# Tasks of the DAG run beside each fault, and seconds for which each runs.
DAG_TASKS, DAG_SECONDS = 24, 2
QUIET_SECONDS = 4


def make_round(
    lab: Lab, flow: AnyFlow, fault: Fault, whole: Callable[[Lab], None], beside: bool
) -> results.Round:
    start = time.monotonic()
    flow.begin()
    try:
        load = Load(lab, tasks=DAG_TASKS, seconds=DAG_SECONDS) if beside else None
        flow.flowing(start)
        if load:
            load.under_way(1)
        fault_at = time.monotonic()
        fault.make(lab)
        flow.flowing(time.monotonic())
        time.sleep(QUIET_SECONDS)
    finally:
        flow.end()
    records = flow.drained(DRAIN_SECONDS)
    if isinstance(records, results.Records):
        tell_lost(records, fault_at)
    whole(lab)
    if load is None:
        return flow.count(records, fault_at)
    load.ended(DRAIN_SECONDS)
    failed = DAG_TASKS - load.results()["success", 1]
    return flow.count(records, fault_at, dag_tasks=DAG_TASKS, dag_failed=failed)


def tell_lost(records: results.Records, fault_at: float) -> None:
    """When what was lost was accepted, before or after the last sign of life before the gap."""
    moments = sorted(records.accepted.values())
    steps = [(later - now, now) for now, later in itertools.pairwise(moments) if later > fault_at]
    gap_at = max(steps)[1] if steps else fault_at
    for number in sorted(records.outstanding()):
        begun = records.begun.get(number)
        print(
            f"lost: {number}, accepted {records.accepted[number] - gap_at:+.3f} s from the start of the gap"
            + (f", begun {begun[0] - gap_at:+.3f} s" if begun else ", never begun"),
            flush=True,
        )


def write_page(suite: str, flow: AnyFlow, lines: list[str], rounds: int) -> None:
    """Between two marks that stand in the page."""
    begin, end = f"<!-- faults {suite}: written by make faults -->", f"<!-- faults {suite}: end -->"
    text = PAGE.read_text(encoding="utf-8")
    head, rest = text.split(begin)
    tail = rest.split(end)[1]
    beside = (
        ""
        if isinstance(flow, ALONE)
        else f", and beside each fault a DAG run of {DAG_TASKS} tasks of {DAG_SECONDS} s"
    )
    note = f"`make faults SUITE={suite} ROUNDS={rounds}`: {flow.note}{beside}."
    PAGE.write_text(f"{head}{begin}\n{note}\n\n" + "\n".join(lines) + f"\n{end}{tail}", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("rounds", type=int)
    parser.add_argument(
        "--only", action="append", default=[], help="these faults alone; the page is left as it is"
    )
    parser.add_argument("--keep", action="store_true", help="use the lab that is up, and leave it up")
    options = parser.parse_args()
    module = importlib.import_module(SUITES[options.suite])
    faults = [fault for fault in module.FAULTS if not options.only or fault.name in options.only]
    lab = module.lab()
    if not options.keep:
        lab.playbook(ROOT / "molecule/shared/create.yml")
        lab.playbook(ROOT / "site.yml")
    flow = module.flow(lab)
    results: dict[str, list[results.Round]] = {fault.name: [] for fault in faults}
    try:
        put_load_dag(lab)
        module.prepare(lab)
        flow.install()
        flow.start_workers()
        for number in range(options.rounds):
            for fault in faults:
                done = make_round(lab, flow, fault, module.whole, beside=not isinstance(flow, ALONE))
                results[fault.name].append(done)
                print(f"round {number + 1}: {fault.name}: {done}", flush=True)
    finally:
        flow.stop()
        if not options.keep:
            lab.playbook(ROOT / "molecule/shared/destroy.yml")
    table = results.table(results, {fault.name: fault.title for fault in faults}, module.HEADER)
    if not options.only:
        write_page(options.suite, flow, table, options.rounds)
    objections = [
        text
        for fault in faults
        for text in results.objections(
            fault.name,
            results[fault.name],
            fault.planned,
            fault.most_gap,
            fault.most_again,
            fault.most_failed,
        )
    ]
    print("\n".join([*table, *objections]))
    summary = {name: results.summary(rounds) for name, rounds in results.items()}
    print(json.dumps({"suite": options.suite, "rounds": options.rounds, "faults": summary}))
    return 1 if objections else 0


if __name__ == "__main__":
    sys.exit(main())
