# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of the Redis Cluster. Each makes one, and returns when the lab is whole again."""

from __future__ import annotations

import shlex
import time

from cut import cut_off, install_nft
from lab import ROOT, Lab, wait_until
from lab_flow import Flow, each
from results import HEADER
from suite import Fault
from test_2_verify import redis_info

__all__ = ["HEADER"]
KEY = "{airflow}:x"
CUT_SECONDS = 30
GONE_SECONDS = 60


def lab() -> Lab:
    return Lab("multi_node")


def flow(lab: Lab) -> Flow:
    return Flow(lab)


def prepare(lab: Lab) -> None:
    install_nft(lab, lab.group("redis_cluster"))


def owner_of(lab: Lab, avoid: str | None = None) -> tuple[str, int, str]:
    """Host, port and id of the instance that owns the broker's slot."""
    owner = redis_info(lab, avoid, key=KEY)["owner_of"]
    host = next(name for name in lab.group("redis_cluster") if lab.address(name) == owner["host"])
    return host, owner["port"], owner["id"]


def ports(lab: Lab) -> list[int]:
    return lab.variables(lab.group("redis_cluster")[0]).get("redis_cluster_ports", [7000, 7001])


def promoted(lab: Lab, before: str, avoid: str | None = None) -> None:
    def another() -> bool:
        return redis_info(lab, avoid, key=KEY)["owner_of"]["id"] not in (None, before)

    wait_until("a replica is promoted", another, timeout=60)


def whole(lab: Lab) -> None:
    """Every node answers, redis-cli has nothing to say, and the masters are spread over the hosts again."""
    answers(lab)
    lab.playbook(ROOT / "playbooks/redis_heal.yml")


def answers(lab: Lab) -> None:
    wait_until("every node is back", lambda: not redis_info(lab)["unreachable_nodes"], timeout=120)
    host, port = lab.group("redis_cluster")[0], ports(lab)[0]
    wait_until(
        "redis-cli finds the cluster whole",
        lambda: (
            lab.host(host)
            .run(
                "REDISCLI_AUTH="
                + shlex.quote(lab.secret("redis"))
                + f" redis-cli --cluster check {lab.address(host)}:{port}"
            )
            .rc
            == 0
        ),
        timeout=120,
    )


def kill_owner(lab: Lab) -> None:
    host, port, before = owner_of(lab)
    unit = f"redis-cluster@{port}"
    # Held down: systemd would have it back in a second.
    lab.host(host).run_expect([0], f"systemctl mask --runtime {unit} && systemctl kill --signal=KILL {unit}")
    try:
        promoted(lab, before)
        time.sleep(5)
    finally:
        lab.host(host).run_expect([0], f"systemctl unmask --runtime {unit} && systemctl start {unit}")


def power_off_owner(lab: Lab) -> None:
    host, _, before = owner_of(lab)
    lab.podman("kill", [host], "--signal=KILL")
    try:
        promoted(lab, before, avoid=host)
        time.sleep(5)
    finally:
        lab.podman("start", [host])
    wait_until("the host is back", lambda: lab.host(host).run("true").rc == 0, timeout=60)


def cut_off_owner(lab: Lab) -> None:
    host, _, before = owner_of(lab)
    start = cut_off(lab, host, CUT_SECONDS)
    promoted(lab, before, avoid=host)
    time.sleep(max(0.0, start + CUT_SECONDS - time.monotonic()))


def planned_failover(lab: Lab) -> None:
    host, port, before = owner_of(lab)
    lab.playbook(ROOT / "tests/faults/failover.yml", "-e", f"faults_host={host}", "-e", f"faults_port={port}")
    assert owner_of(lab)[2] != before


def rolling_restart(lab: Lab) -> None:
    lab.playbook(ROOT / "playbooks/redis_rolling_restart.yml")


def broker_gone(lab: Lab) -> None:
    hosts = lab.group("redis_cluster")
    units = " ".join(f"redis-cluster@{port}" for port in ports(lab))
    each(lambda host: lab.host(host).run_expect([0], f"systemctl stop {units}"), hosts)
    time.sleep(GONE_SECONDS)
    each(lambda host: lab.host(host).run_expect([0], f"systemctl start {units}"), hosts)


FAULTS = [
    Fault("sigkill", "the slot owner's process: SIGKILL, and it stays down", kill_owner),
    Fault("power_off", "the slot owner's host: power off", power_off_owner),
    Fault("cut_off", "the slot owner's host: cut off from all others for 30 s", cut_off_owner),
    Fault("failover", "planned failover of the slot owner", planned_failover, planned=True),
    Fault("rolling_restart", "`redis_rolling_restart.yml`", rolling_restart, planned=True),
    Fault("broker_gone", "all of Redis stopped for 60 s", broker_gone),
]
