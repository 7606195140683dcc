# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a task, and its first heartbeat, in the slot of a worker.

The end. A slot waits for what the task's process sends, and looks whether that has ended when something came
or after `[workers] min_heartbeat_interval`, five seconds. What closes its ends a moment before it is gone
holds the slot for so long: with Airflow's default 76 tasks of 242, and with an interval of one second every
running task sends a heartbeat a second. Here the slot looks every few milliseconds once there is nothing left
to wait for.

The first heartbeat is sent in the moment in which the start of the task has been reported, which counts as
one. It is a fourth of what a short task asks of the execution API.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk.execution_time import supervisor

# Between two looks at a process that has nothing more to send.
LOOK_SECONDS = 0.01


def look_often_at_the_end() -> None:
    service_of_airflow = supervisor.WatchedSubprocess._service_subprocess

    def service(self: Any, max_wait_time: float, *args: Any, **kwargs: Any) -> int | None:
        if not self.selector.get_map():
            max_wait_time = min(max_wait_time, LOOK_SECONDS)
        return service_of_airflow(self, max_wait_time, *args, **kwargs)

    supervisor.WatchedSubprocess._service_subprocess = service


def leave_out_the_first_heartbeat() -> None:
    heartbeat_of_airflow = supervisor.ActivitySubprocess._send_heartbeat_if_needed

    def heartbeat(self: Any) -> None:
        self._last_heartbeat_attempt = self._last_heartbeat_attempt or self._last_successful_heartbeat
        heartbeat_of_airflow(self)

    supervisor.ActivitySubprocess._send_heartbeat_if_needed = heartbeat
