# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A flow of plain Celery tasks on a host of the lab, under the very Celery configuration of its Airflow.

    celery -A flow worker -Q flow ...       takes tasks
    python flow.py FILE PER_SECOND          publishes until it is configured to end, a line to FILE for each

All hosts of a lab share one kernel, so that its monotonic clock gives one order to what happens on them.
Lines: `a ID TIME` accepted by the broker, `s ID TIME` an execution begins, `e ID TIME` it ends.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from airflow.providers.celery.executors.celery_executor import app

QUEUE = "flow"
RECORDS = Path(os.environ.get("FLOW_RECORDS", "/var/lib/airflow/flow"))
# Most tasks are short. One in twenty outlasts a planned failover.
SHORT, LONG, LONG_EACH = 0.2, 1.0, 20


def note(kind: str, number: str, file: Path) -> None:
    """One write each: lines of several processes do not mix."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(descriptor, f"{kind} {number} {time.monotonic():.4f}\n".encode())
    os.close(descriptor)


@app.task(name="flow.work", ignore_result=True)
def work(number: str, seconds: float) -> None:
    executed = RECORDS / "executed"
    note("s", number, executed)
    time.sleep(seconds)
    note("e", number, executed)


def publish(file: Path, per_second: float) -> None:
    """Keeps the pace as well as it can; what was missed in a gap is not made up for."""
    ending = []
    signal.signal(signal.SIGTERM, lambda *_: ending.append(True))
    count = 0
    following = time.monotonic()
    while not ending:
        count += 1
        number = f"{os.getpid()}-{count}"
        seconds = LONG if count % LONG_EACH == 0 else SHORT
        try:
            work.apply_async((number, seconds), queue=QUEUE)
        except Exception as error:
            # Not accepted: a scheduler would try again; here another task takes its place.
            print(f"{number} was not accepted: {error!r}", file=sys.stderr, flush=True)
        else:
            note("a", number, file)
        following = max(following + 1 / per_second, time.monotonic() - 1 / per_second)
        time.sleep(max(0.0, following - time.monotonic()))


if __name__ == "__main__":
    # The task's name must not depend on how this file is run.
    publish(Path(sys.argv[1]), float(sys.argv[2]))
