# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Celery's connection to a Redis broker lacks to survive it.

A message between two places. A worker takes a message out of its queue with BRPOP and only then notes it as
handed out, in a second command. If the broker dies between the two, the message is nowhere but in this
process, and kombu 5.7.0 drops it with the error (seen: one plain Celery task of 450, the slot owner killed
under 24 tasks a second). Here it is kept, and put back into its queue when the broker is there again.

A message of somebody else. A worker that connects anew hands back all that it held. What it held for longer
than the visibility timeout may have been offered again by then, and be with another worker under the same
tag; kombu hands that back too, and it is executed twice at the same time (seen: two of 257 tasks, the broker
gone for 60 s). Here a worker hands back only what was noted as handed out to itself.

A long wait. The longer the broker was away, the longer Celery waits between two tries, up to 30 s. Here it is
three at the most, so that a worker is back soon after the broker, however long that was away.

Another owner. When the broker's slot has changed hands, connections lead to its former owner until HAProxy
has seen it, which answers MOVED. kombu connects anew once, without waiting, and then gives up: what the
scheduler sends in that moment fails its task (seen: one of 600 while Redis was restarted node by node). Here
it is sent again until the new owner has it.

A long stop. While the broker is away HAProxy holds connections to it, and each lasts until socket_timeout.
A worker that is told to stop meanwhile makes three, one after the other, to take its leave (it took 93 s).
Here it waits a few seconds for each: what it cannot hand back any more is offered again by the broker.
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import kombu
from celery import current_app
from celery.app.amqp import AMQP
from celery.signals import worker_shutting_down
from celery.utils.log import get_logger
from kombu.transport import redis
from redis import exceptions

logger = get_logger(__name__)
RETRY_SECONDS = 0.5
# Between the moment that is remembered and the one that is noted lies no more than this.
NOTE_SECONDS = 1
LONGEST_INTERVAL = 3
# ensure_connection takes the intervals as its third argument and the next ones.
INTERVALS_FROM = 2
SOCKET_TIMEOUT_OF_STOP = 5
# What a node says that does not own the slot, or not yet.
NOT_THE_OWNER = (
    exceptions.AskError,
    exceptions.ClusterDownError,
    exceptions.MovedError,
    exceptions.ReadOnlyError,
    exceptions.TryAgainError,
)
# HAProxy looks for the owner every half second.
OWNER_RETRY_SECONDS = 0.3
OWNER_TRIES = 100


class QoS(redis.QoS):
    def append(self, message: Any, delivery_tag: str) -> None:
        message.noted_at = time.time()
        try:
            super().append(message, delivery_tag)
        except Exception:
            info = message.delivery_info
            kept = (delivery_tag, message.noted_at, message._raw, info["exchange"], info["routing_key"])
            threading.Thread(target=put_back, args=kept, daemon=True).start()
            raise

    def restore_unacked(self, client: Any = None) -> None:
        with self.channel.conn_or_acquire(client) as client:
            for tag, message in self._delivered.items():
                self.restore_own(tag, message.noted_at, client)
        self._delivered.clear()

    def restore_own(self, tag: str, noted_at: float, client: Any) -> None:
        """Puts the message back into its queue, unless it was acknowledged or handed out again since."""

        def restore(pipeline: Any) -> None:
            # kombu puts its prefix before the keys of those commands only that it uses itself.
            last_noted_at = pipeline.zscore(self.channel.global_keyprefix + self.unacked_index_key, tag)
            noted = pipeline.hget(self.unacked_key, tag)
            pipeline.multi()
            if noted and last_noted_at is not None and last_noted_at <= noted_at + NOTE_SECONDS:
                self._remove_from_indices(tag, pipeline)
                self.channel._do_restore_message(*json.loads(noted), pipeline)

        client.transaction(restore, self.unacked_key)


def put_back(tag: str, noted_at: float, payload: dict[str, Any], exchange: str, routing_key: str) -> None:
    """In a thread of its own. Workers alone come here, and have the module already."""
    from airflowops_celery import between_forks, brief_connection

    while True:
        try:
            with between_forks, brief_connection(current_app) as connection:
                connection.ensure_connection(max_retries=1, timeout=5)
                channel = connection.default_channel
                # The note may have been made, and its confirmation lost.
                if channel.client.hget(channel.qos.unacked_key, tag):
                    channel.qos.restore_own(tag, noted_at, channel.client)
                else:
                    with channel.client.pipeline() as pipeline:
                        channel._do_restore_message(payload, exchange, routing_key, pipeline)
                        pipeline.execute()
        except Exception as error:
            logger.warning("Message %s cannot be put back yet: %s", tag, error)
            time.sleep(RETRY_SECONDS)
            continue
        logger.warning("Message %s, which the broker took with it, was put back", tag)
        return


class Connection(kombu.Connection):
    def ensure_connection(self, *args: Any, **kwargs: Any) -> kombu.Connection:
        if len(args) <= INTERVALS_FROM:
            kwargs = {"interval_start": 1, "interval_step": 1, "interval_max": LONGEST_INTERVAL, **kwargs}
        return super().ensure_connection(*args, **kwargs)


ensure_of_kombu = kombu.Connection.ensure


def ensure(self: kombu.Connection, obj: Any, fun: Any, *args: Any, **kwargs: Any) -> Any:
    """For what a producer sends, as a whole. Not in our class: the connections of a pool are of another."""
    ensured = ensure_of_kombu(self, obj, fun, *args, **kwargs)
    if not isinstance(obj, kombu.Producer):
        return ensured

    def until_the_owner_has_it(*words: Any, **named: Any) -> Any:
        for _ in range(OWNER_TRIES):
            try:
                return ensured(*words, **named)
            except Exception as error:
                if not isinstance(error, NOT_THE_OWNER) and not isinstance(error.__cause__, NOT_THE_OWNER):
                    raise
                logger.warning("The broker's slot changes hands (%s): trying again", error)
            time.sleep(OWNER_RETRY_SECONDS)
            self.collect()
            obj.revive(self.default_channel)
        return ensured(*words, **named)

    return until_the_owner_has_it


stopping = threading.Event()


class BriefWhenStopping:
    """A connection to Redis."""

    socket_timeout: float | None

    def connect(self) -> None:
        if stopping.is_set():
            self.socket_timeout = SOCKET_TIMEOUT_OF_STOP
        super().connect()  # type: ignore[misc]


class PlainConnection(BriefWhenStopping, redis.Channel.connection_class):
    pass


class TlsConnection(BriefWhenStopping, redis.Channel.connection_class_ssl):
    pass


@worker_shutting_down.connect
def begin_stop(**_: Any) -> None:
    stopping.set()


redis.Channel.QoS = QoS
redis.Channel.connection_class = PlainConnection
redis.Channel.connection_class_ssl = TlsConnection
AMQP.Connection = Connection
kombu.Connection.ensure = ensure


def __getattr__(name: str) -> Any:
    """CELERY_CONFIG: Airflow's own configuration of Celery.

    `[celery] celery_config_options` names it, so that whatever sends to the broker imports this module: the
    scheduler above all.
    """
    if name != "CELERY_CONFIG":
        raise AttributeError(name)
    from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG

    return DEFAULT_CELERY_CONFIG
