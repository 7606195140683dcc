# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run of a DAG: triggered once, waited for."""

from __future__ import annotations

import re
from urllib.error import URLError

import pytest
from airflow_api_server import Clock, api, instance, server, status
from ansible_collections.airflowops.cluster.plugins.module_utils.airflow import dag_run as dr
from ansible_collections.airflowops.cluster.plugins.module_utils.airflow import dag_run_report as report

__all__ = ["api", "server"]

DAG = {
    "is_paused": False,
    "is_stale": False,
    "has_import_errors": False,
    "relative_fileloc": "d.py",
    "bundle_name": "b",
}


def run_answer(state, run_id="r"):
    ended = state in report.FINISHED_RUN
    return {
        "dag_run_id": run_id,
        "state": state,
        "start_date": "2026-03-01T00:00:00Z" if state != "queued" else None,
        "end_date": "2026-03-01T00:00:03Z" if ended else None,
    }


@pytest.fixture
def dag_run(server, api):
    """A DagRun with a clock of its own, and a server on which all goes well."""
    server.on("GET", "/api/v2/dags/d", DAG)
    server.on(
        "GET", "/api/v2/dags/d/dagRuns/r", status(404, "no run"), run_answer("running"), run_answer("success")
    )
    server.on("POST", "/api/v2/dags/d/dagRuns", run_answer("queued"))
    server.on(
        "GET",
        "/api/v2/dags/d/dagRuns/r/taskInstances",
        {"task_instances": [instance("t")], "total_entries": 1},
    )
    server.on("PATCH", "/api/v2/dags/d", DAG)
    server.on("GET", "/api/v2/importErrors", {"import_errors": [], "total_entries": 0})

    def make(**options):
        params = {
            "dag_id": "d",
            "conf": {"a": 1},
            "run_id": "r",
            "logical_date": None,
            "unpause": True,
            "wait": True,
            "timeout": 600.0,
            "poll_interval": 1.0,
            "dag_timeout": 60.0,
            **options,
        }
        dr.check_params(params)
        clock = Clock()
        return dr.DagRun(api, params, clock, clock.sleep)

    return make


def test_a_successful_run(server, dag_run):
    result = dag_run().run()
    assert result == {
        "changed": True,
        "dag_exists": True,
        "run_id": "r",
        "state": "success",
        "duration": 3.0,
        "tasks": report.summarize_tasks([instance("t")]),
    }
    assert server.sent("POST")[0]["body"] == {"dag_run_id": "r", "logical_date": None, "conf": {"a": 1}}
    assert server.sent("PATCH") == []


@pytest.mark.parametrize("state", ["running", "success"])
def test_an_existing_run_is_not_triggered_again(server, dag_run, state):
    server.on("GET", "/api/v2/dags/d/dagRuns/r", run_answer(state), run_answer("success"))
    result = dag_run().run()
    assert (result["changed"], result["state"]) == (False, "success")
    assert server.sent("POST") == []


def test_without_a_run_id_each_call_has_its_own(dag_run):
    first, second = dag_run(run_id=None), dag_run(run_id=None)
    assert first.run_id != second.run_id
    # Airflow's [scheduler] allowed_run_id_pattern
    assert re.fullmatch(r"[A-Za-z0-9_.~:+-]+", first.run_id)


def test_without_wait_nothing_is_waited_for(dag_run):
    result = dag_run(wait=False).run()
    assert (result["changed"], result["state"], result["tasks"], result["duration"]) == (
        True,
        "queued",
        [],
        None,
    )


def test_a_paused_dag_is_unpaused_first(server, dag_run):
    server.on("GET", "/api/v2/dags/d", {**DAG, "is_paused": True})
    dag_run().run()
    patch = server.sent("PATCH")[0]
    assert (patch["body"], patch["query"]) == ({"is_paused": False}, {"update_mask": ["is_paused"]})


def test_unpausing_is_a_change_even_when_the_run_exists(server, dag_run):
    server.on("GET", "/api/v2/dags/d", {**DAG, "is_paused": True})
    server.on("GET", "/api/v2/dags/d/dagRuns/r", run_answer("success"))
    assert dag_run().run()["changed"] is True


def test_waiting_for_a_paused_dag_is_refused(server, dag_run):
    server.on("GET", "/api/v2/dags/d", {**DAG, "is_paused": True})
    with pytest.raises(dr.DagRunError, match="is paused"):
        dag_run(unpause=False).run()
    assert dag_run(unpause=False, wait=False).run()["state"] == "queued"
    assert server.sent("PATCH") == []


def test_a_lost_answer_to_the_trigger_does_not_trigger_twice(server, dag_run):
    server.on("POST", "/api/v2/dags/d/dagRuns", ConnectionResetError("reset"), status(409, "exists"))
    result = dag_run().run()
    assert (result["changed"], result["state"]) == (True, "success")


def test_a_trigger_that_is_never_answered_tells_the_run_id(server, dag_run):
    server.on("POST", "/api/v2/dags/d/dagRuns", status(502))
    with pytest.raises(dr.DagRunError, match="run r of DAG d could not be triggered within 5 s, or") as error:
        dag_run(timeout=5.0).run()
    assert error.value.result["run_id"] == "r"


def test_somebody_else_was_quicker(server, dag_run):
    server.on("POST", "/api/v2/dags/d/dagRuns", status(409, "exists"))
    assert dag_run().run()["changed"] is False


def test_a_logical_date_that_is_taken(server, dag_run):
    server.on("POST", "/api/v2/dags/d/dagRuns", status(409, "exists"))
    server.on("GET", "/api/v2/dags/d/dagRuns/r", status(404))
    with pytest.raises(dr.DagRunError, match="already has a run for logical_date 2026"):
        dag_run(logical_date="2026-03-01T00:00:00Z").run()


def test_a_failed_run_tells_which_task(server, dag_run):
    server.on("GET", "/api/v2/dags/d/dagRuns/r", status(404), run_answer("failed"))
    server.on(
        "GET",
        "/api/v2/dags/d/dagRuns/r/taskInstances",
        {"task_instances": [instance("bad", "failed")], "total_entries": 1},
    )
    with pytest.raises(dr.DagRunError, match="task bad failed on host w1, queue q1") as error:
        dag_run().run()
    assert error.value.result["state"] == "failed"
    assert error.value.result["changed"] is True
    assert error.value.result["tasks"][0]["task_id"] == "bad"


def test_trouble_while_waiting_is_outlived(server, dag_run):
    server.on(
        "GET",
        "/api/v2/dags/d/dagRuns/r",
        status(404),
        status(502),
        URLError(ConnectionRefusedError()),
        run_answer("running"),
        status(401, "expired"),
        run_answer("success"),
    )
    assert dag_run().run()["state"] == "success"


def test_a_timeout_tells_what_is_unfinished(server, dag_run):
    server.on("GET", "/api/v2/dags/d/dagRuns/r", status(404), run_answer("running"))
    server.on(
        "GET",
        "/api/v2/dags/d/dagRuns/r/taskInstances",
        {"task_instances": [instance("t", "queued", start=None)], "total_entries": 1},
    )
    run = dag_run(timeout=5.0)
    with pytest.raises(dr.DagRunError, match="still running after 5 s: task t is queued, queue q1") as error:
        run.run()
    assert run.clock.now == 5
    assert error.value.result["state"] == "running"
    assert error.value.result["tasks"][0]["state"] == "queued"


def test_a_server_that_does_not_come_back(server, dag_run):
    server.on("GET", "/api/v2/dags/d/dagRuns/r", status(404), run_answer("running"), URLError("refused"))
    run = dag_run(timeout=5.0)
    with pytest.raises(dr.DagRunError, match="was running when last seen; after 5 s: cannot reach") as error:
        run.run()
    assert error.value.result["run_id"] == "r"


def test_a_dag_that_is_being_parsed_is_waited_for(server, dag_run):
    server.on("GET", "/api/v2/dags/d", status(404), {**DAG, "is_stale": True}, URLError("refused"), DAG)
    assert dag_run().run()["state"] == "success"


def test_an_unknown_dag(server, dag_run):
    server.on("GET", "/api/v2/dags/d", status(404))
    run = dag_run(dag_timeout=3.0)
    with pytest.raises(dr.DagRunError, match=r"is not known to .* after 3 s, and no file has an import"):
        run.run()
    assert run.clock.now == 3


def test_an_unknown_dag_with_import_errors(server, dag_run):
    server.on("GET", "/api/v2/dags/d", status(404))
    errors = [{"filename": "x.py", "bundle_name": "b", "stack_trace": "SyntaxError: y"}]
    server.on("GET", "/api/v2/importErrors", {"import_errors": errors, "total_entries": 1})
    with pytest.raises(dr.DagRunError, match=r"Files with import errors: x\.py: SyntaxError: y"):
        dag_run(dag_timeout=0.0).run()


def test_a_known_dag_whose_file_broke(server, dag_run):
    server.on("GET", "/api/v2/dags/d", {**DAG, "has_import_errors": True})
    errors = [
        {"filename": "other.py", "bundle_name": "b", "stack_trace": "no"},
        {"filename": "d.py", "bundle_name": "b", "stack_trace": "NameError: z"},
    ]
    server.on("GET", "/api/v2/importErrors", {"import_errors": errors, "total_entries": 2})
    with pytest.raises(dr.DagRunError, match=r"still has an import error after 2 s: d\.py: NameError: z$"):
        dag_run(dag_timeout=2.0).run()
    assert server.sent("POST") == []


def test_import_errors_that_may_not_be_read(server, dag_run):
    server.on("GET", "/api/v2/dags/d", status(404))
    server.on("GET", "/api/v2/importErrors", status(403, "forbidden"))
    with pytest.raises(dr.DagRunError, match="import errors could not be read"):
        dag_run(dag_timeout=0.0).run()


@pytest.mark.parametrize(
    ("dag", "options", "changed", "exists", "state"),
    [
        (DAG, {}, False, True, "success"),
        ({**DAG, "is_paused": True}, {}, True, True, "success"),
        ({**DAG, "is_paused": True}, {"unpause": False}, False, True, "success"),
        (DAG, {"run_id": None}, True, True, None),
        ({**DAG, "is_stale": True}, {}, True, False, None),
        (status(404), {}, True, False, None),
    ],
)
def test_check_mode_only_reads(server, dag_run, dag, options, changed, exists, state):
    server.on("GET", "/api/v2/dags/d", dag)
    server.on("GET", "/api/v2/dags/d/dagRuns/r", run_answer("success"))
    result = dag_run(**options).check()
    assert (result["changed"], result["dag_exists"], result["state"]) == (changed, exists, state)
    assert server.sent("POST") == server.sent("PATCH") == []


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0.0},
        {"poll_interval": 0.0},
        {"dag_timeout": -1.0},
        {"logical_date": "yesterday"},
        {"logical_date": "2026-03-01T00:00:00"},
    ],
)
def test_options_of_the_wrong_form(dag_run, options):
    with pytest.raises(dr.DagRunError, match=next(iter(options))):
        dag_run(**options)
