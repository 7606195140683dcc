# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the collector writes of certificates, heartbeats and backups."""

from __future__ import annotations

import importlib.util
import json
import socket
import ssl
import subprocess
import threading
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from prometheus_data import ROLE


def collector() -> Any:
    spec = importlib.util.spec_from_file_location("textfile_collector", ROLE / "files/textfile_collector.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def ten_days(tmp_path: Path) -> Path:
    """A folder with the certificate a.crt, which ends in ten days, and its key."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "10", "-subj", "/CN=a", "-keyout", tmp_path / "key", "-out", tmp_path / "a.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    return tmp_path


def test_a_certificate_and_its_end(ten_days: Path) -> None:
    ((_name, labels, end),) = collector().certificates([str(ten_days / "a.crt"), str(ten_days / "none")])
    assert labels == {"path": str(ten_days / "a.crt")}
    assert abs(
        datetime.now(timezone.utc) + timedelta(days=10) - datetime.fromtimestamp(end, timezone.utc)
    ) < timedelta(minutes=5)


def test_the_end_of_the_certificate_that_is_shown(ten_days: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(ten_days / "a.crt", ten_days / "key")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://a.example.org:{listener.getsockname()[1]}"

        def answer() -> None:
            with suppress(OSError):
                context.wrap_socket(listener.accept()[0], server_side=True).close()

        server = threading.Thread(target=answer)
        server.start()
        try:
            ((_name, labels, end),) = collector().shown(url)
        finally:
            server.join(10)
    assert labels == {"path": url}
    ((_name, _labels, in_file),) = collector().certificates([str(ten_days / "a.crt")])
    assert end == in_file
    assert collector().shown("") == []


def test_heartbeats_are_read_of_airflows_health() -> None:
    health = {
        "metadatabase": {"status": "healthy"},
        "scheduler": {"status": "unhealthy", "latest_scheduler_heartbeat": "1970-01-01T00:01:40.5Z"},
        "triggerer": {"status": None, "latest_triggerer_heartbeat": None},
    }
    assert collector().components(health) == [
        ("airflowops_component_healthy", {"component": "metadatabase"}, 1.0),
        ("airflowops_component_healthy", {"component": "scheduler"}, 0.0),
        ("airflowops_heartbeat_timestamp_seconds", {"component": "scheduler"}, 100.5),
    ]


def test_backups_of_each_kind_and_the_newest_of_all() -> None:
    def backup(kind: str, stop: int, **more: Any) -> dict[str, Any]:
        return {"type": kind, "timestamp": {"stop": stop}, "info": {"size": 7}, **more}

    stanza = {
        "status": {"code": 0},
        "backup": [backup("full", 1), backup("incr", 2), backup("incr", 3, error=True)],
    }
    ends = {
        labels["type"]: value
        for name, labels, value in collector().backups([stanza])
        if name == "airflowops_backup_end_timestamp_seconds"
    }
    assert ends == {"full": 1, "incr": 2, "any": 2}
    for none in ([{"status": {"code": 2}, "backup": []}], []):
        assert collector().backups(none) == [("airflowops_backup_repository_ok", {}, 0.0)]


def test_patches_that_a_service_runs_without_are_counted(tmp_path: Path) -> None:
    (tmp_path / "airflow-worker@q1").mkdir()
    states = {"a": "on", "b": "off", "c": "skipped", "d": "absent"}
    (tmp_path / "airflow-worker@q1/patches.json").write_text(
        json.dumps({name: {"state": state, "reason": ""} for name, state in states.items()})
    )
    found = [labels for _, labels, _ in collector().patches(str(tmp_path))]
    assert found == [
        {"name": "airflow-worker@q1.service", "patch": "b", "state": "off"},
        {"name": "airflow-worker@q1.service", "patch": "c", "state": "skipped"},
    ]
    assert collector().patches(str(tmp_path / "none")) == []


def test_what_it_writes_is_what_prometheus_reads() -> None:
    module = collector()
    text = module.text([("airflowops_look_failed", {"part": 'a"\\\n'}, 1), ("airflowops_api_up", {}, 0)])
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
