# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What host_health_info and airflow_health_info read: with real sockets and real certificates."""

from __future__ import annotations

import base64
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from ansible_collections.airflowops.cluster.plugins.module_utils.airflow import health as airflow_health
from ansible_collections.airflowops.cluster.plugins.module_utils.health import (
    certificates,
    collect,
    command,
    machine,
    services,
    web,
)

STAT = """\
# pxname,svname,qcur,status,lastchg,bck,check_status,last_chk
broker,FRONTEND,,OPEN,,,,
broker,hold,0,no check,10,1,,
broker,192.0.2.11-7000,0,UP,60,0,L7OK,
broker,192.0.2.12-7000,0,DOWN,61,0,L7RSP,TCPCHK did not match
broker,192.0.2.13-7000,0,UP 1/2,1,0,L4TOUT,
broker,BACKEND,0,UP,60,0,,

"""


def test_haproxy_is_asked_by_its_socket(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                assert connection.recv(100) == b"show stat\n"
                connection.sendall(STAT.encode())

        thread = threading.Thread(target=answer)
        thread.start()
        servers = services.haproxy(str(path), 5)
        thread.join()
    assert [(entry["server"], entry["up"], entry["checked"]) for entry in servers] == [
        ("hold", False, False),
        ("192.0.2.11-7000", True, True),
        ("192.0.2.12-7000", False, True),
        ("192.0.2.13-7000", True, True),
    ]
    assert servers[2]["check"] == "TCPCHK did not match"


def test_no_haproxy_is_a_reason(tmp_path: Path) -> None:
    answer = collect.guarded(lambda: services.haproxy(str(tmp_path / "none.sock"), 1))
    assert answer == {"error": "No such file or directory"}


ODD = "-a \"b' c\\d %e $f {{g:h,é"
LOGIN = base64.b64encode(f"flower:{ODD}".encode()).decode()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status = int(self.path.strip("/"))
        if status == 401 and self.headers.get("Authorization") == "Basic " + LOGIN:
            status = 200
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()
        self.wfile.write(b'{"a": 1}' if status == 200 else b"<html>")

    def log_message(self, *_: object) -> None:
        pass


def test_any_answer_is_an_answer_and_none_is_a_reason() -> None:
    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    wanted = {"well": f"{url}/200", "moved": f"{url}/302", "broken": f"{url}/503"}
    wanted.update({name: f"{url}/401" for name in ("open", "right", "wrong")})
    logins = {
        "right": {"username": "flower", "password": ODD},
        "wrong": {"username": "flower", "password": "x"},
    }
    answers = web.urls(wanted, 5, logins)
    server.shutdown()
    server.server_close()
    gone = web.urls({"gone": f"{url}/200"}, 5)
    assert answers["well"] == {"status": 200, "body": {"a": 1}}
    assert answers["moved"]["status"] == 302
    assert [answers[name]["status"] for name in ("open", "right", "wrong")] == [401, 200, 401]
    assert answers["broken"] == {"status": 503, "body": None}
    assert "refused" in gone["gone"]["error"]


def certificate(path: Path, days: int) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-subj", "/CN=test", "-days", str(days), "-keyout", "/dev/null", "-out", str(path)],
        check=True, capture_output=True,
    )  # fmt: skip


def test_of_a_chain_the_certificate_that_ends_first_counts(tmp_path: Path) -> None:
    certificate(tmp_path / "one.crt", 100)
    certificate(tmp_path / "two.crt", 10)
    (tmp_path / "chain.crt").write_text(
        "text\n" + (tmp_path / "one.crt").read_text() + (tmp_path / "two.crt").read_text()
    )
    (tmp_path / "none.crt").write_text("no certificate")
    seen = {Path(entry["path"]).name: entry for entry in certificates.certificates([f"{tmp_path}/*.crt"], 10)}
    days = {
        name: round((entry["ends"] - time.time()) / 86400) for name, entry in seen.items() if "ends" in entry
    }
    assert days == {"one.crt": 100, "two.crt": 10, "chain.crt": 10}
    assert "test" in seen["chain.crt"]["subject"]
    assert seen["none.crt"]["error"] == "it holds no certificate"


def test_nginx_names_its_certificates(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "nginx.conf").write_text(
        "http {\n  ssl_certificate tls/front.crt;\n  ssl_certificate_key tls/front.key;\n}"
    )
    (tmp_path / "conf.d/site.conf").write_text(
        'ssl_certificate "/etc/ssl/site.pem";\n# ssl_certificate old.crt;\n'
    )
    named = ["/etc/ssl/site.pem", f"{tmp_path}/tls/front.crt"]
    assert certificates.nginx_certificates(str(tmp_path)) == named
    # They are looked at beside the others.
    (tmp_path / "tls").mkdir()
    certificate(tmp_path / "tls/front.crt", 10)
    certificate(tmp_path / "other.crt", 10)
    seen = certificates.certificates([f"{tmp_path}/other.crt"], 10, str(tmp_path))
    assert [entry["path"] for entry in seen] == sorted([*named, f"{tmp_path}/other.crt"])
    assert [entry["path"] for entry in seen if "ends" in entry] == [f"{tmp_path}/other.crt", named[1]]


def test_the_newest_version_names_the_unit_of_postgresql(tmp_path: Path) -> None:
    assert services.postgresql_unit(str(tmp_path)) == "postgresql.service"
    for version in ("9", "15", "common"):
        (tmp_path / version / "main").mkdir(parents=True)
    assert services.postgresql_unit(str(tmp_path)) == "postgresql@15-main.service"


def test_each_file_system_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    seen = machine.disks([str(tmp_path), str(tmp_path / "below"), "/proc", str(tmp_path / "none")])
    assert [entry["path"] for entry in seen] == [str(tmp_path)]
    assert 0 < seen[0]["used_percent"] <= 100


def test_a_command_that_hangs_or_fails_is_a_reason() -> None:
    with pytest.raises(command.CollectError, match="did not end within"):
        command.run(["sleep", "5"], 0.1)
    with pytest.raises(command.CollectError, match="No such file"):
        command.run(["no-such-program"], 1)
    with pytest.raises(command.CollectError, match="second"):
        command.run(["sh", "-c", "echo first >&2; echo second >&2; exit 3"], 1)


# --- Airflow's answers

NOW = 1_800_000_000.0


def moment(seconds_ago: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW - seconds_ago))


def test_of_the_jobs_of_a_host_the_one_that_beats_counts() -> None:
    jobs = [
        {"job_type": "SchedulerJob", "hostname": "a", "state": "failed", "latest_heartbeat": moment(900)},
        {"job_type": "SchedulerJob", "hostname": "a", "state": "running", "latest_heartbeat": moment(4)},
        {"job_type": "SchedulerJob", "hostname": "b", "state": "running", "latest_heartbeat": moment(400)},
        {"job_type": "TriggererJob", "hostname": "a", "state": "running", "latest_heartbeat": None},
    ]
    assert airflow_health.describe_jobs(jobs, NOW) == [
        {"type": "SchedulerJob", "host": "a", "state": "running", "heartbeat_age": 4.0},
        {"type": "SchedulerJob", "host": "b", "state": "running", "heartbeat_age": 400.0},
    ]


def test_an_import_error_is_its_last_line_without_a_login() -> None:
    errors = [
        {
            "filename": "a.py",
            "bundle_name": None,
            "stack_trace": "Trace\n  x\nError: postgresql://me:pw@db/x \n\n",
        }
    ]
    (reported,) = airflow_health.describe_errors(errors)
    assert reported == {"file": "a.py", "bundle": "", "error": "Error: postgresql://********@db/x"}


def test_tasks_that_wait_are_told_by_queue() -> None:
    tasks = [
        {"queue": "q1", "dag_id": "one", "queued_when": moment(5)},
        {"queue": "q1", "dag_id": "two", "queued_when": moment(50)},
        {"queue": "q2", "dag_id": "three", "queued_when": None},
    ]
    assert airflow_health.describe_queued(tasks, 7, NOW) == {
        "count": 7,
        "queues": {
            "q1": {"tasks": 2, "oldest_age": 50.0, "dag": "two"},
            "q2": {"tasks": 1, "oldest_age": 0.0, "dag": "three"},
        },
    }


def test_no_dag_is_no_age() -> None:
    assert airflow_health.describe_dags([], 0, NOW) == {"count": 0, "oldest": None, "oldest_age": None}


def test_the_dag_that_was_read_longest_ago_is_told() -> None:
    dags = [
        {"dag_id": name, "last_parsed_time": moment(age)} for name, age in (("a", 3), ("b", 90), ("c", 4))
    ]
    assert airflow_health.describe_dags(dags, 9, NOW) == {"count": 9, "oldest": "b", "oldest_age": 90.0}
