# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ends a task or begins a run notifies the scheduler, with its commit: see scheduler_wake."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from airflowops_runtime.scheduler_wake import CHANNEL

# After these a successor, another try or the end of the run may be due; `scheduled`: a trigger has fired.
WAKING_STATES = frozenset(
    {"success", "failed", "skipped", "upstream_failed", "up_for_retry", "up_for_reschedule", "scheduled"}
)
MARK = "airflowops_wakes"


def wakes(statement: str, parameters: Any) -> bool:
    """True if the statement makes work for the scheduler."""
    if statement.startswith("UPDATE task_instance SET"):
        rows = parameters if isinstance(parameters, (list, tuple)) else [parameters]
        return any(isinstance(row, dict) and row.get("state") in WAKING_STATES for row in rows)
    return statement.startswith("INSERT INTO dag_run ")


def install() -> None:
    """Lets every connection of this process send a notification with a commit that makes work."""

    @event.listens_for(Engine, "before_cursor_execute")
    def note(conn: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if wakes(statement, parameters):
            conn.info[MARK] = True

    @event.listens_for(Engine, "commit")
    def send(conn: Connection) -> None:
        if conn.info.pop(MARK, None):
            conn.exec_driver_sql(f"NOTIFY {CHANNEL}")

    @event.listens_for(Engine, "rollback")
    def forget(conn: Connection) -> None:
        conn.info.pop(MARK, None)
