# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Redis nodes of a host report of themselves and of the cluster."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Mapping

from ansible_collections.airflowops.cluster.plugins.module_utils.health.command import CollectError
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.client import (
    REDIS_IMPORT_ERROR,
    Connection,
    Credentials,
    resolve_one,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.cluster import (
    observe_node,
    parse_reply,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.model import (
    RedisClusterError,
    key_slot,
)

# A scan of the broker's keys ends after so many rounds; each looks at about a thousand keys.
SCAN_ROUNDS = 30
SCAN_COUNT = 1000
MOST_QUEUES = 200


def redis_nodes(request: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    """{port: what the node on it says of itself and of the cluster}"""
    if REDIS_IMPORT_ERROR:
        raise CollectError("the Python library redis is missing on this host")
    credentials = Credentials(None, request["password"], request["tls"], request["ca_cert"])

    def look(port: int) -> dict[str, Any]:
        try:
            connection = Connection(
                resolve_one({"host": request["host"], "port": port}), credentials, min(timeout, 3)
            )
            try:
                return redis_node(connection, request["prefix"])
            finally:
                connection.close()
        except RedisClusterError as error:
            return {"error": str(error)}

    with ThreadPoolExecutor(max(1, len(request["ports"]))) as pool:
        return {str(port): answer for port, answer in zip(request["ports"], pool.map(look, request["ports"]))}


def redis_node(connection: Connection, prefix: str) -> dict[str, Any]:
    node = observe_node(connection)
    server, memory, persistence = (
        parse_reply(reply)
        for reply in connection.ask(("INFO", "server"), ("INFO", "memory"), ("INFO", "persistence"))
    )
    mine = any(low <= key_slot(prefix) <= high for low, high in node.me.slots) if node.me.slots else False
    limit = int(memory.get("maxmemory", 0))
    return {
        "id": node.id,
        "version": str(server.get("redis_version", "")),
        "role": "replica" if node.me.master_id else "master",
        "master_id": node.me.master_id,
        "slots": [[low, high] for low, high in node.me.slots],
        "owner": mine,
        "cluster_ok": node.cluster_ok,
        "link_up": node.link_up,
        "memory": {"used": int(memory.get("used_memory", 0)), "limit": limit},
        "saved": persistence.get("aof_last_write_status", "ok") == "ok"
        and persistence.get("rdb_last_bgsave_status", "ok") == "ok",
        "members": [
            {
                "id": member.id,
                "address": member.ip,
                "port": member.port,
                "role": "replica" if member.master_id else "master",
                "master_id": member.master_id,
                "slots": sum(high - low + 1 for low, high in member.slots),
                "owner": any(low <= key_slot(prefix) <= high for low, high in member.slots),
                "failed": bool(member.flags & {"fail", "fail?"}),
            }
            for member in node.members
        ],
        "queues": queue_depths(connection, prefix) if mine and not node.me.master_id else None,
    }


def queue_depths(connection: Connection, prefix: str) -> dict[str, int]:
    """{queue: messages that wait}, of those that hold some. Priorities are lists of their own."""
    names: set[str] = set()
    cursor = "0"
    pattern = re.sub(r"([\\*?\[\]])", r"\\\1", prefix) + "*"
    for _ in range(SCAN_ROUNDS):
        (answer,) = connection.ask(
            ("SCAN", cursor, "MATCH", pattern, "COUNT", str(SCAN_COUNT), "TYPE", "list")
        )
        cursor = str(answer[0])
        names.update(name for name in answer[1] if "pidbox" not in name)
        if cursor == "0" or len(names) > MOST_QUEUES:
            break
    ordered = sorted(names)[:MOST_QUEUES]
    lengths = connection.ask(*[("LLEN", name) for name in ordered]) if ordered else []
    depths: dict[str, int] = {}
    for name, length in zip(ordered, lengths):
        queue = name[len(prefix) :].split("\x06\x16")[0]
        depths[queue] = depths.get(queue, 0) + int(length)
    return depths
