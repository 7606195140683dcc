# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services that serve something else, by files that are neither ours nor as their package brought them."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.airflowops.cluster.plugins.module_utils.host.probe import names_in, read_text


class Service(NamedTuple):
    """The file that a role writes, and by what it is known as ours: files beside it, or words in it."""

    config: str
    our_files: tuple[str, ...] = ()
    our_words: tuple[str, ...] = ()
    # Whether its package brings it, so that one as it was brought is nobody's.
    packaged: bool = True


SERVICES = {
    "etcd": Service(
        "etc/default/etcd",
        our_files=("etc/systemd/system/etcd.service.d/airflowops.conf",),
        our_words=("/var/lib/etcd/airflow",),
    ),
    "haproxy": Service(
        "etc/haproxy/haproxy.cfg",
        our_files=("etc/systemd/system/haproxy.service.d/airflowops.conf",),
        our_words=("listen execution",),
    ),
    "nginx": Service("etc/nginx/nginx.conf", our_words=("upstream airflow_masters",)),
    "patroni": Service(
        "etc/patroni/config.yml",
        our_files=("etc/systemd/system/patroni.service.d/airflowops.conf",),
        our_words=("/etc/airflowops/",),
        packaged=False,
    ),
    "prometheus": Service("etc/prometheus/prometheus.yml", our_words=("/etc/prometheus/airflowops-",)),
}
# Units of ours whose names are those that anybody would take.
AIRFLOW_UNITS = (
    "airflow-api-server",
    "airflow-dag-processor",
    "airflow-execution-api",
    "airflow-scheduler",
    "airflow-triggerer",
    "flower",
)
OUR_UNIT_WORDS = ("/opt/airflow/versions/", "/opt/airflow/current/", "/etc/airflow/credentials/")
OUR_METASTORE = (
    "etc/airflowops/metastore",
    "etc/systemd/system/patroni.service.d/airflowops.conf",
)
# https://www.postgresql.org/docs/15/system-catalog-initial-data.html: what is made later has this or more.
FIRST_OF_USERS = 16384


def shipped(path: str, root: Path, status: str) -> bool | None:
    """Whether a file is as its package brought it; none where no package says so."""
    found = re.search(rf"^ /{re.escape(path)} (\w+)", status, re.MULTILINE)
    if not found:
        return None
    try:
        digest = hashlib.new("md5", (root / path).read_bytes(), usedforsecurity=False).hexdigest()
    except OSError:
        return True
    # Any other word than a checksum: the package is just being installed.
    return found[1] == digest or not re.fullmatch("[0-9a-f]{32}", found[1])


def foreign_config(service: Service, root: Path, status: str) -> bool:
    """Whether the service's configuration is somebody's."""
    text = read_text(root / service.config)
    if not text or is_ours(service, root, text):
        return False
    return shipped(service.config, root, status) is False if service.packaged else True


def is_ours(service: Service, root: Path, text: str) -> bool:
    return any((root / path).exists() for path in service.our_files) or any(
        word in text for word in service.our_words
    )


def nginx_sites(root: Path, status: str) -> list[str]:
    """What the nginx.conf of the distribution includes, and ours does not."""
    found = []
    for folder, ending in (("etc/nginx/sites-enabled", ""), ("etc/nginx/conf.d", ".conf")):
        for name in sorted(names_in(str(root / folder))):
            path = f"{folder}/{name}"
            if name.endswith(ending) and not shipped(followed(path, root), root, status):
                found.append(path)
    return found


def followed(path: str, root: Path) -> str:
    """Where a link leads to, below the root."""
    try:
        target = os.readlink(root / path)
    except OSError:
        return path
    return os.path.normpath(Path("/", path).parent / target).lstrip("/")


def foreign_services(root: str = "/", status: str | None = None) -> dict[str, list[str]]:
    """{service: files of somebody's}. Only on hosts with dpkg, which knows how files were brought."""
    base = Path(root)
    status = read_text(base / "var/lib/dpkg/status") if status is None else status
    if not status:
        return {}
    found = {
        name: [service.config] for name, service in SERVICES.items() if foreign_config(service, base, status)
    }
    nginx = SERVICES["nginx"]
    text = read_text(base / nginx.config)
    if text and not is_ours(nginx, base, text):
        found["nginx"] = found.get("nginx", []) + nginx_sites(base, status)
    units = [f"etc/systemd/system/{name}.service" for name in AIRFLOW_UNITS]
    texts = {path: read_text(base / path) for path in units}
    found["airflow"] = [
        path for path, text in texts.items() if text and not any(word in text for word in OUR_UNIT_WORDS)
    ]
    return {name: [f"/{path}" for path in paths] for name, paths in found.items() if paths}


def postgresql_clusters(root: str = "/") -> list[dict[str, Any]]:
    """PostgreSQL's database clusters as Debian keeps them, with the number of their users' databases."""
    base = Path(root)
    ours = any((base / path).exists() for path in OUR_METASTORE)
    found = []
    for version in sorted(names_in(str(base / "etc/postgresql"))):
        for name in sorted(names_in(str(base / "etc/postgresql" / version))):
            config = base / "etc/postgresql" / version / name
            line = re.search(
                r"^\s*data_directory\s*=?\s*'([^']+)'", read_text(config / "postgresql.conf"), re.MULTILINE
            )
            data = line[1] if line else f"/var/lib/postgresql/{version}/{name}"
            numbers = [entry for entry in names_in(str(base / data.lstrip("/") / "base")) if entry.isdigit()]
            found.append(
                {
                    "version": version,
                    "name": name,
                    "data": data,
                    "databases": sum(int(number) >= FIRST_OF_USERS for number in numbers),
                    "ours": ours or (config / "conf.d/airflow.conf").exists(),
                }
            )
    return found
