# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scheduler is woken by a notification when there is work for it.

Airflow's scheduler looks for work, and sleeps between two looks: a task's successor waits for half of that on
average, and short sleeps cost CPU time where nothing happens. Here what ends a task or begins a run sends a
notification (PostgreSQL's NOTIFY, delivered with the commit that it reports), which ends the sleep.

It only ever shortens a sleep. Without it, as when the connection breaks or a pooler between swallows it, the
scheduler looks as often as `[scheduler] scheduler_idle_sleep_time` says.
"""

from __future__ import annotations

import logging
import select
import time
from typing import Any

CHANNEL = "airflowops_scheduler"
# Between two tries to be the one that listens.
RETRY_SECONDS = 10.0
# Where there was more than one notification, from the end of a look to the next one, in times of the CPU time
# that it took: what many ending tasks notify of is looked at together, with a fifth of a core at the most.
REST = 4

log = logging.getLogger(__name__)


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
            if self.listens and (count := self.notified(seconds)):
                rest = REST * (time.process_time() - self.woken_at) if self.many else 0
                end = min(end, begin + rest)
                time.sleep(max(0.0, end - time.monotonic()))
                self.many = count + self.notified(0) > 1
        except Exception as error:
            log.warning("Cannot be woken for now, and checks at its usual interval: %s", error)
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

    def notified(self, seconds: float) -> int:
        """How many notifications came within the time, or since the last look; returns with the first."""
        came = bool(select.select([self.connection], [], [], seconds)[0])
        while came:
            before = len(self.connection.notifies)
            self.connection.poll()
            # With TLS a poll takes one of several, and the others may not show at the socket any more.
            came = len(self.connection.notifies) > before
        count = len(self.connection.notifies)
        self.connection.notifies.clear()
        return count


def install() -> None:
    from airflow.jobs import scheduler_job_runner

    if scheduler_job_runner.time is not time:
        raise TypeError("scheduler_job_runner.time is not the module")
    scheduler_job_runner.time = Sleeper()
