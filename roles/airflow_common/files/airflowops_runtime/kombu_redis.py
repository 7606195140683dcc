# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kombu's Redis transport lacks to survive a broker that goes away.

A message between two places. A worker takes a message out of its queue with BRPOP and only then notes it as
handed out, in a second command. If the broker dies between the two, the message is nowhere but in this
process, and kombu 5.7.0 drops it with the error (seen: one plain Celery task of 450, the slot owner killed
under 24 tasks a second). Here it is kept, and put back into its queue when the broker is there again.

A message of somebody else. A worker that connects again hands back all that it held. What it held for longer
than the visibility timeout may have been offered again by then, and be with another worker under the same
tag; kombu hands that back too, and it is executed twice at the same time (seen: two of 257 tasks, the broker
gone for 60 s). Here a worker hands back only what was noted as handed out to itself.

A long stop. While the broker is away HAProxy holds connections to it, and each lasts until socket_timeout.
A worker that is to stop meanwhile makes three, one after the other, to take its leave (it took 93 s).
Here it waits a few seconds for each: what it cannot hand back any more is offered again by the broker.
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from celery import current_app
from celery.signals import worker_shutting_down
from celery.utils.log import get_logger
from kombu.transport import redis

from airflowops_runtime.worker_shared import between_forks, brief_connection

logger = get_logger(__name__)
RETRY_SECONDS = 0.5
# Between the moment that is remembered and the one that is noted lies no more than this.
NOTE_SECONDS = 1
SOCKET_TIMEOUT_OF_STOP = 5


def keep_messages() -> None:
    append_of_kombu = redis.QoS.append

    def append(self: Any, message: Any, delivery_tag: str) -> None:
        message.noted_at = time.time()
        try:
            append_of_kombu(self, message, delivery_tag)
        except Exception:
            info = message.delivery_info
            kept = (delivery_tag, message.noted_at, message._raw, info["exchange"], info["routing_key"])
            threading.Thread(target=put_back, args=kept, daemon=True).start()
            raise

    redis.QoS.append = append


def hand_back_own_messages_only() -> None:
    append_of_kombu = redis.QoS.append

    def append(self: Any, message: Any, delivery_tag: str) -> None:
        message.noted_at = time.time()
        append_of_kombu(self, message, delivery_tag)

    def restore_unacked(self: Any, client: Any = None) -> None:
        with self.channel.conn_or_acquire(client) as client:
            for tag, message in self._delivered.items():
                restore_own(self, tag, message.noted_at, client)
        self._delivered.clear()

    redis.QoS.append = append
    redis.QoS.restore_unacked = restore_unacked


def restore_own(qos: Any, tag: str, noted_at: float, client: Any) -> None:
    """Puts the message back into its queue, unless it was acknowledged or handed out again since."""

    def restore(pipeline: Any) -> None:
        # kombu puts its prefix before the keys of those commands only that it uses itself.
        last_noted_at = pipeline.zscore(qos.channel.global_keyprefix + qos.unacked_index_key, tag)
        noted = pipeline.hget(qos.unacked_key, tag)
        pipeline.multi()
        if noted and last_noted_at is not None and last_noted_at <= noted_at + NOTE_SECONDS:
            qos._remove_from_indices(tag, pipeline)
            qos.channel._do_restore_message(*json.loads(noted), pipeline)

    client.transaction(restore, qos.unacked_key)


def put_back(tag: str, noted_at: float, payload: dict[str, Any], exchange: str, routing_key: str) -> None:
    """In a thread of its own."""
    while True:
        try:
            with between_forks, brief_connection(current_app) as connection:
                connection.ensure_connection(max_retries=1, timeout=5)
                channel = connection.default_channel
                # The note may have been made, and its confirmation lost.
                if channel.client.hget(channel.qos.unacked_key, tag):
                    restore_own(channel.qos, tag, noted_at, channel.client)
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


stopping = threading.Event()


class BriefWhenStopping:
    """A connection to Redis."""

    socket_timeout: float | None

    def connect(self) -> None:
        if stopping.is_set():
            self.socket_timeout = SOCKET_TIMEOUT_OF_STOP
        super().connect()  # type: ignore[misc]


def begin_stop(**_: Any) -> None:
    stopping.set()


def stop_soon() -> None:
    class PlainConnection(BriefWhenStopping, redis.Channel.connection_class):  # type: ignore[name-defined]
        pass

    class TlsConnection(BriefWhenStopping, redis.Channel.connection_class_ssl):  # type: ignore[name-defined]
        pass

    worker_shutting_down.connect(begin_stop)
    redis.Channel.connection_class = PlainConnection
    redis.Channel.connection_class_ssl = TlsConnection
