# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Airflow's command line, whose parts do less for nothing.

    python -m airflowops_airflow scheduler
    python -m airflowops_airflow api-server ...
    python -m airflowops_airflow triggerer

Airflow's scheduler looks for work, and sleeps between two looks: a task's successor waits for half of that on
average, and short sleeps cost CPU time where nothing happens. Here what ends a task or begins a run sends a
notification (PostgreSQL's NOTIFY, delivered with the commit that it tells of), which ends the sleep.

It only ever shortens a sleep. Without it, as when the connection breaks or a pooler between swallows it, the
scheduler looks as often as `[scheduler] scheduler_idle_sleep_time` says.

At each look the scheduler asks Celery's result backend what became of the tasks, for which Celery makes a new
connection outside of its workers: a login and, with TLS, a handshake, on both sides. Here it keeps one.

A secret that is the output of a command (`..._CMD`) is asked for again and again, by an API server with every
task that starts. Here each process runs a command once.

The execution API makes its versions when it is first asked, for seconds, in each of its processes. Here they
are made before there are processes, and tasks do not wait when one is renewed.

Where the environment names a proxy, logs of tasks are fetched without it (airflowops_proxy.py).

AIRFLOWOPS_SPEED=0 in the environment leaves Airflow as it is, but for proxies.
"""

from __future__ import annotations

import functools
import gc
import logging
import os
import select
import sys
import time
from typing import Any

import airflowops_proxy
from airflow._shared.configuration import parser
from airflow.sdk._shared.configuration import parser as parser_of_sdk
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

CHANNEL = "airflowops_scheduler"
# After these a successor, another try or the end of the run may be due; `scheduled`: a trigger has fired.
TELLING_STATES = frozenset(
    {"success", "failed", "skipped", "upstream_failed", "up_for_retry", "up_for_reschedule", "scheduled"}
)
# Between two tries to be the one that listens.
RETRY_SECONDS = 10.0
# Where there was more than one notification, from the end of a look to the next one, in times of the CPU time
# that it took: what many ending tasks have to tell is looked at together, with a fifth of a core at the most.
REST = 4
MARK = "airflowops_tells"
ON = os.environ.get("AIRFLOWOPS_SPEED") != "0"

log = logging.getLogger(__name__)


def telling(statement: str, parameters: Any) -> bool:
    """True if the statement makes work for the scheduler."""
    if statement.startswith("UPDATE task_instance SET"):
        rows = parameters if isinstance(parameters, (list, tuple)) else [parameters]
        return any(isinstance(row, dict) and row.get("state") in TELLING_STATES for row in rows)
    return statement.startswith("INSERT INTO dag_run ")


def tell() -> None:
    """Lets every connection of this process send a notification with a commit that makes work."""

    @event.listens_for(Engine, "before_cursor_execute")
    def note(conn: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if telling(statement, parameters):
            conn.info[MARK] = True

    @event.listens_for(Engine, "commit")
    def send(conn: Connection) -> None:
        if conn.info.pop(MARK, None):
            conn.exec_driver_sql(f"NOTIFY {CHANNEL}")

    @event.listens_for(Engine, "rollback")
    def forget(conn: Connection) -> None:
        conn.info.pop(MARK, None)


class Sleeper:
    """Stands for the module `time` in the scheduler: its `sleep` ends with a notification.

    One of several schedulers is woken, the one that holds the lock; the others are there when it is not.
    """

    def __init__(self) -> None:
        self.connection: Any = None
        # Kept, as its end would be the connection's.
        self.pooled: Any = None
        self.listens = False
        self.next_try = 0.0
        # The process' CPU time when the last sleep ended, and whether more than one notification had come.
        self.woken_at = time.process_time()
        self.many = False

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def sleep(self, seconds: float) -> None:
        begin = time.monotonic()
        end = begin + seconds
        try:
            if not self.listens and begin >= self.next_try:
                self.next_try = begin + RETRY_SECONDS
                self.listen()
            if self.listens and (told := self.told(seconds)):
                rest = REST * (time.process_time() - self.woken_at) if self.many else 0
                end = min(end, begin + rest)
                time.sleep(max(0.0, end - time.monotonic()))
                self.many = told + self.told(0) > 1
        except Exception as error:
            log.warning("Cannot be woken for now, and looks as often as it is told to: %s", error)
            self.connection, self.listens = None, False
        time.sleep(max(0.0, end - time.monotonic()))
        self.woken_at = time.process_time()

    def listen(self) -> None:
        if self.connection is None:
            self.connection = self.connect()
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s))", (CHANNEL,))
            self.listens = cursor.fetchone()[0]
            if self.listens:
                cursor.execute(f"LISTEN {CHANNEL}")

    def connect(self) -> Any:
        """A connection of Airflow's own making, taken out of its pool."""
        from airflow import settings

        self.pooled = settings.engine.raw_connection()
        connection = self.pooled.dbapi_connection
        self.pooled.detach()
        connection.rollback()
        connection.autocommit = True
        return connection

    def told(self, seconds: float) -> int:
        """How many notifications came within the time, or since the last look; returns with the first."""
        came = bool(select.select([self.connection], [], [], seconds)[0])
        while came:
            before = len(self.connection.notifies)
            self.connection.poll()
            # With TLS a poll takes one of several, and the others may not show at the socket any more.
            came = len(self.connection.notifies) > before
        told = len(self.connection.notifies)
        self.connection.notifies.clear()
        return told


def keep_result_connections() -> None:
    """Celery keeps connections to the result backend in a process that was forked from its worker, only."""
    from celery.backends import database

    class Sessions(database.SessionManager):
        def __init__(self) -> None:
            super().__init__()
            self.forked = True

        def _after_fork(self) -> None:
            """What publishes for the scheduler is a fork of it, and must not use its connections."""
            for engine in self._engines.values():
                engine.dispose(close=False)
            self._engines, self._sessions = {}, {}

    database.SessionManager = Sessions


def make_versions_early() -> None:
    from airflow.api_fastapi.gunicorn_app import AirflowGunicornApp

    load_of_airflow = AirflowGunicornApp.load

    def load(self: Any) -> Any:
        app = load_of_airflow(self)
        for mounted in [getattr(route, "app", None) for route in app.routes]:
            if getattr(mounted, "_cadwyn_initialized", True) is False:
                mounted._cadwyn_initialize()
        # Out of the garbage collector's sight, so that it does not write to what the processes share.
        gc.collect()
        gc.freeze()
        return app

    AirflowGunicornApp.load = load


def main() -> int:
    if sys.argv[1:2] == ["scheduler"]:
        import airflowops_queued

        airflowops_queued.install()
    if ON and sys.argv[1:2] == ["scheduler"]:
        from airflow.jobs import scheduler_job_runner

        scheduler_job_runner.time = Sleeper()
        keep_result_connections()
    if ON and sys.argv[1:2] == ["api-server"]:
        make_versions_early()
    from airflow.__main__ import main as airflow

    # How Airflow names its processes, and what it tells of a command in its log.
    sys.argv[0] = "airflow"
    return airflow()


# An API server of several processes imports this module in each of them, under another name.
if ON:
    for module in (parser, parser_of_sdk):
        module.run_command = functools.cache(module.run_command)
    if sys.argv[1:2] != ["scheduler"]:
        tell()

if sys.argv[1:2] == ["api-server"]:
    airflowops_proxy.spare_log_servers()

if __name__ == "__main__":
    sys.exit(main())
