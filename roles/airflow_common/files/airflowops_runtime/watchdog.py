# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recovers a Celery worker that is connected and deaf: one that takes nothing while its queues hold tasks.

Known since Celery 4 after broker failovers, and green in every ping. A thread of the worker looks every 15 s,
over a connection of its own:
- Half of the unit's WatchdogSec= deaf: the worker connects again, to the queues that it was started with or
  given since, without those that an operator has cancelled. Running tasks run on.
- All of it: systemd is no longer notified that all is well. It stops the worker, which ends its running tasks
  first (WatchdogSignal=SIGTERM), and starts it again.
While the broker cannot be reached nothing is held against the worker.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any

from celery.signals import worker_ready, worker_shutting_down
from celery.utils.log import get_logger
from celery.worker import state

from airflowops_runtime.systemd import notify
from airflowops_runtime.worker_shared import between_forks, brief_connection, cancelled, paused

logger = get_logger(__name__)
LOOK_SECONDS = 15.0


def backlog(app: Any, queues: list[str]) -> int:
    """How many messages wait in the queues. Raises when the broker cannot be reached."""
    with brief_connection(app) as connection:
        connection.ensure_connection(max_retries=1, timeout=5)
        channel = connection.default_channel
        if hasattr(channel, "_size"):  # kombu's own transports: Redis, SQS.
            return sum(channel._size(queue) for queue in queues)
        return sum(channel.queue_declare(queue, passive=True).message_count for queue in queues)


class ConnectAnew(ConnectionError):
    """Raised in the worker's main loop, which treats it like a connection that broke."""


def connect_anew() -> None:
    raise ConnectAnew("deaf: connects again")


class Watchdog(threading.Thread):
    def __init__(self, consumer: Any, limit: float) -> None:
        super().__init__(daemon=True, name="airflowops-watchdog")
        self.consumer = consumer
        self.limit = limit
        self.started_with = dict(consumer.app.amqp.queues.consume_from)
        self.ending = threading.Event()
        self.received = -1
        self.deaf_since: float | None = None
        self.fixed = False

    @property
    def queues(self) -> dict[str, Any]:
        """What the worker should take tasks from."""
        queues = {**self.started_with, **self.consumer.app.amqp.queues.consume_from}
        return {name: queue for name, queue in queues.items() if name not in cancelled}

    def run(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            with between_forks:
                self.act()

    def act(self) -> None:
        try:
            # One that ends its running tasks takes no new ones, and is not to be hurried.
            deaf_for = 0.0 if self.ending.is_set() else self.look(time.monotonic())
            if deaf_for < self.limit:
                notify("WATCHDOG=1")
            if deaf_for >= self.limit / 2 and not self.fixed:
                self.fix(deaf_for)
        except Exception:
            logger.exception("The watchdog could not look")
            notify("WATCHDOG=1")

    def look(self, now: float) -> float:
        """For how long the worker has been deaf, in seconds."""
        received = sum(state.total_count.values())
        # After a broken connection Celery remembers what runs, and no longer that it was reserved.
        busy = max(len(state.reserved_requests), len(state.active_requests))
        free = busy < self.consumer.pool.num_processes
        quiet = received == self.received and free and not paused
        self.received = received
        if not quiet or not self.waiting():
            self.deaf_since, self.fixed = None, False
            return 0.0
        if self.deaf_since is None:
            self.deaf_since = now
        return now - self.deaf_since

    def waiting(self) -> bool:
        try:
            return backlog(self.consumer.app, list(self.queues)) > 0
        except Exception as error:
            logger.warning("The watchdog cannot reach the broker: %s", error)
            return False

    def fix(self, deaf_for: float) -> None:
        self.fixed = True
        logger.error(
            "Took no task for %d s while %s hold some: connects again", deaf_for, ", ".join(self.queues)
        )
        for queue in tuple(self.queues.values()):
            self.consumer.app.amqp.queues.select_add(queue)
        self.consumer.call_soon(connect_anew)


def begin(sender: Any, **_: Any) -> None:
    limit = int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6
    if limit:
        watchdog = Watchdog(sender, limit)
        worker_shutting_down.connect(lambda **_: watchdog.ending.set(), weak=False)
        watchdog.start()


def install() -> None:
    worker_ready.connect(begin)
