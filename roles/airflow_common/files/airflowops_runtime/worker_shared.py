# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the threads of a worker and its remote control share. Nothing private of Celery's or kombu's."""

from __future__ import annotations

import os
import threading
from typing import Any

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


# What a pause of the remote control took from the worker, {name: queue}.
paused: dict[str, Any] = {}
# The queues that an operator has cancelled.
cancelled: set[str] = set()


def not_the_owner() -> tuple[type[Exception], ...]:
    """What redis-py raises for a node that does not own the slot, or not yet."""
    from redis import exceptions

    return (
        exceptions.AskError,
        exceptions.ClusterDownError,
        exceptions.MovedError,
        exceptions.ReadOnlyError,
        exceptions.TryAgainError,
    )
