# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics that no exporter has, for node_exporter's textfile collector.

    textfile_collector.py host|backup CONFIG DIRECTORY

host: when certificates end, those in files and the one that nginx shows, what Airflow says of its parts, and
which patches of it are not in effect.
backup: how old the metastore's backups are.
What could not be looked at is itself a metric: airflowops_look_failed.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from datetime import datetime
from pathlib import Path
from typing import Any, Callable, Iterable

HELP = {
    "airflowops_look_failed": "Whether a look at a part failed.",
    "airflowops_look_timestamp_seconds": "When the collector looked last.",
    "airflowops_certificate_end_timestamp_seconds": "When a certificate ends.",
    "airflowops_api_up": "Whether the API server of this host answers.",
    "airflowops_heartbeat_timestamp_seconds": "The last heartbeat of a kind of part, of all masters.",
    "airflowops_component_healthy": "Whether Airflow calls a kind of part healthy.",
    "airflowops_patch_not_on": "A patch of Airflow that a service runs without, switched off or skipped.",
    "airflowops_backup_end_timestamp_seconds": "When the newest backup of a kind ended.",
    "airflowops_backup_size_bytes": "Size of the metastore in the newest backup of a kind.",
    "airflowops_backup_repository_ok": "Whether pgBackRest calls the repository sound.",
}
Metric = tuple[str, dict[str, str], float]


def end(pem: str) -> float:
    done = subprocess.run(
        ["openssl", "x509", "-noout", "-enddate"], input=pem, capture_output=True, text=True, check=True
    )
    return ssl.cert_time_to_seconds(done.stdout.strip().partition("=")[2])


def certificates(paths: Iterable[str]) -> list[Metric]:
    """The first end within each file; a file that is not there has none."""
    found = []
    for path in paths:
        try:
            pem = Path(path).read_text(encoding="ascii")
        except FileNotFoundError:
            continue
        blocks = re.findall(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", pem, re.DOTALL)
        if not blocks:
            raise ValueError(f"{path} holds no certificate")
        found.append(("airflowops_certificate_end_timestamp_seconds", {"path": path}, min(map(end, blocks))))
    return found


def shown(url: str) -> list[Metric]:
    """The end of the certificate with which this host answers for the URL, whatever its file says by now."""
    if not url:
        return []
    parts = urllib.parse.urlsplit(url)
    # Whoever signed it, its end is what counts.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    raw = socket.create_connection(("127.0.0.1", parts.port or 443), timeout=10)
    with context.wrap_socket(raw, server_hostname=parts.hostname) as connection:
        certificate = connection.getpeercert(binary_form=True)
    assert certificate
    pem = ssl.DER_cert_to_PEM_cert(certificate)
    return [("airflowops_certificate_end_timestamp_seconds", {"path": url}, end(pem))]


def airflow(url: str) -> list[Metric]:
    """What /api/v2/monitor/health says. It answers 200 whatever is wrong."""
    if not url:
        return []
    try:
        # Loopback: no proxy.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=10) as answer:
            health = json.load(answer)
    except OSError:
        return [("airflowops_api_up", {}, 0)]
    return [("airflowops_api_up", {}, 1), *components(health)]


def components(health: dict[str, Any]) -> list[Metric]:
    found = []
    for name, entry in health.items():
        # A kind of part that was never started has no status.
        if entry.get("status") is None:
            continue
        found.append(
            ("airflowops_component_healthy", {"component": name}, float(entry["status"] == "healthy"))
        )
        for key, value in entry.items():
            if key.startswith("latest_") and key.endswith("_heartbeat") and value:
                moment = datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
                found.append(("airflowops_heartbeat_timestamp_seconds", {"component": name}, moment))
    return found


def patches(directory: str) -> list[Metric]:
    """What each running service of Airflow has written there: it goes when the service stops."""
    return [
        (
            "airflowops_patch_not_on",
            {"name": f"{file.parent.name}.service", "patch": patch, "state": state},
            1,
        )
        for file in sorted(Path(directory).glob("*/patches.json"))
        for patch, result in json.loads(file.read_text(encoding="utf-8")).items()
        if (state := result["state"]) in ("off", "skipped")
    ]


def backups(stanzas: list[dict[str, Any]]) -> list[Metric]:
    """Of `pgbackrest info`. A full backup is an incremental one as well: `any` is the newest of all."""
    # A repository that is gone, or not mounted, has no stanza.
    found: list[Metric] = [] if stanzas else [("airflowops_backup_repository_ok", {}, 0.0)]
    for stanza in stanzas:
        # 2: there are none yet.
        ok = stanza["status"]["code"] == 0
        found.append(("airflowops_backup_repository_ok", {}, float(ok)))
        newest: dict[str, dict[str, Any]] = {}
        for backup in stanza["backup"]:
            if not backup.get("error"):
                newest[backup["type"]] = newest["any"] = backup
        for kind, backup in newest.items():
            found.append(
                ("airflowops_backup_end_timestamp_seconds", {"type": kind}, backup["timestamp"]["stop"])
            )
            found.append(("airflowops_backup_size_bytes", {"type": kind}, backup["info"]["size"]))
    return found


def ask_pgbackrest() -> list[Metric]:
    done = subprocess.run(
        ["pgbackrest", "--output=json", "--log-level-file=off", "info"],
        capture_output=True, text=True, check=True, timeout=45,
    )  # fmt: skip
    return backups(json.loads(done.stdout))


def text(metrics: Iterable[Metric]) -> str:
    """As Prometheus reads it."""
    by_name: dict[str, list[str]] = {}
    for name, labels, value in metrics:
        quoted = (f'{key}="{escaped(label)}"' for key, label in labels.items())
        by_name.setdefault(name, []).append(f"{name}{{{','.join(quoted)}}} {value:.15g}")
    lines = []
    for name, values in sorted(by_name.items()):
        lines += [f"# HELP {name} {HELP[name]}", f"# TYPE {name} gauge", *values]
    return "\n".join(lines) + "\n"


def escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def look(name: str, function: Callable[..., list[Metric]], *arguments: Any) -> list[Metric]:
    try:
        return [*function(*arguments), ("airflowops_look_failed", {"part": name}, 0)]
    except Exception as error:  # Whatever it is, the other looks count.
        detail = getattr(error, "stderr", "") or ""
        print(f"{name}: {error} {detail}".strip(), file=sys.stderr)
        return [("airflowops_look_failed", {"part": name}, 1)]


def write(path: Path, content: str) -> None:
    """Whole or not at all."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(content)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)


def main(kind: str, config: str, directory: str) -> None:
    wanted = json.loads(Path(config).read_text(encoding="utf-8"))
    if kind == "backup":
        metrics = look("backup", ask_pgbackrest)
    else:
        metrics = look("certificates", certificates, wanted["certificates"])
        metrics += look("front", shown, wanted["front"])
        metrics += look("airflow", airflow, wanted["airflow"])
        metrics += look("patches", patches, "/run/airflow-patches")
    metrics.append(("airflowops_look_timestamp_seconds", {"look": kind}, time.time()))
    write(Path(directory) / f"{kind}.prom", text(metrics))


if __name__ == "__main__":
    main(*sys.argv[1:4])
