# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Celery worker imports when it starts, as `imports` of its configuration names this module."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

from celery.signals import worker_ready

from airflowops_runtime.apply import apply_for, is_on
from airflowops_runtime.systemd import notify
from airflowops_runtime.worker_shared import between_forks

apply_for("broker-client")
apply_for("worker")
# Between two notifications, where no watchdog sends them.
ALIVE_SECONDS = 15.0


def stay_alive() -> None:
    while True:
        time.sleep(ALIVE_SECONDS)
        with between_forks:
            notify("WATCHDOG=1")


@worker_ready.connect
def begin(**_: Any) -> None:
    notify("READY=1")
    # A unit with WatchdogSec= ends a worker from which nothing comes.
    if os.environ.get("WATCHDOG_USEC") and not is_on("watchdog"):
        threading.Thread(target=stay_alive, daemon=True).start()
