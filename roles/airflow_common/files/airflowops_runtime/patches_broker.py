# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patches of whatever connects to the broker."""

from __future__ import annotations

from airflowops_runtime.patch import Patch, Target

KOMBU = ("kombu", "celery", "redis")
QOS = "kombu.transport.redis:QoS"
CHANNEL = "kombu.transport.redis:Channel"
OURS = "airflowops_runtime"

BROKER_PATCHES = (
    Patch(
        name="lost-message",
        kind="repair",
        services="broker-client",
        changes="A message that the broker took with it before it was noted as handed out is put back.",
        why="kombu drops it with the connection's error, and the task never runs.",
        install=f"{OURS}.kombu_redis:keep_messages",
        packages=KOMBU,
        targets=(
            Target(f"{QOS}.append", parameters="self, message, delivery_tag", source=("4b4b426ec8acbe0d",)),
            Target(f"{QOS}._remove_from_indices", parameters="self, delivery_tag, pipe="),
            Target(
                f"{CHANNEL}._do_restore_message",
                parameters="self, payload, exchange, routing_key, pipe, leftmost=",
            ),
            Target(f"{CHANNEL}.conn_or_acquire"),
        ),
    ),
    Patch(
        name="foreign-message",
        kind="repair",
        services="broker-client",
        changes="A worker that connects again hands back only what is still noted as handed out to itself.",
        why="kombu hands back all that it held, also what another worker has by then: the task runs twice.",
        install=f"{OURS}.kombu_redis:hand_back_own_messages_only",
        packages=KOMBU,
        targets=(
            Target(f"{QOS}.restore_unacked", parameters="self, client=", source=("4cd1df399bb34373",)),
            Target(f"{QOS}.append", parameters="self, message, delivery_tag"),
            Target(f"{QOS}._remove_from_indices", parameters="self, delivery_tag, pipe="),
            Target(
                f"{CHANNEL}._do_restore_message",
                parameters="self, payload, exchange, routing_key, pipe, leftmost=",
            ),
        ),
    ),
    Patch(
        name="slot-owner",
        kind="repair",
        services="broker-client",
        changes="What is sent while the broker's slot changes hands is sent until its new owner has it.",
        why="kombu tries once more, without waiting, and raises MovedError: the task fails.",
        install=f"{OURS}.kombu_connection:send_until_the_owner_has_it",
        packages=KOMBU,
        targets=(
            Target(
                "kombu:Connection.ensure",
                parameters="self, obj, fun, errback=, max_retries=, interval_start=, interval_step=, "
                "interval_max=, on_revive=, retry_errors=",
            ),
            Target("kombu:Connection.collect"),
            Target("kombu:Connection.default_channel"),
            Target("kombu:Producer.revive", parameters="self, channel"),
        ),
    ),
    Patch(
        name="retry-interval",
        kind="repair",
        services="broker-client",
        changes="Three seconds at the most lie between two tries to connect to the broker.",
        why="Celery waits up to 30 s, and a worker is away for as long after the broker is back.",
        install=f"{OURS}.kombu_connection:connect_again_soon",
        packages=KOMBU,
        targets=(
            Target("celery.app.amqp:AMQP.Connection"),
            Target("kombu:Connection.ensure_connection", parameters="self, *args, **kwargs"),
            Target(
                "kombu:Connection._ensure_connection",
                parameters="self, errback=, max_retries=, interval_start=, interval_step=, interval_max=, "
                "callback=, reraise_as_library_errors=, timeout=",
            ),
        ),
    ),
    Patch(
        name="stop-timeout",
        kind="repair",
        services="broker-client",
        changes="A worker that stops waits five seconds for each connection to a broker that is away.",
        why="It waits for socket_timeout three times: a stop took 93 s.",
        install=f"{OURS}.kombu_redis:stop_soon",
        packages=KOMBU,
        targets=(
            Target(f"{CHANNEL}.connection_class"),
            Target(f"{CHANNEL}.connection_class_ssl"),
            Target(f"{CHANNEL}._connparams", uses=("connection_class", "connection_class_ssl")),
            Target("redis.connection:AbstractConnection.connect", parameters="self"),
            Target("redis.connection:Connection._connect", uses=("socket_timeout",)),
        ),
    ),
)
