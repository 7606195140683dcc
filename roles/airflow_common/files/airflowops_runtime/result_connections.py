# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scheduler keeps its connection to the result backend.

At each look the scheduler asks Celery's result backend what became of the tasks, for which Celery makes a new
connection outside of its workers: a login and, with TLS, a handshake, on both sides. Here it keeps one.

What publishes for the scheduler is a fork of it, and must not use its connections. That does not depend on
Celery's own hook after a fork.
"""

from __future__ import annotations

import os
import weakref

from celery.backends import database

managers: weakref.WeakSet[Sessions] = weakref.WeakSet()


class Sessions(database.SessionManager):
    def __init__(self) -> None:
        super().__init__()
        self.forked = True
        managers.add(self)

    def leave_connections(self) -> None:
        """They are the parent's, and stay open there."""
        for engine in self._engines.values():
            engine.dispose(close=False)
        self._engines, self._sessions = {}, {}


def leave_connections() -> None:
    for manager in managers:
        manager.leave_connections()


def check() -> None:
    """Celery keeps an engine in the place where we look for it."""
    manager = Sessions()
    engine = manager.get_engine("sqlite://")
    if [*manager._engines.values()] != [engine] or manager.get_engine("sqlite://") is not engine:
        raise TypeError("Celery does not keep engines where they are expected")
    manager.leave_connections()
    if manager.get_engine("sqlite://") is engine:
        raise TypeError("Celery keeps an engine that was left")
    manager.leave_connections()


def install() -> None:
    check()
    os.register_at_fork(after_in_child=leave_connections)
    database.SessionManager = Sessions
