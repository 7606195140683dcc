# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs in to a PostgreSQL with psycopg2, and so libpq, as Airflow does, and reads what the server is."""

from __future__ import annotations

import traceback
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

try:
    import psycopg2
except ImportError:
    PSYCOPG2_IMPORT_ERROR: str | None = traceback.format_exc()
else:
    PSYCOPG2_IMPORT_ERROR = None

SERVER = """
SELECT current_setting('server_version'),
  pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean
"""
# Whose tables a database holds: Airflow notes the revision of its schema.
REVISION = "SELECT version_num FROM alembic_version LIMIT 1"


class LoginError(Exception):
    """Why the login is not possible. Never holds the password."""


def connection_parameters(url: str) -> dict[str, str]:
    """libpq's parameters in a URL of SQLAlchemy or libpq, also with several servers: `?host=a:5432&host=b`.

    They are passed one by one: what libpq reports of a URL that it cannot read may quote the password.
    """
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    servers = []
    for entry in ",".join(value for name, value in pairs if name == "host").split(","):
        host, _colon, port = entry.rpartition(":") if entry.count(":") == 1 else (entry, "", "")
        servers.append((host, port or "5432"))
    try:
        if parts.hostname:
            servers = [(parts.hostname, str(parts.port or 5432))]
    except ValueError as error:
        raise LoginError("a port in its URL is not a number") from error
    if not servers[0][0]:
        raise LoginError("its URL names no host")
    return {
        **{name: value for name, value in pairs if name not in ("host", "port")},
        "host": ",".join(host for host, _port in servers),
        "port": ",".join(port for _host, port in servers),
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "dbname": unquote(parts.path.lstrip("/")),
    }


def login(url: str, timeout: int) -> dict[str, Any]:
    """{server, server_version, read_only, revision} of the first server that accepts the login."""
    try:
        connection = psycopg2.connect(**{"connect_timeout": timeout, **connection_parameters(url)})
    except psycopg2.Error as error:
        raise LoginError("; ".join(line.strip() for line in str(error).splitlines())) from None
    try:
        # A query that fails ends no other one.
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(SERVER)
            version, read_only = cursor.fetchone()
            return {
                "server": f"{connection.info.host}:{connection.info.port}",
                "server_version": version,
                "read_only": read_only,
                "revision": first_value(cursor, REVISION),
            }
    except psycopg2.Error as error:
        raise LoginError(str(error).strip()) from None
    finally:
        connection.close()


def first_value(cursor: Any, query: str) -> str:
    """The first column of the first row; empty where there is none, as of a table that is not there."""
    try:
        cursor.execute(query)
    except psycopg2.Error:
        return ""
    row = cursor.fetchone()
    return str(row[0]) if row and row[0] else ""
