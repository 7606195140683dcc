# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Closes the one gap in which kombu's Redis transport loses a message.

A worker takes a message out of its queue with BRPOP and only then notes it as handed out, in a second
command. If the broker dies between the two, the message is nowhere but in this process, and kombu 5.7.0 drops
it with the error (seen: one plain Celery task of 450, the slot owner killed under 24 tasks a second). Here it
is kept, and put back into its queue when the broker is there again.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from celery import current_app
from celery.utils.log import get_logger
from kombu.transport import redis

logger = get_logger(__name__)
RETRY_SECONDS = 0.5


class QoS(redis.QoS):
    def append(self, message: Any, delivery_tag: str) -> None:
        try:
            super().append(message, delivery_tag)
        except Exception:
            info = message.delivery_info
            kept = (delivery_tag, message._raw, info["exchange"], info["routing_key"])
            threading.Thread(target=put_back, args=kept, daemon=True).start()
            raise


def put_back(tag: str, payload: dict[str, Any], exchange: str, routing_key: str) -> None:
    while True:
        try:
            with current_app.connection_for_write() as connection:
                channel = connection.default_channel
                # The note may have been made, and its confirmation lost.
                if channel.client.hexists(channel.qos.unacked_key, tag):
                    channel.qos.restore_by_tag(tag)
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


redis.Channel.QoS = QoS
