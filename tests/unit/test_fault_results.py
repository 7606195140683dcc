# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make faults` makes of its records: what is lost or executed twice must not slip through."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "faults"))

import results
from results import Records, Round


def count(text: str, fault_at: float = 0.0) -> Round:
    return results.count(Records.of(text.strip().splitlines()), fault_at)


def test_each_task_once() -> None:
    done = count("a 1 1.0\ns 1 1.1\ne 1 1.3\na 2 2.0\ns 2 2.1\ne 2 2.2")
    assert done == Round(2, 2, 0, 0, 0, publish_gap=1.0, worker_gap=1.0)


def test_task_that_never_ended_is_lost() -> None:
    done = count("a 1 1\ns 1 2\na 2 3")
    assert (done.accepted, done.executed, done.lost) == (2, 0, 2)


def test_what_was_not_accepted_counts_for_nothing() -> None:
    assert count("s 9 1\ne 9 2\ns 9 1\ne 9 2").duplicated == 0


@pytest.mark.parametrize(
    ("lines", "times"),
    [
        (["1 db1 1", "1 db1 2", "0 db1 3", "0 db2 1", "1 db2 3"], 0),  # One after the other.
        (["1 db1 1", "1 db1 5", "0 db2 1", "1 db2 3", "1 db2 4"], 1),
        (["1 db1 1", "1 db1 2", "0 db1 3", "1 db1 6", "1 db1 7", "1 db2 3", "1 db2 5"], 0),  # And back.
        (["1 db1 1", "1 db1 9", "1 db2 2", "1 db2 3", "0 db2 4", "1 db2 5", "1 db2 6"], 2),
        ([], 0),
    ],
)
def test_two_primaries_at_once(lines: list[str], times: int) -> None:
    assert results.at_once(lines) == times


@pytest.mark.parametrize(
    ("text", "overlapping"),
    [
        ("s 1 1\ne 1 2\ns 1 3\ne 1 4", 0),  # One after the other.
        ("s 1 1\ne 1 2\ns 1 2\ne 1 3", 0),  # The second at the very moment.
        ("s 1 1\ns 1 1.5\ne 1 2\ne 1 2.5", 1),
        ("s 1 1\ne 1 9\ns 1 2\ne 1 3", 1),  # The second within the first, noted in another file.
        ("s 1 1\ns 1 5\ne 1 6", 1),  # Of the first nobody knows whether it ended.
    ],
)
def test_executions_of_one_task(text: str, overlapping: int) -> None:
    done = count("a 1 0\n" + text)
    assert done.duplicated == 1
    assert done.overlapping == overlapping


def test_gap_counts_if_it_ends_after_the_fault() -> None:
    moments = [0.0, 5.0, 6.0, 9.0, 9.5]
    assert results.longest_gap(moments, since=5.5) == 3.0
    assert results.longest_gap(moments, since=4.0) == 5.0
    assert results.longest_gap([], since=0.0) == 0.0


def test_record_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="not a record"):
        Records.of(["x 1 2.0"])


def test_summary_adds_counts_and_takes_the_longer_gap_of_a_round() -> None:
    rounds = [
        Round(10, 10, 0, 1, 0, 4.0, 5.0),
        Round(20, 19, 1, 0, 0, 7.0, 6.0),
        Round(5, 5, 0, 0, 0, 1.0, 1.5),
    ]
    assert results.summary(rounds) == {
        "accepted": 35, "executed": 34, "lost": 1, "duplicated": 1, "overlapping": 0,
        "gap_s_median": 5.0, "gap_s_max": 7.0, "again_s_max": 0.0, "failed": 0, "failed_most": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("bad", "planned", "word"),
    [
        (Round(9, 8, 1, 0, 0, 1, 1), False, "lost"),
        (Round(9, 9, 0, 1, 1, 1, 1), False, "at the same time"),
        (Round(9, 9, 0, 1, 0, 1, 1), True, "planned"),
        (Round(9, 9, 0, 0, 0, 1, 1, dag_tasks=4, dag_failed=1), False, "DAG"),
        (Round(0, 0, 0, 0, 0, 0, 0), False, "accepted"),
    ],
)
def test_what_may_not_be_is_objected_to(bad: Round, planned: bool, word: str) -> None:
    good = Round(9, 9, 0, 0, 0, 1, 1) if bad.accepted else bad
    assert word in " ".join(results.objections("fault", [good, bad], planned))


def test_duplicates_are_no_objection_to_a_fault_that_nobody_planned() -> None:
    assert results.objections("fault", [Round(9, 9, 0, 3, 0, 6.0, 6.0, 24, 0)], planned=False) == []


def test_table_has_a_row_for_each_fault() -> None:
    rounds = [Round(9, 9, 0, 3, 0, 6.0, 6.2, 24, 0), Round(9, 9, 0, 1, 0, 5.0, 5.2, 24, 0)]
    *_, row = results.table({"kill": rounds}, {"kill": "it is killed"})
    assert row == "| it is killed | 2 | 18 | 18 | 0 | 4 | 0 | 5.5 s, 6.0 s | 5.7 s, 6.2 s | 48, 0 |"


def test_what_was_killed_is_not_executed_and_does_not_overlap() -> None:
    records = Records.of("a 1 1\ns 1 2\nk 1 3\ns 1 50\ne 1 51".splitlines())
    done = results.count(records, fault_at=3.0)
    assert (done.executed, done.duplicated, done.overlapping) == (1, 1, 0)
    assert results.again(records) == 47.0
    never = Records.of("a 1 1\ns 1 2\nk 1 3\na 2 1\ns 2 2\nk 2 3\ns 2 9".splitlines())
    assert results.count(never, fault_at=3.0).lost == 2
    assert results.again(never) > results.NEVER / 2


@pytest.mark.parametrize(
    ("gap", "again", "words"),
    [
        (14.9, 59.9, ""),
        (15.1, 59.9, "a gap of 15.1 s"),
        (1.0, 61.0, "after 61 s"),
        (1.0, 0.0, "not within 60 s"),
    ],
)
def test_limits_of_a_fault(gap: float, again: float, words: str) -> None:
    rounds = [Round(9, 9, 0, 3, 0, gap, gap, 24, 0, again)]
    said = results.objections("fault", rounds, False, most_gap=15.0, most_again=60.0)
    assert len(said) == bool(words)
    assert words in " ".join(said)


def test_table_of_runs_has_one_more_column() -> None:
    rounds = [Round(9, 9, 0, 3, 0, 1.0, 1.0, 24, 0, 50.0)]
    head, rule, row = results.table({"off": rounds}, {"off": "off"}, results.RUNS_HEADER)
    assert row.count("|") == rule.count("|") == head.count("|")
    assert row.endswith("| 50.0 s, 50.0 s |")


def visit(user: int, begun: float, ended: float, answered: bool = True) -> results.Visit:
    return results.Visit(user, begun, ended, answered)


def test_requests_of_two_users_of_whom_one_meets_failures() -> None:
    seen = [visit(0, 1, 2), visit(1, 1, 2), visit(0, 3, 4, False), visit(0, 5, 6, False), visit(0, 6, 7)]
    seen += [visit(1, 3, 4), visit(1, 6, 7)]
    done = results.count_visits(seen, fault_at=2.5)
    assert (done.accepted, done.executed, done.failed, done.failed_most) == (7, 5, 2, 2)
    # Nobody's answers hide that one user waits.
    assert (done.publish_gap, done.worker_gap) == (5, 3)
    assert results.objections("x", [done], planned=False, most_failed=1) == [
        "x: 2 requests of one user failed, not at most 1"
    ]
    assert not results.objections("x", [done], planned=False, most_gap=5, most_failed=2)
    (line,) = results.table({"x": [done]}, {"x": "title"}, results.VISITS_HEADER)[2:]
    assert line == "| title | 1 | 7 | 2 | 2 | 5.0 s, 5.0 s | 3.0 s, 3.0 s |"


def test_requests_none_of_which_is_answered() -> None:
    done = results.count_visits([visit(0, 1, 2, False)], fault_at=0)
    assert (done.executed, done.publish_gap) == (0, results.NEVER)
    assert results.objections("x", [done], planned=False, most_gap=3)
