# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a round's records say: nothing but arithmetic."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

# Seconds, in place of a time that never came.
NEVER = 1e9


@dataclass
class Records:
    """Times in seconds of the kernel's monotonic clock."""

    accepted: dict[str, float] = field(default_factory=dict)
    # Task -> when its executions began and ended, in the order in which they were noted.
    begun: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    ended: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    # Task -> when an execution was killed.
    killed: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, lines: Iterable[str]) -> Records:
        records = cls()
        for line in lines:
            kind, number, moment = line.split()
            if kind == "a":
                records.accepted[number] = float(moment)
            elif kind == "s":
                records.begun[number].append(float(moment))
            elif kind == "e":
                records.ended[number].append(float(moment))
            elif kind == "k":
                records.killed[number].append(float(moment))
            else:
                raise ValueError(f"not a record: {line!r}")
        return records

    def outstanding(self) -> set[str]:
        """Accepted and never executed to the end."""
        return {number for number in self.accepted if not self.ended.get(number)}


@dataclass(frozen=True)
class Round:
    """The results of one round; gaps in seconds."""

    accepted: int
    executed: int
    lost: int
    duplicated: int
    overlapping: int
    publish_gap: float
    worker_gap: float
    dag_tasks: int = 0
    dag_failed: int = 0
    # The longest time from a task's being killed until it ran again.
    again: float = 0.0
    # Of requests: all that failed, and the most of one user.
    failed: int = 0
    failed_most: int = 0


@dataclass(frozen=True)
class Visit:
    """A user's request. Times in seconds of the monotonic clock."""

    user: int
    begun: float
    ended: float
    answered: bool


def count_visits(seen: Sequence[Visit], fault_at: float) -> Round:
    """publish_gap: the longest a user was without an answer. worker_gap: for how long there were failures."""
    wrong = [visit for visit in seen if not visit.answered]
    answers: dict[int, list[float]] = defaultdict(list)
    for visit in seen:
        if visit.answered:
            answers[visit.user].append(visit.ended)
    return Round(
        accepted=len(seen),
        executed=len(seen) - len(wrong),
        lost=0,
        duplicated=0,
        overlapping=0,
        publish_gap=max((longest_gap(moments, fault_at) for moments in answers.values()), default=NEVER),
        worker_gap=max((visit.ended for visit in wrong), default=0.0)
        - min((visit.begun for visit in wrong), default=0.0),
        failed=len(wrong),
        failed_most=max(Counter(visit.user for visit in wrong).values(), default=0),
    )


def count(records: Records, fault_at: float, dag_tasks: int = 0, dag_failed: int = 0) -> Round:
    """A gap is the longest time without an event that ends after the fault was made."""
    accepted = records.accepted
    return Round(
        accepted=len(accepted),
        executed=sum(1 for number in accepted if records.ended.get(number)),
        lost=len(records.outstanding()),
        duplicated=sum(1 for number in accepted if len(records.begun.get(number, ())) > 1),
        overlapping=sum(
            1
            for number in accepted
            if overlaps(
                records.begun.get(number, ()),
                [*records.ended.get(number, ()), *records.killed.get(number, ())],
            )
        ),
        publish_gap=longest_gap(accepted.values(), fault_at),
        worker_gap=longest_gap(itertools.chain.from_iterable(records.begun.values()), fault_at),
        dag_tasks=dag_tasks,
        dag_failed=dag_failed,
    )


def overlaps(begun: Sequence[float], ended: Sequence[float]) -> bool:
    """Whether a second execution began before one that was under way had ended."""
    under_way = 0
    # At one and the same moment the end counts first.
    for _, change in sorted([*((moment, 1) for moment in begun), *((moment, -1) for moment in ended)]):
        under_way += change
        if under_way > 1:
            return True
    return False


def at_once(lines: Iterable[str]) -> int:
    """How often two took writes at once, from lines `1 NAME TIME` (it does) and `0 NAME TIME` (it does not).

    A time with writes goes from a host's first 1 to the last one before its next 0.
    """
    spells: list[tuple[float, float]] = []
    by_name: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for line in lines:
        kind, name, moment = line.split()
        by_name[name].append((float(moment), kind))
    for seen in by_name.values():
        for kind, spell in itertools.groupby(sorted(seen), key=lambda entry: entry[1]):
            moments = [moment for moment, _ in spell]
            if kind == "1":
                spells.append((moments[0], moments[-1]))
    return sum(
        1 for one, other in itertools.combinations(spells, 2) if max(one[0], other[0]) < min(one[1], other[1])
    )


def again(records: Records) -> float:
    """Of tasks that were killed: the longest time until one ran again."""
    return max(
        (
            min((moment for moment in records.begun[number] if moment > times[-1]), default=NEVER) - times[-1]
            for number, times in records.killed.items()
        ),
        default=0.0,
    )


def longest_gap(moments: Iterable[float], since: float) -> float:
    ordered = sorted(moments)
    return max(
        (later - earlier for earlier, later in itertools.pairwise(ordered) if later >= since), default=0.0
    )


def summary(rounds: Sequence[Round]) -> dict[str, float | int]:
    """Sums of the counts; the gap of a round is the longer of its two."""
    gaps = [max(each.publish_gap, each.worker_gap) for each in rounds]
    return {
        **{
            name: sum(getattr(each, name) for each in rounds)
            for name in ("accepted", "executed", "lost", "duplicated", "overlapping")
        },
        "gap_s_median": round(statistics.median(gaps), 2),
        "gap_s_max": round(max(gaps), 2),
        "again_s_max": round(max(each.again for each in rounds), 2),
        "failed": sum(each.failed for each in rounds),
        "failed_most": max(each.failed_most for each in rounds),
    }


def objections(
    name: str,
    rounds: Sequence[Round],
    planned: bool,
    most_gap: float | None = None,
    most_again: float | None = None,
    most_failed: int | None = None,
) -> list[str]:
    """What may not be, in words."""
    total = summary(rounds)
    found = []
    if total["lost"]:
        found.append(f"{name}: {total['lost']} that were accepted were lost")
    if total["overlapping"]:
        found.append(f"{name}: {total['overlapping']} times there were two at the same time")
    if planned and total["duplicated"]:
        found.append(f"{name}: {total['duplicated']} tasks were executed twice, in a planned operation")
    if failed := sum(each.dag_failed for each in rounds):
        found.append(f"{name}: {failed} tasks of DAG runs did not succeed at the first try")
    if most_gap is not None and total["gap_s_max"] > most_gap:
        found.append(f"{name}: a gap of {total['gap_s_max']} s, more than {most_gap:g} s")
    latest = max(each.again for each in rounds)
    if most_again is not None and not 0 < latest <= most_again:
        found.append(f"{name}: what was killed ran again after {latest:.0f} s, not within {most_again:g} s")
    if most_failed is not None and total["failed_most"] > most_failed:
        found.append(f"{name}: {total['failed_most']} requests of one user failed, not at most {most_failed}")
    if not total["accepted"]:
        found.append(f"{name}: no task was accepted")
    return found


# What a metastore's flow makes of the same columns.
ROWS_HEADER = [
    "| fault | rounds | rows confirmed | found | lost | twice | two primaries at once "
    "| write gap: median, worst | the same | DAG tasks: all, failed |",
    "|---|---|---|---|---|---|---|---|---|---|",
]
# What a flow of DAG runs makes of them, and one more.
RUNS_HEADER = [
    "| fault | rounds | tasks accepted | executed | lost | twice | twice at once | API gap: median, worst "
    "| task gap: median, worst | DAG runs: all, failed | killed tasks ran again: median, worst |",
    "|---|---|---|---|---|---|---|---|---|---|---|",
]
# Of requests, other results.
VISITS_HEADER = [
    "| fault | rounds | requests | failed | most failures of one user "
    "| longest without an answer: median, worst | failures lasted: median, worst |",
    "|---|---|---|---|---|---|---|",
]
HEADER = [
    "| fault | rounds | accepted | executed | lost | twice | twice at once | publish gap: median, worst "
    "| worker gap: median, worst | DAG tasks: all, failed |",
    "|---|---|---|---|---|---|---|---|---|---|",
]


def table(
    results: dict[str, Sequence[Round]], titles: dict[str, str], header: Sequence[str] = HEADER
) -> list[str]:
    lines = list(header)
    for name, rounds in results.items():
        total = summary(rounds)

        def gap(attribute: str, rounds: Sequence[Round] = rounds) -> str:
            values = [getattr(each, attribute) for each in rounds]
            return f"{statistics.median(values):.1f} s, {max(values):.1f} s"

        if header == VISITS_HEADER:
            counts = [len(rounds), *(total[key] for key in ("accepted", "failed", "failed_most"))]
            cells = [titles[name], *counts, gap("publish_gap"), gap("worker_gap")]
            lines.append("| " + " | ".join(map(str, cells)) + " |")
            continue
        cells = [
            titles[name],
            len(rounds),
            *(total[key] for key in ("accepted", "executed", "lost", "duplicated", "overlapping")),
            gap("publish_gap"),
            gap("worker_gap"),
            f"{sum(each.dag_tasks for each in rounds)}, {sum(each.dag_failed for each in rounds)}",
        ]
        if header == RUNS_HEADER:
            cells.append(gap("again") if any(each.again for each in rounds) else "none was")
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return lines
