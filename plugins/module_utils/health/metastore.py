# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL, Patroni, etcd and the backups of a host."""

from __future__ import annotations

import json
import os
import shutil
from typing import Any, Mapping

from ansible_collections.airflowops.cluster.plugins.module_utils.etcd.members import EtcdError, Gateway
from ansible_collections.airflowops.cluster.plugins.module_utils.health.command import CollectError, run
from ansible_collections.airflowops.cluster.plugins.module_utils.health.web import ask, tls_of
from ansible_collections.airflowops.cluster.plugins.module_utils.host.probe import read_text

# Used where a share of the connections says nothing: PostgreSQL keeps some for the administrator.
POSTGRES_QUESTION = """
SELECT json_build_object(
  'version', current_setting('server_version'),
  'recovery', pg_is_in_recovery(),
  'max_connections', current_setting('max_connections')::int
    - current_setting('superuser_reserved_connections')::int,
  'connections', (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
  'databases', (SELECT json_agg(datname) FROM pg_database WHERE datallowconn AND NOT datistemplate),
  'replicas', CASE WHEN pg_is_in_recovery() THEN NULL ELSE (
    SELECT coalesce(json_agg(json_build_object('name', application_name, 'state', state, 'sync', sync_state,
      'lag', pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn))), '[]') FROM pg_stat_replication) END,
  'archiving', current_setting('archive_mode'),
  'archive_failed_since', (SELECT extract(epoch FROM last_failed_time) FROM pg_stat_archiver
    WHERE last_failed_time > coalesce(last_archived_time, '-infinity')))
"""


def postgres(request: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    """What PostgreSQL says of itself to the system's user `postgres`, who needs no password."""
    text = run(
        [
            "runuser",
            "-u",
            "postgres",
            "--",
            "psql",
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            f"--port={request['port']}",
            "--dbname=postgres",
            f"--command={POSTGRES_QUESTION}",
        ],
        timeout,
        env={**os.environ, "PGCONNECT_TIMEOUT": "3", "PGOPTIONS": "-c statement_timeout=3000"},
    )
    return dict(json.loads(text))


def patroni(request: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    answer = ask(f"{request['url']}/cluster", timeout, **tls_of(request))
    if "error" in answer or not isinstance(answer.get("body"), dict):
        raise CollectError(str(answer.get("error") or f"it answered {answer['status']}"))
    return {"members": answer["body"].get("members", []), "pause": bool(answer["body"].get("pause"))}


def etcd(request: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    tls = tls_of(request)
    health = ask(f"{request['url']}/health", timeout, **tls)
    if "error" in health:
        raise CollectError(str(health["error"]))
    try:
        members = Gateway([request["url"]], {**tls, "ca_cert": tls["ca_path"]}, timeout).members()
    except EtcdError as error:
        members, why = [], str(error)
    else:
        why = ""
    body = health.get("body")
    return {
        "healthy": isinstance(body, dict) and str(body.get("health")) == "true",
        "members": [member.get("name", "") for member in members],
        "why": why,
    }


def backups(request: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    """The backups that pgBackRest has, oldest first, and when they were verified last."""
    stanza = request["stanza"]
    if not shutil.which("pgbackrest"):
        raise CollectError("pgBackRest is not installed")
    text = run(
        [
            "runuser",
            "-u",
            "postgres",
            "--",
            "pgbackrest",
            f"--stanza={stanza}",
            "--output=json",
            "--log-level-file=off",
            "info",
        ],
        timeout,
    )
    found = json.loads(text)
    info = found[0] if found else {}
    try:
        noted = json.loads(read_text(request["verified_file"]))
        verified = {"backup": str(noted["backup"]), "time": float(noted["time"])}
    except (KeyError, TypeError, ValueError):
        verified = None
    return {
        "status": info.get("status", {}).get("message", "no such stanza"),
        "usable": info.get("status", {}).get("code") == 0,
        "backups": [
            {
                "label": one["label"],
                "type": one["type"],
                "ended": one["timestamp"]["stop"],
                "size": one["info"]["size"],
                "failed": bool(one.get("error")),
            }
            for one in info.get("backup", [])
        ],
        "verified": verified,
    }
