# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remote control commands of the Celery workers: take no new task for a moment, and go on.

Celery's own pair, cancel_consumer and add_consumer, does not serve: a worker that got both forgets its queues
when it next loses the broker, stays connected and consumes nothing (seen with Celery 5.6.3). Operators use it
(Flower has a button for each): what they cancel stays cancelled until they add it again or the worker is
restarted, and what they add is not forgotten.
"""

from __future__ import annotations

import threading
from typing import Any

from celery.utils.log import get_logger
from celery.worker.control import Panel

from airflowops_runtime.worker_shared import between_forks, cancelled, paused

logger = get_logger(__name__)


class Pause:
    """Gives the worker's queues up, and takes them back in time if nobody does."""

    def __init__(self) -> None:
        self.clock: threading.Timer | None = None

    def begin(self, consumer: Any, seconds: float) -> list[str]:
        known = consumer.app.amqp.queues
        given_up = dict(known.consume_from)
        paused.update(given_up)
        for name in given_up:
            known.deselect(name)
            consumer.call_soon(consumer.cancel_task_queue, name)
        self._set_clock(threading.Timer(seconds, self.end_in_time, (consumer,)))
        return sorted(paused)

    def end_in_time(self, consumer: Any) -> None:
        """In a thread of its own."""
        with between_forks:
            self.end(consumer)

    def end(self, consumer: Any) -> list[str]:
        """A worker without connection takes tasks from what is selected when it has one again."""
        self._set_clock(None)
        queues = dict(paused)
        paused.clear()
        for name, queue in queues.items():
            consumer.app.amqp.queues.select_add(queue)
            consumer.call_soon(consumer.add_task_queue, name)
        return sorted(queues)

    def _set_clock(self, clock: threading.Timer | None) -> None:
        if self.clock:
            self.clock.cancel()
        self.clock = clock
        if clock:
            clock.daemon = True
            clock.start()


pause = Pause()


def begin_pause(state: Any, seconds: float, **_: Any) -> dict[str, Any]:
    """Take no new task until asked to go on, or for so many seconds."""
    names = pause.begin(state.consumer, float(seconds))
    logger.info("Paused for %s s at the most: takes nothing from %s", seconds, ", ".join(names))
    return {"ok": names}


def end_pause(state: Any, **_: Any) -> dict[str, Any]:
    """Take tasks again."""
    names = pause.end(state.consumer)
    if names:
        logger.info("Takes tasks again from %s", ", ".join(names))
    return {"ok": names}


def add_pause_commands() -> None:
    from celery.worker.control import control_command

    seconds = {"args": [("seconds", float)], "signature": "<seconds>"}
    control_command(name="airflowops_pause", **seconds)(begin_pause)
    control_command(name="airflowops_resume")(end_pause)


def remember_what_operators_choose() -> None:
    cancel_of_celery = Panel.data["cancel_consumer"]
    add_of_celery = Panel.data["add_consumer"]

    def cancel_consumer(state: Any, queue: str, **options: Any) -> Any:
        cancelled.add(queue)
        paused.pop(queue, None)
        return cancel_of_celery(state, queue, **options)

    def add_consumer(state: Any, queue: str, *args: Any, **options: Any) -> Any:
        def select() -> None:
            known = state.consumer.app.amqp.queues
            if queue in known and queue not in known.consume_from:
                known.select_add(known[queue])

        cancelled.discard(queue)
        reply = add_of_celery(state, queue, *args, **options)
        # After Celery's own, which selects a queue that it did not know and no other.
        state.consumer.call_soon(select)
        return reply

    Panel.data["cancel_consumer"] = cancel_consumer
    Panel.data["add_consumer"] = add_consumer
