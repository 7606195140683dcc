# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What host_health_info looks at: one function for each thing, all of them at the same time.

A function returns what it saw. If it cannot look it raises; the caller is then told {"error": why}.
"""

from __future__ import annotations

import csv
import glob
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

from ansible.module_utils.urls import open_url
from ansible_collections.airflowops.cluster.plugins.module_utils.airflow.patches import patches_not_on
from ansible_collections.airflowops.cluster.plugins.module_utils.etcd.members import EtcdError, Gateway
from ansible_collections.airflowops.cluster.plugins.module_utils.host.probe import (
    memory_limit,
    parse_os_release,
    read_text,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.host.systemd import PROPERTIES, parse_show
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.cluster import (
    RedisClusterError,
    key_slot,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.connection import (
    REDIS_IMPORT_ERROR,
    Connection,
    Credentials,
    resolve_one,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.formation import (
    observe_node,
    parse_reply,
)

# What stands for the unit of the distribution's PostgreSQL: its name carries the version.
POSTGRESQL = "postgresql"
# The answer of a service is kept if it is no longer than this.
LONGEST_BODY = 20000
# A scan of the broker's keys ends after so many rounds; each looks at about a thousand keys.
SCAN_ROUNDS = 30
SCAN_COUNT = 1000
MOST_QUEUES = 200
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


class CannotLook(Exception):
    """Why something cannot be looked at, in words for people."""


# --- Units


def postgresql_unit(directory: str = "/etc/postgresql") -> str:
    """The unit of the distribution's PostgreSQL; of several versions the newest that is there."""
    versions = [path.parent.name for path in Path(directory).glob("*/main")]
    newest = max((version for version in versions if version.isdigit()), key=int, default="")
    return f"postgresql@{newest}-main.service" if newest else "postgresql.service"


def units(names: Sequence[str], timeout: float) -> dict[str, Any]:
    """{unit as it was asked for: how it is}, and what else has failed on this host."""
    actual = {name: postgresql_unit() if name == POSTGRESQL else name for name in names}
    seen = {}
    if actual:
        text = run(
            ["systemctl", "--no-pager", "show", f"--property={','.join(PROPERTIES)}", "--", *actual.values()],
            timeout,
        )
        seen = {unit.name: unit for unit in parse_show(text, time.time() - time.monotonic())}
    failed = run(["systemctl", "--no-pager", "--failed", "--plain", "--no-legend", "list-units"], timeout)
    now = time.time()
    return {
        "units": {
            name: {
                "unit": unit_name,
                "loaded": unit_name in seen and seen[unit_name].loaded,
                "state": seen[unit_name].active_state if unit_name in seen else "inactive",
                "sub_state": seen[unit_name].sub_state if unit_name in seen else "dead",
                "enabled": unit_name in seen and seen[unit_name].enabled,
                "seconds": max(0, round(now - seen[unit_name].settled_at))
                if unit_name in seen and seen[unit_name].settled_at
                else None,
            }
            for name, unit_name in actual.items()
        },
        "failed": [line.split()[0] for line in failed.splitlines() if line.split()],
    }


def run(command: Sequence[str], timeout: float, **options: Any) -> str:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=timeout,
            cwd="/",
            check=False,
            **options,
        )
    except subprocess.TimeoutExpired:
        raise CannotLook(f"{command[0]} did not end within {timeout:g} s") from None
    except OSError as error:
        raise CannotLook(f"{command[0]}: {error.strerror}") from None
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        raise CannotLook(lines[-1] if lines else f"{command[0]} ended with {done.returncode}")
    return done.stdout.decode(errors="replace")


# --- What answers by HTTP


def ask(url: str, timeout: float, **options: Any) -> dict[str, Any]:
    """{status, body}: the body only where it is JSON. Any answer is one, whatever its status."""
    try:
        with open_url(
            url, timeout=timeout, use_proxy=False, follow_redirects="none", use_netrc=False, **options
        ) as response:
            status, text = response.status, response.read(LONGEST_BODY)
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read(LONGEST_BODY)
    except Exception as error:
        reason = getattr(error, "reason", None) or error
        return {"error": str(getattr(reason, "strerror", None) or reason)}
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    return {"status": status, "body": body}


def urls(
    wanted: Mapping[str, str], timeout: float, logins: Mapping[str, Mapping[str, str]] | None = None
) -> dict[str, Any]:
    """logins: {name of a URL: {username, password}} of those that ask for one."""
    if not wanted:
        return {}

    def answer(name: str) -> dict[str, Any]:
        login = (logins or {}).get(name)
        options = (
            {
                "url_username": login["username"],
                "url_password": login["password"],
                "force_basic_auth": True,
            }
            if login
            else {}
        )
        return ask(wanted[name], timeout, **options)

    with ThreadPoolExecutor(len(wanted)) as pool:
        return dict(zip(wanted, pool.map(answer, wanted)))


# --- HAProxy


def parse_stat(text: str) -> list[dict[str, Any]]:
    """The servers in what HAProxy answers to `show stat`."""
    rows = csv.DictReader(text.lstrip("# ").splitlines())
    return [
        {
            "listener": row["pxname"],
            "server": row["svname"],
            "up": row["status"].startswith("UP"),
            "status": row["status"],
            "backup": row.get("bck") == "1",
            "checked": row["status"] != "no check",
            "seconds": int(row.get("lastchg") or 0),
            "check": row.get("last_chk") or row.get("check_status") or "",
        }
        for row in rows
        if row["svname"] not in ("FRONTEND", "BACKEND")
    ]


def haproxy(path: str, timeout: float) -> list[dict[str, Any]]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        connection.connect(path)
        connection.sendall(b"show stat\n")
        return parse_stat(b"".join(iter(lambda: connection.recv(65536), b"")).decode(errors="replace"))


# --- Redis


def redis_nodes(request: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    """{port: what the node on it says of itself and of the cluster}"""
    if REDIS_IMPORT_ERROR:
        raise CannotLook("the Python library redis is missing on this host")
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


# --- PostgreSQL


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


def tls_of(request: Mapping[str, Any]) -> dict[str, str]:
    return {name: request[name] for name in ("ca_path", "client_cert", "client_key")}


def patroni(request: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    answer = ask(f"{request['url']}/cluster", timeout, **tls_of(request))
    if "error" in answer or not isinstance(answer.get("body"), dict):
        raise CannotLook(str(answer.get("error") or f"it answered {answer['status']}"))
    return {"members": answer["body"].get("members", []), "pause": bool(answer["body"].get("pause"))}


def etcd(request: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    tls = tls_of(request)
    health = ask(f"{request['url']}/health", timeout, **tls)
    if "error" in health:
        raise CannotLook(str(health["error"]))
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


# --- Backups


def backups(request: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    """The backups that pgBackRest has, oldest first, and when they were verified last."""
    stanza = request["stanza"]
    if not shutil.which("pgbackrest"):
        raise CannotLook("pgBackRest is not installed")
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


# --- Certificates

NGINX_CERTIFICATE = re.compile(r"^\s*ssl_(?:trusted_|client_)?certificate\s+([^;$]+);", re.MULTILINE)
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def parse_certificate(text: str) -> dict[str, Any]:
    """From what `openssl x509 -subject -enddate` writes."""
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    # Not by strptime, which wants the names of months in the host's language.
    return {
        "subject": values.get("subject", "").strip(),
        "ends": ssl.cert_time_to_seconds(values["notAfter"]),
    }


def nginx_certificates(directory: str = "/etc/nginx") -> list[str]:
    """The files that nginx' configuration names as certificates."""
    paths: set[str] = set()
    for path in [*Path(directory).glob("nginx.conf"), *Path(directory).glob("*.d/*.conf")]:
        found = NGINX_CERTIFICATE.findall(read_text(path))
        paths.update(name.strip("\"' ") for name in found)
    return sorted(str(Path(directory) / path) for path in paths)


def certificates(patterns: Sequence[str], timeout: float, nginx: str = "/etc/nginx") -> list[dict[str, Any]]:
    """Each file with the certificate in it that ends first, and each that nginx names."""
    found = {path for pattern in patterns for path in glob.glob(pattern)}  # noqa: PTH207 - an absolute pattern
    files = found | {*nginx_certificates(nginx)}
    seen = []
    for path in sorted(files):
        ends = []
        try:
            blocks = CERTIFICATE.findall(Path(path).read_text(encoding="utf-8", errors="replace"))
            for block in blocks[:20]:
                text = run(
                    ["openssl", "x509", "-noout", "-subject", "-enddate"], timeout, input=block.encode()
                )
                ends.append(parse_certificate(text))
            if not ends:
                raise CannotLook("it holds no certificate")
        except (OSError, ValueError, KeyError, CannotLook) as error:
            seen.append({"path": path, "error": str(getattr(error, "strerror", None) or error)})
        else:
            seen.append({"path": path, **min(ends, key=lambda entry: entry["ends"])})
    return seen


# --- The machine


def disks(paths: Sequence[str]) -> list[dict[str, Any]]:
    """The file systems that hold the paths, each once, by the first path on it."""
    seen: dict[int, dict[str, Any]] = {}
    for path in paths:
        try:
            status, device = os.statvfs(path), Path(path).stat().st_dev
        except OSError:
            continue
        # What is kept for root is no room for others: as df(1) counts.
        usable = status.f_blocks - status.f_bfree + status.f_bavail
        if usable and device not in seen:
            seen[device] = {
                "path": path,
                "size": usable * status.f_frsize,
                "free": status.f_bavail * status.f_frsize,
                "used_percent": round(100 * (1 - status.f_bavail / usable), 1),
                "inodes_percent": round(100 * (1 - status.f_favail / status.f_files), 1)
                if status.f_files
                else 0.0,
            }
    return list(seen.values())


def parse_memory(text: str) -> dict[str, int]:
    """{total, available} in bytes of the text of /proc/meminfo."""
    values = {
        name: int(rest.split()[0]) * 1024
        for name, _, rest in (line.partition(":") for line in text.splitlines())
        if rest.split() and rest.split()[0].isdigit()
    }
    return {"total": values.get("MemTotal", 0), "available": values.get("MemAvailable", 0)}


def memory() -> dict[str, int]:
    seen = parse_memory(read_text("/proc/meminfo"))
    limit = memory_limit()
    # Of a container with a limit of its own; what it may use of the machine's is not to be seen.
    used = read_text("/sys/fs/cgroup/memory.current").strip()
    if limit and limit < seen["total"] and used.isdigit():
        cache = re.search(r"^inactive_file (\d+)$", read_text("/sys/fs/cgroup/memory.stat"), re.MULTILINE)
        seen = {"total": limit, "available": limit - int(used) + (int(cache[1]) if cache else 0)}
    return seen


# What begins the names of the cluster's hosts in /etc/hosts.
HOSTS_BLOCK = "# BEGIN airflowops.cluster"


def host() -> dict[str, Any]:
    return {
        "fqdn": socket.getfqdn(),
        "knows_names": f"{HOSTS_BLOCK}\n" in read_text("/etc/hosts"),
        "os": parse_os_release(read_text("/etc/os-release") or read_text("/usr/lib/os-release")),
        "memory": memory(),
        "load": list(os.getloadavg()),
        "cpus": os.cpu_count(),
        "uptime": float((read_text("/proc/uptime") or "0").split()[0]),
    }


def airflow_installed(link: str) -> str:
    """The version that the link to the release in use leads to."""
    return Path(os.readlink(link)).name


# --- All of it


def look(request: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    """Everything that is asked for, at the same time. What cannot be looked at is {"error": why}."""
    wanted: dict[str, Callable[[], Any]] = {
        "host": host,
        "systemd": lambda: units(request["units"], timeout),
        "urls": lambda: urls(request["urls"], timeout, request.get("logins")),
        "certificates": lambda: certificates(request["certificates"], timeout),
        "disks": lambda: disks(request["disks"]),
    }
    optional: dict[str, Callable[[], Any]] = {
        "haproxy": lambda: haproxy(request["haproxy_socket"], timeout),
        "redis": lambda: redis_nodes(request["redis"], timeout),
        "postgres": lambda: postgres(request["postgres"], timeout),
        "patroni": lambda: patroni(request["patroni"], timeout),
        "etcd": lambda: etcd(request["etcd"], timeout),
        "backups": lambda: backups(request["backups"], timeout),
        "airflow_installed": lambda: airflow_installed(request["airflow_link"]),
        "airflow_patches": patches_not_on,
    }
    needs = {
        "haproxy": "haproxy_socket",
        "airflow_installed": "airflow_link",
        "airflow_patches": "airflow_link",
    }
    wanted.update((name, call) for name, call in optional.items() if request.get(needs.get(name, name)))
    with ThreadPoolExecutor(len(wanted)) as pool:
        futures = {name: pool.submit(guarded, call) for name, call in wanted.items()}
        return {name: future.result() for name, future in futures.items()}


def guarded(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        # Of whatever kind: what is left of the host is worth being told.
        text = str(getattr(error, "strerror", None) or error) or type(error).__name__
        return {"error": text}
