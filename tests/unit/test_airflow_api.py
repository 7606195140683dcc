# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client of Airflow's API."""

from __future__ import annotations

import io
import json
import re
import socket
import ssl
from email.message import Message
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from ansible_collections.airflowops.cluster.plugins.doc_fragments.airflow_api import ModuleDocFragment
from ansible_collections.airflowops.cluster.plugins.module_utils.airflow import api as aa
from ansible_collections.airflowops.cluster.plugins.module_utils.airflow import dag_run as dr
from ansible_collections.airflowops.cluster.plugins.module_utils.airflow import dag_run_report as report

URL = "https://af.example.com/prefix"
PASSWORD = "s3cret"


class Server:
    """Answers in place of open_url. A route is a list of answers, the last of which is repeated."""

    def __init__(self):
        self.routes = {("POST", "/auth/token"): [{"access_token": "t"}]}
        self.requests = []

    def on(self, method, path, *answers):
        self.routes[method, path] = list(answers)

    def sent(self, method):
        return [
            request
            for request in self.requests
            if request["method"] == method and "auth" not in request["path"]
        ]

    def __call__(self, url, method, data, headers, **options):
        parts = urlsplit(url)
        path = parts.path.removeprefix("/prefix")
        self.requests.append(
            {
                "method": method,
                "path": path,
                "query": parse_qs(parts.query),
                "body": json.loads(data) if data else None,
                "headers": headers,
                **options,
            }
        )
        answers = self.routes.get((method, path), [status(404, "no route")])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if callable(answer):
            answer = answer()
        if isinstance(answer, Exception):
            raise answer
        return io.BytesIO(answer if isinstance(answer, bytes) else json.dumps(answer).encode())


def status(code, detail=None, headers=()):
    """A fresh error each time, for its body can be read once."""

    def make():
        message = Message()
        for name, value in headers:
            message[name] = value
        body = json.dumps({"detail": detail}).encode() if detail is not None else b"<html>"
        return HTTPError("u", code, "Reason", message, io.BytesIO(body))

    return make


@pytest.fixture
def server(monkeypatch):
    server = Server()
    monkeypatch.setattr(aa, "open_url", server)
    return server


@pytest.fixture
def api(server):  # noqa: ARG001 - no request may leave this process
    return aa.AirflowApi(URL + "/", "admin", PASSWORD)


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        assert seconds >= 0
        self.now += seconds


# --- The client


def test_it_logs_in_once_and_bounds_each_request(server, api):
    server.on("GET", "/api/v2/x", {"a": 1})
    assert api.get("x", limit=2) == {"a": 1}
    assert api.get("x") == {"a": 1}
    login, first, _second = server.requests
    assert (login["path"], login["body"]) == ("/auth/token", {"username": "admin", "password": PASSWORD})
    assert first["query"] == {"limit": ["2"]}
    assert first["headers"]["Authorization"] == "Bearer t"
    for request in server.requests:
        assert 0 < request["timeout"] <= aa.REQUEST_TIMEOUT
        assert request["validate_certs"] is True
        assert request["follow_redirects"] == "none"
        assert request["use_netrc"] is False


def test_an_expired_token_is_replaced(server, api):
    server.on("GET", "/api/v2/x", {"a": 1}, status(401, "expired"), {"a": 2})
    assert [api.get("x"), api.get("x")] == [{"a": 1}, {"a": 2}]


def test_a_token_of_a_secret_that_was_rotated_is_replaced(server, api):
    server.on("GET", "/api/v2/x", {"a": 1}, status(403, "Invalid JWT token"), {"a": 2})
    assert [api.get("x"), api.get("x")] == [{"a": 1}, {"a": 2}]


def test_a_fresh_token_that_is_refused_tells_of_the_shared_secret(server, api):
    server.on("GET", "/api/v2/x", status(401, "no"))
    with pytest.raises(aa.TransientError, match="jwt_secret"):
        api.get("x")
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("code", "kind", "text"),
    [
        (401, aa.AuthenticationError, r"refuses the user name or the password \(user admin\)"),
        (404, aa.StatusError, "no Airflow 3 API at .* path prefix"),
        (500, aa.TransientError, "answered 500"),
        (422, aa.StatusError, "answered 422"),
    ],
)
def test_login_errors(server, api, code, kind, text):
    server.on("POST", "/auth/token", status(code, "because"))
    with pytest.raises(kind, match=text) as error:
        api.get("x")
    assert PASSWORD not in str(error.value)


def test_an_error_never_repeats_the_input(server, api):
    detail = [{"loc": ["body", "password"], "msg": f"bad {PASSWORD}", "input": {"password": PASSWORD}}]
    server.on("POST", "/auth/token", status(422, detail))
    with pytest.raises(aa.StatusError, match=r"body\.password: bad \*+$") as error:
        api.get("x")
    assert PASSWORD not in str(error.value)


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504, 408])
def test_transient_statuses(server, api, code):
    server.on("GET", "/api/v2/x", status(code))
    with pytest.raises(aa.TransientError, match=str(code)):
        api.get("x")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (URLError(ConnectionRefusedError(111, "Connection refused")), aa.TransientError),
        (URLError(socket.gaierror(socket.EAI_AGAIN, "again")), aa.TransientError),
        (URLError(socket.gaierror(socket.EAI_NONAME, "unknown")), aa.AirflowApiError),
        (URLError(ssl.SSLCertVerificationError("self-signed")), aa.AirflowApiError),
        (socket.timeout("timed out"), aa.TransientError),
        (ConnectionResetError("reset"), aa.TransientError),
        (FileNotFoundError("no ca"), aa.AirflowApiError),
    ],
)
def test_connection_errors(server, api, error, kind):
    server.on("GET", "/api/v2/x", error)
    with pytest.raises(aa.AirflowApiError, match=r"cannot reach the Airflow API at https://af") as raised:
        api.get("x")
    assert type(raised.value) is kind


def test_a_redirect_is_told_not_followed(server, api):
    server.on("POST", "/auth/token", status(301, headers=[("Location", "https://other/auth/token")]))
    with pytest.raises(aa.AirflowApiError, match="redirects to https://other/auth/token"):
        api.get("x")


@pytest.mark.parametrize("answer", [b"<html>hello</html>", b"[1]"])
def test_an_answer_that_is_not_airflows(server, api, answer):
    server.on("GET", "/api/v2/x", answer)
    with pytest.raises(aa.AirflowApiError, match="JSON object"):
        api.get("x")


def test_a_login_that_is_not_airflows(server, api):
    server.on("POST", "/auth/token", {"hello": 1})
    with pytest.raises(aa.AirflowApiError, match="did not answer like Airflow 3"):
        api.get("x")


@pytest.mark.parametrize("url", ["af.example.com", "ftp://h", "https://", "http://u:p@h"])
def test_a_url_of_the_wrong_form(url):
    with pytest.raises(aa.AirflowApiError, match="url must"):
        aa.AirflowApi(url, "admin", PASSWORD)


def test_find_knows_what_does_not_exist(server, api):
    server.on("GET", "/api/v2/x", status(404, "none"))
    assert api.find("x") is None
    server.on("GET", "/api/v2/x", status(403, "forbidden"))
    with pytest.raises(aa.StatusError, match="403: forbidden"):
        api.find("x")


@pytest.mark.parametrize("page", [100, 7])
def test_get_all_reads_pages_of_whatever_size_the_server_allows(server, api, page):
    def answer():
        offset = int(server.requests[-1]["query"]["offset"][0])
        return {"things": list(range(250))[offset : offset + page], "total_entries": 250}

    server.on("GET", "/api/v2/things", answer)
    assert api.get_all("things", "things", order_by="id") == list(range(250))
    assert server.requests[-1]["query"]["order_by"] == ["id"]


def test_get_all_ends_when_entries_vanish_meanwhile(server, api):
    server.on(
        "GET", "/api/v2/things", {"things": [1], "total_entries": 3}, {"things": [], "total_entries": 3}
    )
    assert api.get_all("things", "things") == [1]


def test_patiently_repeats_until_the_deadline(server, api):
    clock = Clock()
    server.on("GET", "/api/v2/x", status(503), URLError("refused"), {"a": 1})
    assert api.patiently(lambda: api.get("x"), 10, clock, clock.sleep) == {"a": 1}
    server.on("GET", "/api/v2/x", status(503))
    with pytest.raises(aa.TransientError):
        api.patiently(lambda: api.get("x"), 10, clock, clock.sleep)
    assert clock.now == 10
    assert server.requests[-1]["timeout"] == 1.0  # not beyond the deadline
    assert api.timeout == aa.REQUEST_TIMEOUT


def test_the_fragment_documents_the_arguments():
    documented = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
    spec = aa.argument_spec()
    assert list(documented) == list(spec)
    for name, option in spec.items():
        assert documented[name]["type"] == option["type"]
        assert documented[name].get("required") == option.get("required")
        assert documented[name].get("default") == option.get("default")


# --- What answers mean


def instance(task_id, state="success", map_index=-1, start="2026-03-01T00:00:00Z", **more):
    return {
        "task_id": task_id,
        "map_index": map_index,
        "state": state,
        "queue": "q1",
        "hostname": "w1",
        "try_number": 1,
        "start_date": start,
        "end_date": start and "2026-03-01T00:00:02.500000Z",
        **more,
    }


def test_tasks_come_in_the_order_of_their_start():
    tasks = report.summarize_tasks(
        [
            instance("never", state=None, start=None, hostname="", try_number=0),
            instance("second", start="2026-03-01T00:00:01.500000Z"),
            instance("first", start="2026-03-01T00:00:01Z"),
        ]
    )
    assert [task["task_id"] for task in tasks] == ["first", "second", "never"]
    assert tasks[0] == {
        "task_id": "first",
        "map_index": -1,
        "state": "success",
        "queue": "q1",
        "host": "w1",
        "try_number": 1,
        "duration": 1.5,
    }
    assert tasks[2]["host"] is None
    assert tasks[2]["duration"] is None


def test_seconds_between():
    assert report.seconds_between("2026-03-01T00:00:00Z", "2026-03-01T01:00:00.250000+01:00") == 0.25
    assert report.seconds_between("2026-03-01T00:00:00Z", None) is None
    assert report.seconds_between(None, None) is None


def test_log_url():
    task = report.summarize_tasks([instance("t", map_index=3, try_number=2)])[0]
    assert report.log_url(URL + "/", "d", "manual__2026-03-01T00:00:00+00:00", task) == (
        f"{URL}/dags/d/runs/manual__2026-03-01T00%3A00%3A00%2B00%3A00/tasks/t/mapped/3?try_number=2"
    )


def test_a_failure_names_task_host_queue_try_and_log():
    tasks = report.summarize_tasks(
        [
            instance("ok"),
            instance("bad", "failed", try_number=2),
            instance("after", "upstream_failed", start=None),
        ]
    )
    assert report.describe_failure(URL, "d", "r", tasks) == (
        "run r of DAG d failed: task bad failed on host w1, queue q1, try 2; "
        f"log: {URL}/dags/d/runs/r/tasks/bad?try_number=2; 1 more did not run because of that"
    )


def test_a_failure_without_a_failed_task():
    message = report.describe_failure(URL, "d", "r", report.summarize_tasks([instance("t", "skipped")]))
    assert "dagrun_timeout" in message
    assert "t skipped" in message


def test_long_lists_are_shortened():
    tasks = report.summarize_tasks([instance("t", "failed", map_index=i) for i in range(25)])
    message = report.describe_failure(URL, "d", "r", tasks)
    assert message.count("failed on host") == 10
    assert message.endswith("and 15 more")


@pytest.mark.parametrize(
    ("run_state", "states", "hint"),
    [
        ("queued", [], "max_active_runs"),
        ("running", ["queued"], "airflow_queue_membership"),
        ("running", ["scheduled"], "a slot in its pool"),
        ("running", ["success"], "look at the scheduler"),
    ],
)
def test_unfinished(run_state, states, hint):
    tasks = report.summarize_tasks([instance(f"t{i}", state) for i, state in enumerate(states)])
    message = report.describe_unfinished("d", {"dag_run_id": "r", "state": run_state}, tasks, 60)
    assert message.startswith(f"run r of DAG d is still {run_state} after 60 s: ")
    assert hint in message


def test_unfinished_names_state_queue_and_host():
    tasks = report.summarize_tasks(
        [instance("a", "running"), instance("b", None, start=None, hostname=None), instance("c")]
    )
    message = report.describe_unfinished("d", {"dag_run_id": "r", "state": "running"}, tasks, 60)
    assert "task a is running, queue q1, host w1; task b is not scheduled yet, queue q1" in message
    assert "task c" not in message


def test_import_errors_are_told_by_their_last_line():
    errors = [
        {"filename": "a.py", "stack_trace": "Traceback\n  x\nZeroDivisionError: y\n"},
        {"filename": "b.py"},
    ]
    assert report.describe_import_errors(errors) == "a.py: ZeroDivisionError: y; b.py: no stack trace"


# --- The run

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
