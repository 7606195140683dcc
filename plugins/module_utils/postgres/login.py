# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs in to a PostgreSQL, to see whether one can: on a bare host, which has no driver yet.

The beginning of the protocol (https://www.postgresql.org/docs/15/protocol-flow.html, "Start-up"): TLS,
password in clear text, MD5 or SCRAM-SHA-256, what the server says of itself, and one simple query.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import socket
import ssl
import struct
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from ansible_collections.airflowops.cluster.plugins.module_utils.postgres.saslprep import saslprep

SSL_REQUEST = struct.pack("!II", 8, 80877103)
PROTOCOL_3 = 196608
# Whose tables a database holds: Airflow notes the revision of its schema.
REVISION = "SELECT version_num FROM alembic_version LIMIT 1"
# What a server that cannot be had answers (https://www.postgresql.org/docs/15/errcodes-appendix.html).
NO_SUCH_DATABASE, WRONG_PASSWORD, NOT_LET_IN = "3D000", "28P01", "28000"


class LoginError(Exception):
    """Why one cannot log in. Never holds the password."""


class Target(NamedTuple):
    """Where a URL leads: servers in the order in which they are tried, and what they are told."""

    servers: list[tuple[str, int]]
    user: str
    password: str
    database: str
    options: dict[str, str]


def parse_url(url: str) -> Target:
    """A URL of SQLAlchemy or libpq, also with several servers: `?host=a:5432&host=b:5432`."""
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    servers = []
    for name, value in pairs:
        if name == "host":
            for entry in value.split(","):
                host, _, port = entry.rpartition(":") if entry.count(":") == 1 else (entry, "", "")
                servers.append((host, int(port or 5432)))
    try:
        if parts.hostname:
            servers = [(parts.hostname, parts.port or 5432)]
    except ValueError as error:
        raise LoginError("a port in its URL is no number") from error
    if not servers:
        raise LoginError("its URL names no host")
    return Target(
        servers=servers,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=unquote(parts.path.lstrip("/")),
        options={name: value for name, value in pairs if name != "host"},
    )


def tls_context(options: dict[str, str]) -> ssl.SSLContext | None:
    """What `sslmode` asks for, as libpq reads it; None if there is to be no TLS."""
    mode = options.get("sslmode", "prefer")
    if mode == "disable":
        return None
    context = ssl.create_default_context(cafile=options.get("sslrootcert") or None)
    context.check_hostname = mode == "verify-full"
    verify = mode in ("verify-ca", "verify-full") or (mode == "require" and options.get("sslrootcert"))
    context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
    if options.get("sslcert"):
        context.load_cert_chain(options["sslcert"], options.get("sslkey"))
    return context


class Scram:
    """The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677)."""

    def __init__(self, password: str, nonce: str | None = None) -> None:
        self.password = password
        self.first = f"n=,r={nonce or base64.b64encode(os.urandom(18)).decode()}"

    def answer(self, server_first: str) -> str:
        values = dict(item.split("=", 1) for item in server_first.split(","))
        salted = hashlib.pbkdf2_hmac(
            "sha256", saslprep(self.password).encode(), base64.b64decode(values["s"]), int(values["i"])
        )
        without_proof = f"c=biws,r={values['r']}"
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        said = f"{self.first},{server_first},{without_proof}".encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), said, "sha256")
        proof = bytes(one ^ other for one, other in zip(client_key, signature))
        return f"{without_proof},p={base64.b64encode(proof).decode()}"


def md5_password(user: str, password: str, salt: bytes) -> str:
    inner = hashlib.md5((password + user).encode(), usedforsecurity=False).hexdigest()
    return "md5" + hashlib.md5(inner.encode() + salt, usedforsecurity=False).hexdigest()


def error_fields(body: bytes) -> dict[str, str]:
    """{letter: text} of an ErrorResponse."""
    fields = (field for field in body.split(b"\0") if field)
    return {field[:1].decode(): field[1:].decode(errors="replace") for field in fields}


class Login:
    """One attempt at one server. `settings` holds what the server said of itself, such as server_version."""

    def __init__(self, target: Target, server: tuple[str, int], timeout: float) -> None:
        self.target = target
        self.settings: dict[str, str] = {}
        self.connection: socket.socket = socket.create_connection(server, timeout)
        try:
            self._secure(server[0])
            self._start()
            self._authenticate()
            self.revision = self._first_value(REVISION)
        finally:
            self.connection.close()

    def _secure(self, host: str) -> None:
        context = tls_context(self.target.options)
        if context is None:
            return
        self.connection.sendall(SSL_REQUEST)
        if self._read(1) == b"S":
            self.connection = context.wrap_socket(self.connection, server_hostname=host)
        elif self.target.options.get("sslmode", "prefer") not in ("prefer", "allow"):
            raise LoginError("it speaks no TLS, which sslmode asks for")

    def _start(self) -> None:
        words = ["user", self.target.user, "database", self.target.database or self.target.user]
        body = struct.pack("!I", PROTOCOL_3) + b"".join(word.encode() + b"\0" for word in words) + b"\0"
        self.connection.sendall(struct.pack("!I", len(body) + 4) + body)

    def _authenticate(self) -> None:
        scram = Scram(self.target.password)
        while True:
            kind, body = self._message()
            if kind == b"E":
                fields = error_fields(body)
                raise LoginError(f"{fields.get('M', 'refused')} ({fields.get('C', '?')})")
            if kind == b"S":
                name, value = body.split(b"\0")[:2]
                self.settings[name.decode()] = value.decode()
            elif kind == b"R":
                self._answer(struct.unpack("!I", body[:4])[0], body[4:], scram)
            elif kind == b"Z":
                return

    def _answer(self, asked: int, rest: bytes, scram: Scram) -> None:
        if asked == 3:
            self._send(b"p", self.target.password.encode() + b"\0")
        elif asked == 5:
            told = md5_password(self.target.user, self.target.password, rest[:4])
            self._send(b"p", told.encode() + b"\0")
        elif asked == 10:
            if b"SCRAM-SHA-256" not in rest.split(b"\0"):
                raise LoginError("it asks for a kind of password other than SCRAM-SHA-256")
            first = ("n,," + scram.first).encode()
            self._send(b"p", b"SCRAM-SHA-256\0" + struct.pack("!I", len(first)) + first)
        elif asked == 11:
            self._send(b"p", scram.answer(rest.decode()).encode())
        elif asked not in (0, 12):
            raise LoginError(f"it asks for a kind of login that is not known here ({asked})")

    def _first_value(self, query: str) -> str:
        """The first column of the first row; empty where there is none, as of a table that is not there."""
        self._send(b"Q", query.encode() + b"\0")
        found = ""
        while True:
            kind, body = self._message()
            if kind == b"D" and not found:
                (length,) = struct.unpack("!i", body[2:6])
                found = body[6 : 6 + length].decode(errors="replace") if length > 0 else ""
            elif kind == b"Z":
                return found

    def _send(self, kind: bytes, body: bytes) -> None:
        self.connection.sendall(kind + struct.pack("!I", len(body) + 4) + body)

    def _message(self) -> tuple[bytes, bytes]:
        kind = self._read(1)
        (length,) = struct.unpack("!I", self._read(4))
        return kind, self._read(length - 4)

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.connection.recv(count - len(data))
            if not more:
                raise LoginError("it closed the connection")
            data += more
        return data


def login(url: str, timeout: float) -> dict[str, Any]:
    """{server, server_version, read_only, revision} of the first server that takes us.

    Raises LoginError with the reasons of all. A server that only reads is passed over if the URL asks for
    `target_session_attrs=read-write` or `primary`.
    """
    target = parse_url(url)
    wants_primary = target.options.get("target_session_attrs") in ("read-write", "primary")
    reasons = []
    for host, port in target.servers:
        try:
            attempt = Login(target, (host, port), timeout)
        except (OSError, LoginError, ValueError, struct.error) as error:
            reasons.append(f"{host}:{port}: {error}")
            continue
        settings = attempt.settings
        read_only = "on" in (settings.get("in_hot_standby"), settings.get("default_transaction_read_only"))
        if read_only and wants_primary:
            reasons.append(f"{host}:{port}: it only reads")
            continue
        return {
            "server": f"{host}:{port}",
            "server_version": settings.get("server_version", ""),
            "read_only": read_only,
            "revision": attempt.revision,
        }
    raise LoginError("; ".join(reasons))
