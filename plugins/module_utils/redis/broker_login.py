# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the broker that a URL of Celery names can be had from a host, which has no client library yet.

Redis is logged in to (RESP, https://redis.io/docs/latest/develop/reference/protocol-spec/). Of RabbitMQ and
of Redis Sentinel no more is asked than whether a server accepts connections.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

PORTS = {"redis": 6379, "rediss": 6379, "sentinel": 26379, "amqp": 5672, "pyamqp": 5672, "amqps": 5671}


class BrokerError(Exception):
    """Why a broker cannot be used. Never holds the password."""


def command(*words: str) -> bytes:
    parts = [word.encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def tls_context(options: dict[str, list[str]]) -> ssl.SSLContext:
    """As Celery is configured by `ssl_cert_reqs` and `ssl_ca_certs` in the URL."""
    ca_file = options.get("ssl_ca_certs", [""])[0]
    context = ssl.create_default_context(cafile=ca_file or None)
    required = options.get("ssl_cert_reqs", [""])[0].lower() in ("required", "cert_required")
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_NONE
    if options.get("ssl_certfile"):
        context.load_cert_chain(options["ssl_certfile"][0], options.get("ssl_keyfile", [None])[0])
    return context


def ask(connection: Any, *words: str) -> str:
    """The first line of the answer."""
    connection.sendall(command(*words))
    with connection.makefile("rb") as stream:
        return stream.readline().decode(errors="replace").strip()


def log_in(connection: Any, parts: SplitResult) -> None:
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if password:
        answer = ask(connection, "AUTH", *([user] if user else []), password)
        # A server without passwords takes any client.
        if answer.startswith("-") and "without any password" not in answer:
            raise BrokerError(f"the server refuses its login ({answer[1:].split(' ')[0]})")
    answer = ask(connection, "PING")
    if answer.startswith("-NOAUTH"):
        raise BrokerError("the server asks for a password, and the URL has none")
    if not answer.startswith(("+PONG", "-NOPERM")):
        raise BrokerError("what answers there is no Redis server")


def try_server(parts: SplitResult, timeout: float) -> None:
    port = parts.port or PORTS[parts.scheme]
    with socket.create_connection((parts.hostname or "", port), timeout) as plain:
        if parts.scheme == "rediss":
            context = tls_context(parse_qs(parts.query))
            with context.wrap_socket(plain, server_hostname=parts.hostname) as connection:
                log_in(connection, parts)
        elif parts.scheme == "redis":
            log_in(plain, parts)


def broker_problem(url: str, timeout: float = 5.0) -> str:
    """Why the broker cannot be used, with the server; empty if one of its servers can be."""
    reasons = []
    for server in url.split(";"):
        try:
            parts = urlsplit(server)
            if parts.scheme not in PORTS or not parts.hostname:
                continue
            where = f"{parts.hostname}:{parts.port or PORTS[parts.scheme]}"
        except ValueError:
            continue
        try:
            try_server(parts, timeout)
        except (OSError, BrokerError) as error:
            reasons.append(f"{where}: {error}")
        else:
            return ""
    return "; ".join(reasons)
