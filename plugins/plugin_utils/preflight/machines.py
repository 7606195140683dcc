# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What preflight found on the hosts: their system, memory, disk and clocks. See `checks`."""

from __future__ import annotations

from typing import Any

from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.disks import (
    installed,
    release_on_root,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import (
    Problems,
    known_hosts,
    listing,
    setting,
    values_of,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import (
    RUNS_AIRFLOW,
)

MIB = 1024 * 1024
# A machine's kernel keeps some of the memory that is built in; a machine sold as 2 GiB shows 1.8 to 1.95.
MEMORY_KEPT_BY_KERNEL = 0.1
PYTHONS = ("3.11", "3.12", "3.13")
# Versions by the id in os-release.
SYSTEMS = {"debian": ("12", "13")}
# Written for, and not proven: only for who asks for it.
UNTESTED_SYSTEMS = {"ubuntu": ("24.04",), "almalinux": ("9",), "rocky": ("9",), "rhel": ("9",)}
# Their own Python is too old; a role installs another beside it.
ENTERPRISE_LINUX = ("almalinux", "rocky", "rhel")
SYSTEM_NAMES = "Debian 12 or 13"


def check_probes(cluster: dict[str, Any], problems: Problems) -> None:
    probes = {host: entry["probe"] for host, entry in cluster["hosts"].items() if entry.get("probe")}
    for host, probe in probes.items():
        check_system(host, probe, problems, bool(values_of(cluster, host).get("preflight_allow_untested")))
    for host in known_hosts(cluster, *RUNS_AIRFLOW):
        if host in probes:
            check_memory(
                host, probes[host], setting(cluster, host, "preflight_min_memory_mib", 2048), problems
            )
            folders = probes[host].get("filesystems") or {}
            if release_on_root(folders) and not installed(cluster, host):
                check_disk(
                    host, probes[host], setting(cluster, host, "preflight_min_disk_mib", 2048), problems
                )
    if probes:
        limit = max(setting(cluster, host, "preflight_max_clock_offset", 5) for host in probes)
        check_clocks(probes, limit, problems)


def check_system(host: str, probe: dict[str, Any], problems: Problems, allow_untested: bool = False) -> None:
    system = probe["os"]
    version = system["version"]
    if system["id"] in ENTERPRISE_LINUX:
        version = version.partition(".")[0]
    untested = version in UNTESTED_SYSTEMS.get(system["id"], ())
    if version not in SYSTEMS.get(system["id"], ()) and not untested:
        problems.add(f"{system['name']} on {{hosts}} is not supported: use {SYSTEM_NAMES}", host)
    elif untested and not allow_untested:
        problems.add(
            f"{system['name']} on {{hosts}} is not supported yet, nobody has proven that it works: "
            f"use {SYSTEM_NAMES}, or set preflight_allow_untested: true to try it",
            host,
        )
    elif system["id"] not in ENTERPRISE_LINUX and not set(PYTHONS).intersection(probe["pythons"]):
        have = f"only Python {', '.join(probe['pythons'])}" if probe["pythons"] else "no Python 3"
        problems.add(
            f"There is {have} on {{hosts}}, but Airflow is installed for {', '.join(PYTHONS)}: "
            "install the distribution's package python3",
            host,
        )
    if not probe["systemd"]:
        problems.add(
            "systemd is not the init system of {hosts}: use hosts that boot it, it runs all services",
            host,
        )


def check_memory(host: str, probe: dict[str, Any], least: int, problems: Problems) -> None:
    total, limit = probe.get("memory_total"), probe.get("memory_limit")
    seen = [int(number / MIB) for number in (total, limit) if number is not None]
    short = (total is not None and total < least * MIB * (1 - MEMORY_KEPT_BY_KERNEL)) or (
        limit is not None and limit < least * MIB
    )
    if short:
        problems.add(
            f"Memory is {min(seen)} MiB on {{hosts}}, but a host that runs Airflow needs {least} MiB: "
            "give it more, or lower preflight_min_memory_mib at your own risk",
            host,
        )


def check_disk(host: str, probe: dict[str, Any], least: int, problems: Problems) -> None:
    free = probe.get("disk_free")
    if free is not None and free < least * MIB:
        problems.add(
            f"Free disk on / is {int(free / MIB)} MiB on {{hosts}}, but a host that runs Airflow needs "
            f"{least} MiB: free some, or lower preflight_min_disk_mib",
            host,
        )


def check_clocks(probes: dict[str, dict[str, Any]], limit: int, problems: Problems) -> None:
    """Compares the clocks with the controller's, and those that agree with it with one another."""
    fix = "run chrony or systemd-timesyncd on all hosts and the controller"
    ranges = {
        host: (
            probe["clock_offset"] - probe["clock_uncertainty"],
            probe["clock_offset"] + probe["clock_uncertainty"],
        )
        for host, probe in probes.items()
        if probe.get("clock_offset") is not None and probe.get("clock_uncertainty") is not None
    }
    off = [host for host, (least, most) in ranges.items() if least > limit or most < -limit]
    if off:
        offsets = listing(f"{host} by {probes[host]['clock_offset']:+.1f} s" for host in off)
        problems.add(f"Clocks are more than {limit} s apart from the controller's, {offsets}: {fix}")
    rest = [host for host in sorted(ranges) if host not in off]
    if rest:
        ahead = max(rest, key=lambda host: ranges[host][0])
        behind = min(rest, key=lambda host: ranges[host][1])
        apart = probes[ahead]["clock_offset"] - probes[behind]["clock_offset"]
        if ranges[ahead][0] - ranges[behind][1] > limit:
            problems.add(
                f"The clocks of {ahead} and {behind} are {apart:.1f} s apart, more than {limit} s: {fix}"
            )
