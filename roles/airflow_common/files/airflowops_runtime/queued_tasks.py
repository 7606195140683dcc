# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A queued task waits for as long as its message is in the broker; a message that was lost is sent again.

Airflow's scheduler takes a task for lost that was queued for `[scheduler] task_queued_timeout`: it is sent
again, behind all others, and fails after `num_stuck_in_queued_retries` such times, also when every worker is
only busy, or the one worker of its queue is down for a while. The token that the message carries lives no
longer than this, so a message that is taken later is refused and its task fails as well (apache/airflow
#59553, #72469).

Here the scheduler reads from the broker which messages it still has, in a queue or handed out to a worker:
- It has the message: the task keeps its place and waits. Its token lives for 30 days. One that would end
  soon, or was signed with a key that is being rotated, is replaced: the message is removed from its queue and
  sent again with a new token.
- It does not, at two checks in a row: Airflow sends it again, as always.
- The broker cannot be reached: nothing is done.
- The broker cannot list its messages (RabbitMQ, SQS): Airflow sends them again, and waits twice as long each
  time. Whatever runs first is the task's only run: the execution API refuses a second one.

"""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

# A message that a worker is just taking is in no place for a moment. It is lost if missing for longer.
CONFIRM_SECONDS = 10
TOKEN_SECONDS = 30 * 86400
RENEW_SECONDS = 86400
# At one check, so that the scheduler's loop goes on.
MOST_RENEWALS = 500
# The scheduler does nothing else meanwhile. HAProxy holds connections while no node owns the broker's slot.
BROKER_SECONDS = 3
CHUNK = 200

log = logging.getLogger(__name__)


class CannotList(Exception):
    """The broker keeps messages where nobody can read them."""


@dataclass(frozen=True)
class Message:
    text: bytes
    # The list that holds it; none if it was handed out to a worker.
    key: str | None = None

    @property
    def content(self) -> dict[str, Any]:
        content = json.loads(self.text)
        return content if self.key else content[0]

    @property
    def task_id(self) -> str | None:
        """None if it is not Celery's."""
        try:
            return self.content["headers"]["id"]
        except (ValueError, LookupError, TypeError):
            return None

    def stale(self, kid: str) -> bool:
        """True if its token will be refused. False if it cannot be read."""
        try:
            arguments = json.loads(base64.b64decode(self.content["body"]))[0]
            parts = json.loads(arguments[0])["token"].split(".")
            head, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in parts[:2])
            return head["kid"] != kid or claims["exp"] < time.time() + RENEW_SECONDS
        except (ValueError, LookupError, TypeError, AttributeError):
            return False


class RedisBroker:
    """A broker of Redis, by kombu's names of its keys."""

    def __init__(self, channel: Any) -> None:
        import redis

        self.channel = channel
        # kombu's client puts its prefix before the keys of some commands only.
        self.client = redis.Redis(connection_pool=channel.client.connection_pool)

    def messages(self, queues: Iterable[str]) -> Iterator[Message]:
        """New messages are put before the others: none is missed between two chunks."""
        prefix, channel = self.channel.global_keyprefix, self.channel
        for queue in queues:
            for priority in channel.priority_steps:
                key = prefix + channel._q_for_pri(queue, priority)
                begin = 0
                while chunk := self.client.lrange(key, begin, begin + CHUNK - 1):
                    yield from (Message(text, key) for text in chunk)
                    begin += CHUNK
        for _, text in self.client.hscan_iter(prefix + channel.unacked_key, count=CHUNK):
            yield Message(text)

    def remove(self, message: Message) -> bool:
        """False if a worker has taken it meanwhile. From the end at which workers take."""
        return bool(self.client.lrem(message.key, -1, message.text))


class Brokers:
    """The brokers of all Celery executors: one, unless teams have their own."""

    def __init__(self, executors: list[Any]) -> None:
        self.connections = []
        self.brokers = []
        try:
            for executor in executors:
                self.brokers.append(RedisBroker(self.connect(executor.celery_app)))
        except BaseException:
            self.close()
            raise

    def connect(self, app: Any) -> Any:
        limits = {"socket_timeout": BROKER_SECONDS, "socket_connect_timeout": BROKER_SECONDS}
        connection = app.connection_for_read(transport_options=limits)
        self.connections.append(connection)
        if connection.transport.driver_type != "redis":
            raise CannotList(connection.transport.driver_type)
        connection.ensure_connection(max_retries=1, timeout=BROKER_SECONDS)
        return connection.default_channel

    def find(self, queues: set[str], wanted: set[str]) -> dict[str, tuple[RedisBroker, Message]]:
        found = {}
        for broker in self.brokers:
            for message in broker.messages(sorted(queues)):
                if (task_id := message.task_id) in wanted:
                    found[task_id] = broker, message
        return found

    def close(self) -> None:
        for connection in self.connections:
            connection.release()


class QueuedTasks:
    """Of one scheduler."""

    def __init__(self, stock: Callable[..., Iterable[Any]]) -> None:
        self.stock = stock
        # Since when the message of a task was in no place, by its id.
        self.missing: dict[str, float] = {}
        self.warned = False

    def stuck(self, runner: Any, session: Any) -> list[Any]:
        """The tasks that Airflow may send again."""
        queued = list(self.stock(runner, session))
        executors = [executor for executor in runner.executors if hasattr(executor, "celery_app")]
        if not queued or not executors:
            self.missing = {}
            return queued
        brokers = None
        try:
            brokers = Brokers(executors)
            return self.lost(runner, session, executors, brokers, queued)
        except away() as error:
            log.warning("The broker cannot be read, queued tasks wait: %s", error)
            self.missing = {}
            return []
        except Exception as error:
            self.warn(error)
            return [ti for ti in queued if self.waited_twice_as_long(runner, session, ti)]
        finally:
            if brokers:
                brokers.close()

    def lost(
        self, runner: Any, session: Any, executors: list[Any], brokers: Brokers, queued: list[Any]
    ) -> list[Any]:
        # What is not sent yet is with the scheduler itself.
        sent = [
            ti for ti in queued if not any(ti.key in getattr(each, "queued_tasks", ()) for each in executors)
        ]
        found = brokers.find({ti.queue for ti in sent}, {ti.external_executor_id for ti in sent})
        now = time.monotonic()
        self.missing = {
            ti.external_executor_id: self.missing.get(ti.external_executor_id, now)
            for ti in sent
            if ti.external_executor_id not in found
        }
        held = [(ti, *found[ti.external_executor_id]) for ti in sent if ti.external_executor_id in found]
        self.renew(runner, session, executors, held)
        lost = {
            ti.id for ti in sent if now - self.missing.get(ti.external_executor_id, now) >= CONFIRM_SECONDS
        }
        # Some may have begun since they were read.
        still = [ti for ti in self.stock(runner, session) if ti.id in lost] if lost else []
        for ti in still:
            log.warning("The broker does not have the message of %s any more: it is sent again", ti)
        return still

    def renew(
        self, runner: Any, session: Any, executors: list[Any], held: list[tuple[Any, RedisBroker, Message]]
    ) -> None:
        kid = executors[0].jwt_generator.kid
        stale = [one for one in held if one[2].key and one[2].stale(kid)]
        for ti, broker, message in stale[:MOST_RENEWALS]:
            if broker.remove(message):
                log.info("The token of %s is replaced: it is sent again", ti)
                for executor in executors:
                    executor.revoke_task(ti=ti)
                runner._reschedule_stuck_task(ti, session=session)
                session.commit()

    def waited_twice_as_long(self, runner: Any, session: Any, ti: Any) -> bool:
        times = runner._get_num_times_stuck_in_queued(ti, session=session)
        waited = (datetime.now(timezone.utc) - ti.queued_dttm).total_seconds()
        return waited >= runner._task_queued_timeout * 2**times

    def warn(self, error: Exception) -> None:
        """Once."""
        if self.warned:
            return
        self.warned = True
        if isinstance(error, CannotList):
            log.info("A broker of %s cannot list its messages: long queued tasks are sent again", error)
        else:
            log.warning("Cannot read what the broker holds: long queued tasks are sent again", exc_info=error)


def away() -> tuple[type[Exception], ...]:
    """What is raised while the broker is away or its slot changes hands."""
    from kombu.exceptions import OperationalError
    from redis import exceptions

    from airflowops_runtime.worker_shared import not_the_owner

    return (OSError, OperationalError, exceptions.ConnectionError, exceptions.TimeoutError, *not_the_owner())


class LongLived:
    """Makes tokens as a JWTGenerator does, for a message that may wait for long."""

    def __init__(self, generator: Any) -> None:
        self.generator = generator

    def generate(self, *args: Any, valid_for: float | None = None, **kwargs: Any) -> str:
        return self.generator.generate(*args, valid_for=max(valid_for or 0, TOKEN_SECONDS), **kwargs)


def install() -> None:
    """In the scheduler, before it begins."""
    from airflow.executors.workloads.base import BaseWorkloadSchema
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner

    away()
    queued_tasks = QueuedTasks(SchedulerJobRunner._get_tis_stuck_in_queued)
    token_of_airflow = BaseWorkloadSchema.generate_token

    def stuck(self: Any, session: Any) -> list[Any]:
        return queued_tasks.stuck(self, session)

    def generate_token(sub_id: str, generator: Any = None) -> str:
        return token_of_airflow(sub_id, generator and LongLived(generator))

    SchedulerJobRunner._get_tis_stuck_in_queued = stuck
    BaseWorkloadSchema.generate_token = staticmethod(generate_token)
