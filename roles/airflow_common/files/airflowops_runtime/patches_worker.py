# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patches of Celery workers, and of the tasks in them."""

from __future__ import annotations

from airflowops_runtime.patch import Patch, Target

SDK = ("apache-airflow-task-sdk", "apache-airflow-core")
CELERY = ("celery", "kombu")
SUPERVISOR = "airflow.sdk.execution_time.supervisor"
CONSUMER = "celery.worker.consumer:Consumer"
QUEUES = "celery.app.amqp:Queues"
OURS = "airflowops_runtime"

WORKER_PATCHES = (
    Patch(
        name="pause-commands",
        kind="repair",
        services="worker",
        changes="Workers have remote control commands to take no task for a moment, and to go on.",
        why="A planned failover of the broker would run tasks twice that are handed out meanwhile.",
        install=f"{OURS}.remote_control:add_pause_commands",
        packages=CELERY,
        targets=(
            Target("celery.worker.control:control_command"),
            Target("celery.worker.control:Panel.data"),
            Target(f"{QUEUES}.select_add", parameters="self, queue, **kwargs"),
            Target(f"{QUEUES}.deselect", parameters="self, exclude"),
            Target(f"{QUEUES}.consume_from"),
            Target(f"{CONSUMER}.call_soon"),
            Target(f"{CONSUMER}.cancel_task_queue", parameters="self, queue"),
            Target(
                f"{CONSUMER}.add_task_queue",
                parameters="self, queue, exchange=, exchange_type=, routing_key=, **options",
            ),
        ),
    ),
    Patch(
        name="operator-queues",
        kind="repair",
        services="worker",
        changes="What an operator cancels and adds by remote control is remembered over a reconnection.",
        why="A worker that got cancel_consumer and add_consumer is deaf after its next reconnection.",
        install=f"{OURS}.remote_control:remember_what_operators_choose",
        packages=CELERY,
        targets=(
            Target("celery.worker.control:cancel_consumer", parameters="state, queue, **_"),
            Target(
                "celery.worker.control:add_consumer",
                parameters="state, queue, exchange=, exchange_type=, routing_key=, **options",
            ),
            Target("celery.worker.control:Panel.data"),
            Target(f"{QUEUES}.select_add", parameters="self, queue, **kwargs"),
            Target(f"{QUEUES}.consume_from"),
            Target(f"{CONSUMER}.call_soon"),
        ),
    ),
    Patch(
        name="prefetch-count",
        kind="repair",
        services="worker",
        changes="After a broken connection a worker with autoscale grows as it did before.",
        why="Celery takes as many tasks as there are slots in that moment, and makes no more.",
        install=f"{OURS}.worker_limits:hold_messages_for_all_slots",
        packages=CELERY,
        targets=(
            Target(f"{CONSUMER}.max_prefetch_count", source=("b0e08fed6ad93486",)),
            Target(f"{CONSUMER}.on_connection_error_after_connected", uses=("max_prefetch_count",)),
        ),
    ),
    Patch(
        name="oom-score",
        kind="repair",
        services="worker",
        changes="Where memory runs out the kernel ends a task.",
        why="It may end the worker, and all of its tasks with it.",
        install=f"{OURS}.worker_limits:end_tasks_first",
        packages=CELERY,
        targets=(Target("celery.signals:worker_process_init"),),
    ),
    Patch(
        name="watchdog",
        kind="repair",
        services="worker",
        changes="A worker that takes nothing while its queues hold tasks connects again, or is restarted.",
        why="Such workers are known since Celery 4, after failovers of the broker, and answer every ping.",
        install=f"{OURS}.watchdog:install",
        packages=CELERY,
        targets=(
            Target("celery.worker.state:total_count"),
            Target("celery.worker.state:reserved_requests"),
            Target("celery.worker.state:active_requests"),
            Target(f"{QUEUES}.consume_from"),
            Target(f"{QUEUES}.select_add", parameters="self, queue, **kwargs"),
            Target(f"{CONSUMER}.call_soon"),
        ),
    ),
    Patch(
        name="task-end",
        kind="speed",
        services="worker",
        changes="A slot is free as soon as its task has ended.",
        why="Airflow looks only every five seconds whether a task has ended that has nothing more to send.",
        install=f"{OURS}.task_supervisor:look_often_at_the_end",
        packages=SDK,
        targets=(
            Target(
                f"{SUPERVISOR}:WatchedSubprocess._service_subprocess",
                parameters="self, max_wait_time, raise_on_timeout=, expect_signal=",
                uses=("selector", "_check_subprocess_exit"),
            ),
        ),
    ),
    Patch(
        name="first-heartbeat",
        kind="speed",
        services="worker",
        changes="The report of a task's start counts as its first heartbeat.",
        why="Airflow sends one in the same moment, a fourth of a short task's requests.",
        install=f"{OURS}.task_supervisor:leave_out_the_first_heartbeat",
        packages=SDK,
        targets=(
            Target(
                f"{SUPERVISOR}:ActivitySubprocess._send_heartbeat_if_needed",
                parameters="self",
                source=("8d795a0956ece4ac",),
            ),
        ),
    ),
    Patch(
        name="type-adapters",
        kind="speed",
        services="worker",
        changes="The types of a task's messages are compiled once by the worker.",
        why="Airflow compiles them in each task.",
        install=f"{OURS}.worker_preparation:keep_adapters",
        packages=SDK,
        targets=(
            Target("airflow.sdk.execution_time.comms:TypeAdapter"),
            Target("airflow.sdk.execution_time.comms:ToTask"),
            Target("airflow.sdk.execution_time.task_runner:TypeAdapter"),
            Target("airflow.sdk.execution_time.task_runner", calls=(("TypeAdapter(", 3),)),
        ),
    ),
    Patch(
        name="worker-preparation",
        kind="speed",
        services="worker",
        changes="What each task imports is imported once by the worker, before it forks.",
        why="Airflow does it again in each task.",
        install=f"{OURS}.worker_preparation:install",
        packages=SDK,
        targets=(
            Target("airflow.dag_processing.bundles.manager:DagBundlesManager"),
            Target("airflow.dag_processing.dagbag:BundleDagBag"),
            Target("airflow.sdk.listener:get_listener_manager"),
        ),
    ),
)
