# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""airflow_ready.py with a real PostgreSQL: a service is ready by its own row in the table of jobs."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator

import pytest
from test_airflow_dag_run import airflow_python
from test_scheduler_wake import FILES, Lab, lab

__all__ = ["lab"]
TABLE = """
CREATE TABLE IF NOT EXISTS job (job_type text, state text, hostname text,
                                start_date timestamptz, latest_heartbeat timestamptz);
DELETE FROM job;
"""
STATEMENT = """
import sys, psycopg2
connection = psycopg2.connect(sys.argv[1])
connection.autocommit = True
connection.cursor().execute(sys.argv[2])
"""


def execute(lab: Lab, statement: str) -> None:
    url = f"postgresql://postgres@127.0.0.1:{lab.port}/postgres"
    subprocess.run([str(airflow_python()), "-c", STATEMENT, url, statement], check=True, timeout=60)


def job(lab: Lab, started: str) -> None:
    row = f"('TriggererJob', 'running', '{socket.gethostname()}', {started}, now())"
    execute(lab, f"INSERT INTO job VALUES {row}")


@pytest.fixture
def check(lab: Lab) -> Iterator[subprocess.Popen]:
    """What the unit runs, beside a service that has just been started."""
    execute(lab, TABLE)
    # The service before this one was killed three seconds after its start.
    job(lab, "now() - interval '3 seconds'")
    url = f"postgresql+psycopg2://postgres@127.0.0.1:{lab.port}/postgres"
    with subprocess.Popen(["sleep", "120"]) as service:
        environment = {
            **os.environ, "MAINPID": str(service.pid), "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url
        }  # fmt: skip
        argv = [str(airflow_python()), str(FILES / "airflow_ready.py"), "job", "TriggererJob"]
        with subprocess.Popen(argv, env=environment) as check:
            try:
                yield check
            finally:
                check.kill()
                service.kill()


def test_the_row_of_the_service_before_does_not_count(lab: Lab, check: subprocess.Popen) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        check.wait(5)
    job(lab, "now()")
    assert check.wait(20) == 0
