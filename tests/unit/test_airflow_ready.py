# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check that notifies systemd when a service is ready: not before it is, and as soon as it is."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Iterator

import pytest

SCRIPT = Path(__file__).parents[2] / "roles" / "airflow_common" / "files" / "airflow_ready.py"


@pytest.fixture(scope="module")
def ready() -> ModuleType:
    spec = importlib.util.spec_from_file_location("airflow_ready", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Handler(BaseHTTPRequestHandler):
    """Answers with the status in the path, or closes the connection where there is none."""

    def do_GET(self) -> None:
        status = self.path.strip("/")
        if status:
            self.send_response(int(status))
            self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        pass


@contextmanager
def serve(port: int = 0) -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def free_port() -> Iterator[int]:
    """A port at which nothing listens, and which nobody else is given meanwhile."""
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


@pytest.mark.parametrize(
    ("path", "expected"), [("200", True), ("204", False), ("404", False), ("503", False), ("", False)]
)
def test_a_url_is_ready_when_it_answers_200(ready: ModuleType, path: str, expected: bool) -> None:
    with serve() as port:
        assert ready.http_ready(f"http://127.0.0.1:{port}/{path}") is expected


def test_a_url_at_which_nobody_listens_is_not_ready(ready: ModuleType) -> None:
    with free_port() as port:
        assert ready.http_ready(f"http://127.0.0.1:{port}/200") is False


def test_a_server_that_does_not_answer_is_not_waited_for_long(ready: ModuleType) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        start = time.monotonic()
        assert ready.http_ready(f"http://127.0.0.1:{mute.getsockname()[1]}/") is False
        assert time.monotonic() - start < 5


def test_a_port_is_ready_when_something_listens(ready: ModuleType) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert ready.port_ready(server.getsockname()[1]) is True
    with free_port() as port:
        assert ready.port_ready(port) is False


@pytest.mark.parametrize("proxy", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_the_command_returns_when_the_service_is_ready_and_not_before(proxy: str) -> None:
    with free_port() as port:
        pass
    command = [sys.executable, SCRIPT, "http", f"http://127.0.0.1:{port}/200"]
    environment = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    with subprocess.Popen(command, env={**environment, proxy: "http://127.0.0.1:9"}) as process:
        try:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=1)
            with serve(port):
                assert process.wait(timeout=20) == 0
        finally:
            process.kill()


def test_the_command_ends_with_the_service_whose_start_it_waits_for() -> None:
    with subprocess.Popen(["sleep", "60"]) as service:
        command = [sys.executable, SCRIPT, "port", "1"]
        environment = {**os.environ, "MAINPID": str(service.pid)}
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(1)
            service.kill()
            service.wait()
            _, said = process.communicate(timeout=5)
    assert process.returncode == 1
    assert b"ended before it was ready" in said


def test_an_unknown_check_is_an_error(ready: ModuleType) -> None:
    with pytest.raises(KeyError):
        ready.main(["nonsense"])


@pytest.mark.parametrize(
    ("url", "libpq"),
    [
        (
            "postgresql+psycopg2://u:p%2Fw@db:5433/a?sslmode=require",
            "postgresql://u:p%2Fw@db:5433/a?sslmode=require",
        ),
        (
            "postgresql+psycopg2://u:p@/a?host=h1:5433&host=h2&target_session_attrs=read-write",
            "postgresql://u:p@/a?target_session_attrs=read-write&host=h1%2Ch2&port=5433%2C5432",
        ),
    ],
)
def test_a_url_of_sqlalchemy_as_libpq_reads_it(
    ready: ModuleType, monkeypatch: pytest.MonkeyPatch, url: str, libpq: str
) -> None:
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", url)
    assert ready.metastore_url() == libpq
