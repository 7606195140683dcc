# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Returns when a service of this host is ready; its unit calls it as ExecStartPost=.

    airflow_ready.py http URL
    airflow_ready.py port PORT
    airflow_ready.py job SchedulerJob|TriggererJob|DagProcessorJob
    airflow_ready.py worker NAME@HOST KEY_PREFIX

There is no limit of its own: the unit's TimeoutStartSec= ends it. Airflow
itself is not imported, as that alone takes seconds of CPU time.
"""

from __future__ import annotations

import os
import socket
import sys
import time
import urllib.request

POLL_SECONDS = 0.25


def http_ready(url: str) -> bool:
    """True if the URL answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def port_ready(port: int) -> bool:
    """True if something listens on the port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2):
            return True
    except OSError:
        return False


def job_ready(job_type: str, since: float) -> bool:
    """True if a job of the type, started on this host not before `since`, has sent a heartbeat."""
    import psycopg2

    names = list({socket.getfqdn(), socket.gethostname()})
    url = os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("postgresql+psycopg2://", "postgresql://")
    try:
        connection = psycopg2.connect(url, connect_timeout=2)
    except psycopg2.OperationalError:
        return False
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM job WHERE job_type = %s AND state = 'running' AND hostname = ANY(%s)"
                " AND start_date >= to_timestamp(%s) AND latest_heartbeat IS NOT NULL LIMIT 1",
                (job_type, names, since),
            )
            return cursor.fetchone() is not None
    except psycopg2.Error:
        return False
    finally:
        connection.close()


def worker_ready(name: str, key_prefix: str) -> bool:
    """True if the worker answers a ping sent through the broker."""
    from celery import Celery
    from kombu.exceptions import OperationalError

    app = Celery(broker=os.environ["AIRFLOW__CELERY__BROKER_URL"])
    app.conf.broker_transport_options = {
        "global_keyprefix": key_prefix,
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
    }
    try:
        return bool(app.control.ping(destination=[name], timeout=1.0, limit=1))
    except (OperationalError, OSError):
        return False


def main(arguments: list[str]) -> int:
    kind, *rest = arguments
    # The unit's main process was started just before this one.
    since = time.time() - 10
    checks = {
        "http": lambda: http_ready(rest[0]),
        "port": lambda: port_ready(int(rest[0])),
        "job": lambda: job_ready(rest[0], since),
        "worker": lambda: worker_ready(rest[0], rest[1]),
    }
    while not checks[kind]():
        time.sleep(POLL_SECONDS)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
