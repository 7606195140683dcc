# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers of a cluster, listed or not: what they say of themselves and of each other."""

from __future__ import annotations

import re
import time
from typing import Any, Callable, Sequence

from ansible_collections.airflowops.cluster.plugins.module_utils.redis.client import (
    CONNECTION_TIMEOUT,
    Connection,
    Credentials,
    call_for_all,
    call_for_all_with_errors,
    combine_errors,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.model import (
    SLOT_COUNT,
    Address,
    Member,
    Node,
    NodeRefused,
    NodeUnreachable,
    NotConverged,
    RedisClusterError,
    State,
    collect_slots,
    make_slots,
)

POLL_SECONDS = 0.015


class Cluster:
    """Connections to the servers of one (future) cluster, and the time left to work on them.

    timeout: seconds for all of the work; one answer may take CONNECTION_TIMEOUT seconds of it.
    """

    def __init__(self, addresses: Sequence[Address], credentials: Credentials, timeout: float) -> None:
        self.credentials = credentials
        self.deadline = time.monotonic() + timeout
        self.by_id: dict[str, Connection] = {}
        self.bus_ports: dict[str, int] = {}
        self._timeout = min(timeout, CONNECTION_TIMEOUT)
        self._listed = [Connection(address, credentials, self._timeout) for address in addresses]
        self._others: dict[str, Connection] = {}

    @property
    def connections(self) -> list[Connection]:
        """To all members that answer, the listed ones first."""
        return [*self._listed, *self._others.values()]

    def close(self) -> None:
        for connection in self.connections:
            connection.close()

    def extend_deadline(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds

    # ----------------------------------------------------------------- observe
    def observe(self) -> State:
        """What all members say, those that are not listed and answer among them.

        Raises NodeUnreachable, AuthenticationFailed or NodeRefused for a listed node.
        """
        nodes, errors = call_for_all_with_errors(observe_node, self._listed)
        if errors:
            raise _explain_unusable(nodes, errors)
        for connection, node in zip(self._listed, nodes):
            self._remember(connection, node)
        known = {node.id for node in nodes}
        taken = {(node.address.ip, node.address.port) for node in nodes}
        others: list[Node] = []
        gone: list[Member] = []
        heard: Sequence[Node] = nodes
        while True:
            strangers: dict[str, Member] = {}
            for node in heard:
                for member in node.members:
                    if member.id not in known and (member.id not in strangers or member.port):
                        strangers[member.id] = member
            if not strangers:
                return State(tuple(nodes), tuple(others), tuple(gone))
            known |= set(strangers)
            answers = call_for_all(lambda member: self._visit(member, taken), list(strangers.values()))
            heard = [answer for answer in answers if isinstance(answer, Node)]
            others += heard
            gone += [answer for answer in answers if isinstance(answer, Member)]

    def poll(self) -> State:
        """What the members say that answered before."""
        nodes = tuple(call_for_all(observe_node, self.connections))
        return State(nodes[: len(self._listed)], nodes[len(self._listed) :])

    def observe_one(self, node_id: str) -> Node:
        return observe_node(self.by_id[node_id])

    def _remember(self, connection: Connection, node: Node) -> None:
        self.by_id[node.id] = connection
        self.bus_ports[node.id] = node.me.bus_port

    def _visit(self, member: Member, taken: set[tuple[str, int]]) -> Node | Member:
        """The member as it is now, or as others remember it if it is not there any more."""
        connection = self._others.pop(member.id, None)
        if not member.port or (member.ip, member.port) in taken:
            return member
        if connection is None:
            address = Address(member.ip, member.port, member.ip)
            connection = Connection(address, self.credentials, self._timeout)
        try:
            node = observe_node(connection)
        except RedisClusterError:
            node = None
        if node is None or node.id != member.id:
            connection.close()
            return member
        self._others[node.id] = connection
        self._remember(connection, node)
        return node

    def drop(self, node_id: str) -> None:
        """Close the connection to a member that is not listed and has left."""
        self._others.pop(node_id).close()
        del self.by_id[node_id]

    # ----------------------------------------------------------------- wait
    def wait_until(self, what: str, met: Callable[[], bool], seconds: float | None = None) -> None:
        """Poll until `met` says so. Raises NotConverged after so many seconds, or at the deadline."""
        deadline = self.deadline if seconds is None else min(self.deadline, time.monotonic() + seconds)
        while not met():
            if time.monotonic() > deadline:
                raise NotConverged(
                    f"Timed out waiting until {what}. Check the servers' logs and run this again."
                )
            time.sleep(POLL_SECONDS)


def _explain_unusable(nodes: Sequence[Node], errors: Sequence[RedisClusterError]) -> RedisClusterError:
    error = combine_errors(errors)
    if isinstance(error, NodeUnreachable) and len(collect_slots(node.me for node in nodes)) == SLOT_COUNT:
        return NodeUnreachable(
            f"{error} The other {len(nodes)} nodes form a cluster that covers all slots; nothing was changed."
        )
    return error


# --------------------------------------------------------------------- one server
def observe_node(connection: Connection) -> Node:
    """Raises NodeRefused where the server is not in cluster mode, else what `Connection.check` raises."""
    commands: list[Sequence[Any]] = [
        ("INFO", "server"),
        ("INFO", "cluster"),
        ("INFO", "replication"),
        ("CLUSTER", "MYID"),
        ("CLUSTER", "NODES"),
        ("CLUSTER", "INFO"),
        ("DBSIZE",),
    ]
    replies = connection.try_all(*commands)
    # A server that is not in cluster mode refuses CLUSTER: say why before its own error is passed on.
    if not isinstance(replies[1], Exception) and str(parse_reply(replies[1]).get("cluster_enabled")) != "1":
        raise NodeRefused(
            f"{connection.address} is not in cluster mode. Set cluster-enabled yes in its "
            "configuration and restart it."
        )
    connection.check(commands, replies)
    server, _, replication, node_id, nodes_text, state_text, keys = replies
    members = parse_nodes(nodes_text)
    return Node(
        address=connection.address,
        id=node_id,
        version=parse_version(str(parse_reply(server).get("redis_version", "0"))),
        keys=int(keys),
        members=tuple(member for member in members if "handshake" not in member.flags),
        handshakes=any("handshake" in member.flags for member in members),
        cluster_ok=parse_info(state_text).get("cluster_state") == "ok",
        link_up=parse_reply(replication).get("master_link_status", "up") == "up",
    )


def parse_nodes(text: str) -> tuple[Member, ...]:
    """The reply of CLUSTER NODES, also in the longer forms of Redis 7 and Valkey
    (`ip:port@bus,host,shard-id=…`).
    """
    members = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 8:
            continue
        endpoint, _, bus = fields[1].split(",")[0].partition("@")
        ip, _, port = endpoint.rpartition(":")
        numbers: set[int] = set()
        migrating: list[tuple[int, str]] = []
        importing: list[tuple[int, str]] = []
        for entry in fields[8:]:
            if entry.startswith("["):  # [93->-ID] or [77-<-ID]
                slot, arrow, other = re.split(r"(->-|-<-)", entry.strip("[]"))
                (migrating if arrow == "->-" else importing).append((int(slot), other))
                continue
            first, _, last = entry.partition("-")
            numbers.update(range(int(first), int(last or first) + 1))
        members.append(
            Member(
                id=fields[0],
                ip=ip,
                port=int(port or 0),
                bus_port=int(bus or 0),
                flags=frozenset(fields[2].split(",")),
                master_id=None if fields[3] == "-" else fields[3],
                epoch=int(fields[6]),
                connected=fields[7] == "connected",
                slots=make_slots(numbers),
                migrating=tuple(migrating),
                importing=tuple(importing),
            )
        )
    return tuple(members)


def parse_info(text: str) -> dict[str, str]:
    """The `name:value` lines of INFO and CLUSTER INFO."""
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line and not line.startswith("#"))
    return {name: value.strip() for name, _, value in pairs}


def parse_reply(reply: Any) -> dict[str, Any]:
    """INFO, which redis-py parses by itself or not, depending on its version and how it is called."""
    return reply if isinstance(reply, dict) else parse_info(str(reply))


def parse_version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:3] if part.isdigit())
