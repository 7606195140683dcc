# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How Celery connects again, and sends again, when the broker was away or its slot has changed hands.

A long wait. The longer the broker was away, the longer Celery waits between two tries, up to 30 s. Here it is
three at the most, so that a worker is back soon after the broker, however long that was away.

Another owner. When the broker's slot has changed hands, connections lead to its former owner until HAProxy
has seen it, which answers MOVED. kombu connects again once, without waiting, and then gives up: what the
scheduler sends in that moment fails its task (seen: one of 600 while Redis was restarted node by node). Here
it is sent again until the new owner has it.
"""

from __future__ import annotations

import time
from typing import Any

import kombu
from celery.app.amqp import AMQP
from celery.utils.log import get_logger

from airflowops_runtime.worker_shared import not_the_owner

logger = get_logger(__name__)
LONGEST_INTERVAL = 3
# ensure_connection takes the intervals as its third argument and the next ones.
INTERVALS_FROM = 2
# HAProxy looks for the owner every half second.
OWNER_RETRY_SECONDS = 0.3
OWNER_TRIES = 100


class Connection(kombu.Connection):
    def ensure_connection(self, *args: Any, **kwargs: Any) -> kombu.Connection:
        if len(args) <= INTERVALS_FROM:
            kwargs = {"interval_start": 1, "interval_step": 1, "interval_max": LONGEST_INTERVAL, **kwargs}
        return super().ensure_connection(*args, **kwargs)


def connect_again_soon() -> None:
    AMQP.Connection = Connection


def send_until_the_owner_has_it() -> None:
    """For what a producer sends, as a whole. Not in our class: the connections of a pool are of another."""
    ensure_of_kombu = kombu.Connection.ensure
    errors = not_the_owner()

    def ensure(self: kombu.Connection, obj: Any, fun: Any, *args: Any, **kwargs: Any) -> Any:
        ensured = ensure_of_kombu(self, obj, fun, *args, **kwargs)
        if not isinstance(obj, kombu.Producer):
            return ensured

        def until_the_owner_has_it(*words: Any, **named: Any) -> Any:
            for _ in range(OWNER_TRIES):
                try:
                    return ensured(*words, **named)
                except Exception as error:
                    if not isinstance(error, errors) and not isinstance(error.__cause__, errors):
                        raise
                    logger.warning("The broker's slot changes hands (%s): trying again", error)
                time.sleep(OWNER_RETRY_SECONDS)
                self.collect()
                obj.revive(self.default_channel)
            return ensured(*words, **named)

        return until_the_owner_has_it

    kombu.Connection.ensure = ensure
