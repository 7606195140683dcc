# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The patch remote-logs with a store that checks keys and goes away: a worker writes, an API server reads."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.airflowops.cluster.plugins.plugin_utils import object_store
from moto_store import AWAY, shared_store
from test_airflow_dag_run import airflow_python

FILES = Path(__file__).resolve().parents[2] / "roles/airflow_common/files"
FOLDER = "dag_id=etl/run_id=one/task_id=load"
# As what watches over a task does when the task has ended.
WRITER = """
import sys, structlog
from airflow.sdk.execution_time.supervisor import _remote_logging_conn
from airflow.sdk.log import init_log_file, upload_to_remote
with init_log_file(sys.argv[1]).open("ab") as file:
    structlog.BytesLogger(file).info(sys.argv[2].encode())
    with _remote_logging_conn(client=None):
        upload_to_remote(structlog.wrap_logger(structlog.BytesLogger(file)).bind())
"""
READER = """
import sys
from airflow.logging_config import get_remote_task_log
print("read", *get_remote_task_log().read(sys.argv[1], None))
"""


class Host:
    def __init__(self, home: Path) -> None:
        self.home, self.logs = home, home / "logs"
        self.python = airflow_python()
        self.store = shared_store()

    def run(self, *arguments: str, away: bool = False, **changes: str) -> str:
        place = self.store.place("s3://logs/airflow", **changes)
        options = object_store.remote_log_options({**place, "delete_local": True})
        credentials = self.home / "credentials"
        credentials.mkdir(exist_ok=True)
        for name, secret in object_store.remote_log_secrets(place).items():
            (credentials / name).write_text(secret)
        shown = subprocess.run(
            [self.python, *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(FILES),
                "CREDENTIALS_DIRECTORY": str(credentials),
                "AIRFLOW_HOME": str(self.home),
                "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([]),
                "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.logs),
                **{f"AIRFLOW__LOGGING__{name.upper()}": str(value) for name, value in options.items()},
                **(AWAY if away else {}),
            },
        )
        return shown.stdout + shown.stderr

    def there(self) -> list[str]:
        return [str(path.relative_to(self.logs)) for path in self.logs.rglob("*.log")]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    host = Host(tmp_path_factory.mktemp("host"))
    host.store.s3.create_bucket(Bucket="logs")
    return host


def test_a_log_goes_to_the_store_when_it_is_there(host: Host) -> None:
    first, second = f"{FOLDER}/attempt=1.log", f"{FOLDER}/attempt=2.log"
    host.run("-c", WRITER, first, "the first try", away=True)
    assert host.there() == [first]
    host.run("-c", WRITER, second, "the second try")
    # Amazon's own removes both, of which the store has one.
    assert host.there() == [first]
    body = host.store.s3.get_object(Bucket="logs", Key=f"airflow/{second}")["Body"].read()
    assert body == b"the second try\n"


def test_it_is_read_there(host: Host) -> None:
    shown = host.run("-c", READER, f"{FOLDER}/attempt=2.log")
    assert f"read ['s3://logs/airflow/{FOLDER}/attempt=2.log'] ['the second try\\n']" in shown


def test_nothing_is_read_there_while_it_is_away(host: Host) -> None:
    shown = host.run("-c", READER, f"{FOLDER}/attempt=2.log", away=True)
    assert "read ['The store of the logs cannot be read: Failed to connect" in shown


def test_what_is_wrong_is_told_before_the_services_start(host: Host) -> None:
    shown = host.run("-m", "airflowops_runtime.fetch_bundles", secret_key="another-key-than-its-own")
    assert "airflow_remote_logs: An error occurred (SignatureDoesNotMatch)" in shown
