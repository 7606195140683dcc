# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker grows also after a broken connection; where memory runs out a task ends, not the worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from celery.utils.log import get_logger

logger = get_logger(__name__)

# The kernel adds it to a process' share of memory, in thousandths of what there is:
# proc_pid_oom_score_adj(5). A task's processes inherit it from their slot's.
OOM_SCORE_OF_TASKS = 500


def max_prefetch_count(consumer: Any) -> int:
    """How many messages a worker may hold: as at its start, for as many slots as autoscale may make.

    Celery's own goes by the slots of the moment. After a broken connection that is all that the worker takes,
    and as it grows only when it holds more than it has slots for, it stayed as small (seen with 5.6.3).
    """
    slots = getattr(consumer.controller, "max_concurrency", None) or consumer.pool.num_processes
    return slots * consumer.prefetch_multiplier


def hold_messages_for_all_slots() -> None:
    from celery.worker.consumer import Consumer

    Consumer.max_prefetch_count = property(max_prefetch_count)  # type: ignore[method-assign]


def offer_to_end(**_: Any) -> None:
    """For each of a worker's slots."""
    try:
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE_OF_TASKS), encoding="ascii")
    except OSError as error:
        logger.warning("A lack of memory may end the worker instead of a task: %s", error)


def end_tasks_first() -> None:
    from celery.signals import worker_process_init

    worker_process_init.connect(offer_to_end)
