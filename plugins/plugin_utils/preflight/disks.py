# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the file systems of a host have room for what its roles put there, and let it run."""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import (
    Problems,
    hosts_of,
    known_hosts,
    setting,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import RUNS_AIRFLOW

MIB = 1024 * 1024
RELEASE = "/opt/airflow"
PACKAGES = "/var/lib/dpkg"
# Parts of preflight_min_disk_mib, 2 GiB if not set. A release is 700 MiB, and an upgrade has two; the host
# that makes it packs it for the others below /var.
NEEDS = {RELEASE: 1.0, PACKAGES: 0.5}
# These have the room that their owners give them; with less than this they would not even start.
DATA = {"/var/lib/postgresql": "postgres_metastore", "/var/lib/redis-cluster": "redis_cluster"}
DATA_MIB = 256

# StateDirectory= and LogsDirectory=: systemd opens these without following links.
MADE_BY_SYSTEMD = ("/var/lib/airflow", "/var/log/airflow")
# ProtectHome= in the units of these.
HOMES_HIDDEN = (RELEASE, "/var/lib/redis-cluster")


def check_disks(cluster: dict[str, Any], problems: Problems) -> None:
    for host in known_hosts(cluster, *RUNS_AIRFLOW, "flower", *DATA.values()):
        folders = (cluster["hosts"][host].get("probe") or {}).get("filesystems") or {}
        runs_airflow = host in hosts_of(cluster, *RUNS_AIRFLOW, "flower")
        for folder, facts in folders.items():
            if runs_airflow if folder not in DATA else host in hosts_of(cluster, DATA[folder]):
                check_folder(host, folder, facts, problems)
        if runs_airflow and folders.get(RELEASE, {}).get("noexec"):
            problems.add(
                f"{folders[RELEASE]['mount']} is mounted noexec on {{hosts}}, and Airflow's programs are in "
                f"{RELEASE}: remove noexec in /etc/fstab and run `mount -o remount,exec "
                f"{folders[RELEASE]['mount']}`, or make {RELEASE} a link to a folder elsewhere",
                host,
            )
        if folders and not installed(cluster, host):
            check_room(host, least_of(cluster, host, folders), folders, problems)


def check_folder(host: str, folder: str, facts: Mapping[str, Any], problems: Problems) -> None:
    """Links work, but not for what systemd makes for a service, nor to where the service sees nothing."""
    if folder in MADE_BY_SYSTEMD and facts["link"]:
        problems.add(
            f"{folder} on {{hosts}} is a link to {facts['place']}, and systemd takes no link for a service's "
            f"own folder: remove the link, and mount {facts['place']} there instead, in /etc/fstab "
            f"`{facts['place']} {folder} none bind 0 0`",
            host,
        )
    elif facts["dangling"]:
        problems.add(
            f"{folder} on {{hosts}} is a link to {facts['place']}, which is not there: make that folder, "
            "or remove the link",
            host,
        )
    elif folder in HOMES_HIDDEN and facts["place"].startswith(("/home/", "/root/", "/run/user/")):
        problems.add(
            f"{folder} on {{hosts}} is a link to {facts['place']}, and homes are hidden from the services: "
            "let it lead to a folder elsewhere, such as below /srv",
            host,
        )


def installed(cluster: dict[str, Any], host: str) -> bool:
    """Whether what needs the room is there: a second run brings little."""
    folders = cluster["hosts"][host]["probe"].get("filesystems") or {}
    release = cluster["hosts"][host].get("release") or {}
    if host in hosts_of(cluster, *RUNS_AIRFLOW, "flower"):
        return bool(release.get("in_use")) and release.get("in_use") == release.get("wanted")
    own = [folder for folder, role in DATA.items() if host in hosts_of(cluster, role)]
    return all(folders.get(folder, {}).get("exists") for folder in own)


def release_on_root(folders: Mapping[str, Any]) -> bool:
    return folders.get(RELEASE, {}).get("mount", "/") == "/"


def least_of(cluster: dict[str, Any], host: str, folders: Mapping[str, Any]) -> dict[str, int]:
    """{folder: MiB that are needed}. With the release on the root file system, that one is judged alone."""
    least = setting(cluster, host, "preflight_min_disk_mib", 2048)
    needs = {folder: DATA_MIB for folder, role in DATA.items() if host in hosts_of(cluster, role)}
    if host in hosts_of(cluster, *RUNS_AIRFLOW):
        needs |= {folder: int(least * part) for folder, part in NEEDS.items()}
    return {
        folder: min(need, least)
        for folder, need in needs.items()
        if folder in folders and not (folders[folder]["mount"] == "/" and release_on_root(folders))
    }


def check_room(host: str, needs: Mapping[str, int], folders: Mapping[str, Any], problems: Problems) -> None:
    """One sentence for each file system: the largest of the needs on it."""
    worst: dict[str, tuple[int, str]] = {}
    for folder, need in needs.items():
        mount = folders[folder]["mount"]
        if folders[folder]["free"] < need * MIB:
            worst[mount] = max(worst.get(mount, (0, "")), (need, folder))
    for mount, (need, folder) in worst.items():
        problems.add(
            f"Free disk on {mount} is {int(folders[folder]['free'] / MIB)} MiB on {{hosts}}, but {folder} "
            f"needs {need} MiB there: enlarge it or free some, or lower preflight_min_disk_mib",
            host,
        )
