# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges DAG files: import errors, and how long ago they were read."""

from __future__ import annotations

from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.context import Context
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.masters import asked
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.report import count, follows, span

MOST_NAMED = 10


def judge_dags(context: Context) -> None:
    answer = asked(context)
    if answer is None:
        down = context.down("answers")
        if down:
            context.report.unknown("dags", "import errors and age", down.because)
        return
    if "import_errors" in answer["errors"]:
        context.report.unknown("dags", "import errors", answer["errors"]["import_errors"])
    for error in answer["import_errors"][:MOST_NAMED]:
        context.report.problem(
            "dags",
            f"{error['file']} cannot be imported",
            error["error"],
            "correct the file and deploy it (dags_deploy.yml); `airflow dags "
            "list-import-errors` has the whole trace",
        )
    more = answer["import_error_count"] - min(len(answer["import_errors"]), MOST_NAMED)
    if more > 0:
        context.report.problem(
            "dags",
            f"{count(more, 'more file')} cannot be imported",
            "see the others",
            "`airflow dags list-import-errors` on a master",
        )
    dags = answer["dags"]
    if "dags" in answer["errors"]:
        context.report.unknown("dags", "age", answer["errors"]["dags"])
    if not dags:
        return
    context.report.note("dags", f"{count(dags['count'], 'DAG')}")
    age = dags.get("oldest_age") or 0
    if age > context.limits["parse_seconds"]:
        text = f"{dags['oldest']} was read {span(age)} ago"
        downs = [context.down("part", host, "dag-processor") for host in context.expected["masters"]]
        faulty = [down.finding for down in downs if down and down.finding]
        if downs and all(downs) and faulty:
            follows(faulty[0], f"DAG files are not read: {text}")
            return
        context.report.warn(
            "dags",
            text,
            "the DAG processors do not keep up, or a file takes too long",
            "`journalctl -u airflow-dag-processor -n 100` names slow files; raise "
            "[dag_processor] parsing_processes",
        )
    elif age:
        context.report.note("dags", f"read at most {span(age)} ago")
