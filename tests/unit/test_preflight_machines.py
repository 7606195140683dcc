# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory, disk, clock and system of the hosts."""

from __future__ import annotations

import pytest
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.checks import (
    find_problems,
)
from clusters import Cluster, only, put, see, single_node

# --- Hosts


@pytest.mark.parametrize("host", ["master1", "worker3"])
@pytest.mark.parametrize(
    ("total", "limit", "shown"),
    [
        (1 << 30, None, 1024),
        (16 << 30, 1536 << 20, 1536),
        (16 << 30, (2 << 30) - 1, 2047),
        (1800 << 20, None, 1800),
    ],
)
def test_too_little_memory(cluster: Cluster, host: str, total: int, limit: int | None, shown: int) -> None:
    see(cluster, "memory_total", total, host)
    see(cluster, "memory_limit", limit, host)
    assert only(cluster).startswith(
        f"Memory is {shown} MiB on {host}, but a host that runs Airflow needs 2048 MiB: "
    )


@pytest.mark.parametrize(("total", "limit"), [(1900 << 20, None), (2 << 30, 2 << 30), (16 << 30, 2 << 30)])
def test_two_gibibytes_are_enough(cluster: Cluster, total: int, limit: int | None) -> None:
    see(cluster, "memory_total", total)
    see(cluster, "memory_limit", limit)
    assert find_problems(cluster) == []


def test_other_hosts_may_have_little_memory_and_disk(cluster: Cluster) -> None:
    for host in ("redis1", "db1", "front1"):
        see(cluster, "memory_total", 512 << 20, host)
        see(cluster, "disk_free", 512 << 20, host)
    assert find_problems(cluster) == []


def test_a_single_node_needs_the_memory_as_well() -> None:
    cluster = single_node()
    see(cluster, "memory_total", 1 << 30)
    assert "Memory is 1024 MiB on one" in only(cluster)


def test_limits_are_inputs(cluster: Cluster) -> None:
    put(cluster, "preflight_min_memory_mib", 8192)
    put(cluster, "preflight_min_disk_mib", 100 * 1024)
    problems = find_problems(cluster)
    assert [problem.split(" on ")[0] for problem in problems] == ["Free disk", "Memory is 4096 MiB"]


def test_too_little_disk(cluster: Cluster) -> None:
    see(cluster, "disk_free", 1 << 30, "worker2")
    assert only(cluster).startswith("Free disk on / is 1024 MiB on worker2, but")


def clock(cluster: Cluster, host: str, offset: float, uncertainty: float = 0.2) -> None:
    see(cluster, "clock_offset", offset, host)
    see(cluster, "clock_uncertainty", uncertainty, host)


@pytest.mark.parametrize(("offset", "shown"), [(7.24, "+7.2 s"), (-3600.0, "-3600.0 s")])
def test_a_wrong_clock(cluster: Cluster, offset: float, shown: str) -> None:
    clock(cluster, "redis2", offset)
    assert only(cluster) == (
        f"Clocks are more than 5 s apart from the controller's, redis2 by {shown}: "
        "run chrony or systemd-timesyncd on all hosts and the controller"
    )


def test_several_wrong_clocks_are_one_problem(cluster: Cluster) -> None:
    clock(cluster, "redis2", 10)
    clock(cluster, "db1", -20)
    assert "db1 by -20.0 s, redis2 by +10.0 s:" in only(cluster)


def test_clocks_that_are_near_the_controllers_but_not_one_another(cluster: Cluster) -> None:
    clock(cluster, "redis2", 4)
    clock(cluster, "db1", -4)
    assert only(cluster).startswith("The clocks of redis2 and db1 are 8.0 s apart, more than 5 s: run chrony")


def test_what_the_measurement_cannot_tell_is_granted(cluster: Cluster) -> None:
    clock(cluster, "redis2", 6, 1.5)
    assert find_problems(cluster) == []


def test_the_limit_of_clocks_is_an_input(cluster: Cluster) -> None:
    put(cluster, "preflight_max_clock_offset", 60)
    clock(cluster, "redis2", 30)
    assert find_problems(cluster) == []


def system(name: str, version: str) -> dict[str, str]:
    return {"id": name, "version": version, "name": f"{name} {version}".strip()}


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("debian", "11"),
        ("debian", ""),
        ("ubuntu", "22.04"),
        ("rocky", "8.10"),
        ("fedora", "42"),
        ("alpine", "3.20"),
    ],
)
def test_an_unsupported_system(cluster: Cluster, name: str, version: str) -> None:
    see(cluster, "os", system(name, version), "worker1")
    problem = only(cluster)
    assert problem.startswith(
        f"{name} {version}".strip() + " on worker1 is not supported: use Debian 12 or 13"
    )


@pytest.mark.parametrize(
    ("name", "version", "pythons"),
    [
        ("ubuntu", "24.04", ["3.12"]),
        ("almalinux", "9.5", ["3.9"]),
        ("rocky", "9.4", ["3.9", "3.11"]),
        ("rhel", "9.2", []),
    ],
)
def test_an_untested_system_is_for_who_asks_for_it(
    cluster: Cluster, name: str, version: str, pythons: list[str]
) -> None:
    see(cluster, "os", system(name, version), "worker1")
    see(cluster, "pythons", pythons, "worker1")
    problem = only(cluster)
    assert problem.startswith(f"{name} {version} on worker1 is not supported yet")
    assert "preflight_allow_untested: true" in problem
    put(cluster, "preflight_allow_untested", True)
    assert find_problems(cluster) == []


@pytest.mark.parametrize(("version", "pythons"), [("12", ["3.11"]), ("13", ["3.13"])])
def test_supported_systems(cluster: Cluster, version: str, pythons: list[str]) -> None:
    see(cluster, "os", system("debian", version))
    see(cluster, "pythons", pythons)
    assert find_problems(cluster) == []


@pytest.mark.parametrize(
    ("pythons", "words"), [(["3.9", "3.10"], "only Python 3.9, 3.10"), ([], "no Python 3")]
)
def test_an_unsupported_python(cluster: Cluster, pythons: list[str], words: str) -> None:
    see(cluster, "pythons", pythons, "master2")
    assert only(cluster).startswith(
        f"There is {words} on master2, but Airflow is installed for 3.11, 3.12, 3.13:"
    )


def test_another_init_system(cluster: Cluster) -> None:
    see(cluster, "systemd", False, "worker1")
    assert only(cluster).startswith("systemd is not the init system of worker1: ")
