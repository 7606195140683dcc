# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to Redis servers: the options modules share, and errors that name the node and the fix."""

from __future__ import annotations

import socket
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Callable, Sequence, TypeVar

from ansible_collections.airflowops.cluster.plugins.module_utils.redis.model import (
    Address,
    AuthenticationFailed,
    NodeRefused,
    NodeUnreachable,
    RedisClusterError,
)

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    REDIS_IMPORT_ERROR = None
except ImportError:
    redis = None  # type: ignore[assignment]
    REDIS_IMPORT_ERROR = traceback.format_exc()

# A live server answers within milliseconds: whoever needs longer than this is treated as gone.
CONNECTION_TIMEOUT = 5.0
# Enough that no node waits for another in any usual cluster, few enough for a small host.
MAXIMUM_THREADS = 128

# Threads start when they are needed and stay for the next call. What runs in one may not call `call_for_all`.
_pool = ThreadPoolExecutor(MAXIMUM_THREADS)

Item = TypeVar("Item")
Result = TypeVar("Result")


def redis_argument_spec() -> dict[str, Any]:
    """The options described in the documentation fragment `airflowops.cluster.redis`."""
    return {
        "nodes": {
            "type": "list",
            "elements": "dict",
            "required": True,
            "options": {
                "host": {"type": "str", "required": True},
                "port": {"type": "int", "required": True},
                "address": {"type": "str"},
                "zone": {"type": "str"},
            },
        },
        "username": {"type": "str"},
        "password": {"type": "str", "no_log": True},
        "tls": {"type": "bool", "default": False},
        "ca_cert": {"type": "path"},
        "timeout": {"type": "int", "default": 60},
    }


@dataclass(frozen=True)
class Credentials:
    """How to be let in. Kept out of representations, so that no traceback shows it."""

    username: str | None = None
    password: str | None = None
    tls: bool = False
    ca_cert: str | None = None

    def __repr__(self) -> str:
        return "Credentials(…)"

    def for_migrate(self) -> tuple[str, ...]:
        """The arguments with which one server logs in at another in MIGRATE."""
        if self.username:
            return "AUTH2", self.username, self.password or ""
        return ("AUTH", self.password) if self.password else ()


class Connection:
    """One server. Every method raises typed errors that name it."""

    def __init__(
        self, address: Address, credentials: Credentials, timeout: float = CONNECTION_TIMEOUT
    ) -> None:
        self.address = address
        self._tls = credentials.tls
        options: dict[str, Any] = {}
        if credentials.tls:
            options = {
                "ssl": True,
                "ssl_cert_reqs": "required",
                "ssl_check_hostname": True,  # Off by default before redis-py 6.
                "ssl_ca_certs": credentials.ca_cert,
            }
        self._client = redis.Redis(
            # By name where the certificate is checked against it, else by the address that MEET will use.
            host=address.host if credentials.tls else address.ip,
            port=address.port,
            username=credentials.username,
            password=credentials.password,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            decode_responses=True,
            retry=Retry(NoBackoff(), 0),
            **options,
        )

    def ask(self, *commands: Sequence[Any]) -> list[Any]:
        """Send commands in one round trip. The first that fails, fails all."""
        replies = self.try_all(*commands)
        self.check(commands, replies)
        return replies

    def check(self, commands: Sequence[Sequence[Any]], replies: Sequence[Any]) -> None:
        """Raise the first error among replies."""
        for command, reply in zip(commands, replies):
            if isinstance(reply, Exception):
                raise self._translate(reply, " ".join(map(str, command[:2])))

    def try_all(self, *commands: Sequence[Any]) -> list[Any]:
        """Send commands in one round trip. An error reply takes the place of the answer."""
        try:
            with self._client.pipeline(transaction=False) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command)
                return pipeline.execute(raise_on_error=False)
        except redis.RedisError as error:
            raise self._translate(error, "") from error

    def close(self) -> None:
        self._client.connection_pool.disconnect()

    def _translate(self, error: Exception, command: str) -> RedisClusterError:
        text = str(error).rstrip(".")
        where = f"{self.address}: "
        first_word = text.split(" ")[0]
        if first_word == "NOPERM" or "has no permissions" in text:
            return AuthenticationFailed(
                f"{where}the user may not do this: {text}. Use an administrator: the ACL must "
                "allow +cluster, +info, "
                "+config and +dbsize."
            )
        if isinstance(error, redis.AuthenticationError) or first_word in ("NOAUTH", "WRONGPASS"):
            return AuthenticationFailed(
                f"{where}the server does not accept username and password ({text}). "
                "Check both against requirepass or the ACL of this server."
            )
        if isinstance(error, redis.exceptions.BusyLoadingError):
            return NodeUnreachable(
                f"{where}the server is still loading its data. Run this again when it is ready."
            )
        if isinstance(error, (redis.ConnectionError, redis.TimeoutError)):
            return NodeUnreachable(f"{where}{text or 'no answer'}. {self._connection_hint(text)}")
        return NodeRefused(f"{where}{command} failed: {text}." if command else f"{where}{text}.")

    def _connection_hint(self, text: str) -> str:
        if "CERTIFICATE_VERIFY_FAILED" in text or "certificate" in text:
            return (
                "Its certificate must be signed by ca_cert (or a CA this machine trusts) and carry "
                f"{self.address.host} as a subject alternative name."
            )
        if self._tls and "SSL" in text.upper():
            return "The server seems not to speak TLS on this port: check its tls-port, or set tls to false."
        if not self._tls and ("losed" in text or "reset by peer" in text):
            return "The server may speak TLS only on this port: set tls to true."
        if "DENIED" in text:
            return "Give the server a password or an address to bind to."
        return "Check that the server runs, listens on this address, and that no firewall is in between."


def call_for_all(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Call a function for all items at the same time. Errors of several nodes become one that names them
    all.
    """
    results, errors = call_for_all_with_errors(function, items)
    if errors:
        raise combine_errors(errors)
    return results


def call_for_all_with_errors(
    function: Callable[[Item], Result], items: Sequence[Item]
) -> tuple[list[Result], list[RedisClusterError]]:
    results: list[Result] = []
    errors: list[RedisClusterError] = []
    for future in [_pool.submit(function, item) for item in items]:
        try:
            results.append(future.result())
        except RedisClusterError as error:
            errors.append(error)
    return results, errors


def combine_errors(errors: Sequence[RedisClusterError]) -> RedisClusterError:
    kind = type(errors[0]) if len({type(error) for error in errors}) == 1 else NodeRefused
    return kind(" ".join(str(error) for error in errors))


def resolve(nodes: Sequence[dict[str, Any]]) -> list[Address]:
    """Listed nodes with their IP addresses: CLUSTER MEET takes no names."""
    return call_for_all(resolve_one, nodes)


def resolve_one(node: dict[str, Any]) -> Address:
    host, port = node["host"], node["port"]
    if node.get("address"):
        return Address(host, port, node["address"], node.get("zone"))
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, OverflowError) as error:
        raise NodeUnreachable(
            f"{host}:{port}: the name cannot be resolved ({error}). List an IP address, or fix "
            "DNS or /etc/hosts."
        ) from error
    ips = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if len(ips) > 1:
        # A name with several addresses stands for the first at which the server listens.
        ips = [ip for ip in ips if _listens(ip, port)] or ips
    return Address(host, port, ips[0], node.get("zone"))


def _listens(ip: str, port: int) -> bool:
    try:
        socket.create_connection((ip, port), CONNECTION_TIMEOUT).close()
    except OSError:
        return False
    return True
