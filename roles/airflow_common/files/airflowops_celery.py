# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remote control commands of the Celery workers: take no new task for a moment, and go on. Also, when memory
runs out it is a task that ends, not the worker, and a worker that grows does so after a broken connection.

Celery's own pair, cancel_consumer and add_consumer, does not serve: a worker that got both forgets its queues
when it next loses the broker, stays connected and consumes nothing (seen with Celery 5.6.3). Operators use it
(Flower has a button for each): what they cancel stays cancelled until they add it again or the worker is
restarted, and what they add is not forgotten.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from celery.signals import worker_process_init
from celery.utils.log import get_logger
from celery.worker.consumer import Consumer
from celery.worker.control import Panel, control_command

logger = get_logger(__name__)

# What a thread holds at the moment of a fork, the import of a module or a handler of the log, stays held in
# the new process, whose first need of it never ends: a slot that takes tasks and does none. So our threads
# work only while they have this, and a fork waits for it. (With one always at work 1 of 25 new slots hung.)
between_forks = threading.Lock()
os.register_at_fork(
    before=between_forks.acquire, after_in_parent=between_forks.release, after_in_child=between_forks.release
)


# A fork must not wait for a broker that holds connections and does not answer.
BRIEF_SECONDS = 3


def brief_connection(app: Any) -> Any:
    """For what our threads ask of the broker while they have `between_forks`."""
    connection = app.connection_for_write()
    if connection.transport.driver_type != "redis":
        return connection
    limits = {"socket_timeout": BRIEF_SECONDS, "socket_connect_timeout": BRIEF_SECONDS}
    return connection.clone(transport_options={**connection.transport_options, **limits})


class Pause:
    """The queues that were given up, and the clock that takes them back if nobody does."""

    def __init__(self) -> None:
        self.queues: dict[str, Any] = {}
        self.clock: threading.Timer | None = None

    def begin(self, consumer: Any, seconds: float) -> list[str]:
        known = consumer.app.amqp.queues
        given_up = dict(known.consume_from)
        self.queues.update(given_up)
        for name in given_up:
            known.deselect(name)
            consumer.call_soon(consumer.cancel_task_queue, name)
        self._set_clock(threading.Timer(seconds, self.end_in_time, (consumer,)))
        return sorted(self.queues)

    def end_in_time(self, consumer: Any) -> None:
        """In a thread of its own."""
        with between_forks:
            self.end(consumer)

    def end(self, consumer: Any) -> list[str]:
        """A worker without connection takes tasks from what is selected when it has one again."""
        self._set_clock(None)
        queues, self.queues = self.queues, {}
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


@control_command(name="airflowops_pause", args=[("seconds", float)], signature="<seconds>")
def airflowops_pause(state: Any, seconds: float, **_: Any) -> dict[str, Any]:
    """Take no new task until told to go on, or for so many seconds."""
    names = pause.begin(state.consumer, float(seconds))
    logger.info("Paused for %s s at the most: takes nothing from %s", seconds, ", ".join(names))
    return {"ok": names}


@control_command(name="airflowops_resume")
def airflowops_resume(state: Any, **_: Any) -> dict[str, Any]:
    """Take tasks again."""
    names = pause.end(state.consumer)
    if names:
        logger.info("Takes tasks again from %s", ", ".join(names))
    return {"ok": names}


# The queues that an operator has cancelled.
cancelled: set[str] = set()
cancel_of_celery = Panel.data["cancel_consumer"]
add_of_celery = Panel.data["add_consumer"]


def cancel_consumer(state: Any, queue: str, **options: Any) -> Any:
    cancelled.add(queue)
    pause.queues.pop(queue, None)
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


def max_prefetch_count(consumer: Consumer) -> int:
    """How many messages a worker may hold: as at its start, for as many slots as autoscale may make.

    Celery's own goes by the slots of the moment. After a broken connection that is all that the worker takes,
    and as it grows only when it holds more than it has slots for, it stayed as small (seen with 5.6.3).
    """
    slots = getattr(consumer.controller, "max_concurrency", None) or consumer.pool.num_processes
    return slots * consumer.prefetch_multiplier


Consumer.max_prefetch_count = property(max_prefetch_count)  # type: ignore[method-assign]

# The kernel adds it to a process' share of memory, in thousandths of what there is:
# proc_pid_oom_score_adj(5). A task's processes inherit it from their slot's.
OOM_SCORE_OF_TASKS = 500


@worker_process_init.connect
def offer_to_end(**_: Any) -> None:
    """For each of a worker's slots."""
    try:
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE_OF_TASKS), encoding="ascii")
    except OSError as error:
        logger.warning("A lack of memory may end the worker instead of a task: %s", error)
