# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of a metastore on three hosts. Each makes one, and returns when another primary serves."""

from __future__ import annotations

import json
import time

import metastore
from cut import cut_off, install_nft
from lab import ROOT, Lab, wait_until
from lab_writer import Writer
from results import ROWS_HEADER as HEADER
from suite import Fault

__all__ = ["HEADER"]
CUT_SECONDS = 60


def lab() -> Lab:
    directory = Lab("multi_node").directory
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / "three.yml"
    path.write_text(metastore.THREE)
    made = Lab("multi_node")
    made.inventories.append(path)
    assert made.group("postgres_metastore") == metastore.HOSTS
    return made


def flow(lab: Lab) -> Writer:
    return Writer(lab, lab.group("postgres_metastore"))


def prepare(lab: Lab) -> None:
    install_nft(lab, lab.group("postgres_metastore"))


def primary(lab: Lab, avoid: str = "") -> str:
    return metastore.primary(lab, lab.group("postgres_metastore"), avoid)


def another_leads(lab: Lab, before: str) -> None:
    wait_until("another leads", lambda: primary(lab, avoid=before) not in ("", before), timeout=90)


def whole(lab: Lab) -> None:
    hosts = lab.group("postgres_metastore")
    wait_until("a copy on each host", lambda: metastore.whole(lab, hosts), timeout=180)


def kill_postgres(lab: Lab) -> None:
    lab.host(primary(lab)).run_expect(
        [0], "pkill -KILL -o -f '^postgres: airflow: checkpointer|bin/postgres -D'"
    )
    time.sleep(5)


def kill_patroni(lab: Lab) -> None:
    lab.host(primary(lab)).run_expect([0], "systemctl kill --kill-whom=main --signal=KILL patroni")
    time.sleep(5)


def power_off_primary(lab: Lab) -> None:
    lost = primary(lab)
    lab.podman("kill", [lost], "--signal=KILL")
    try:
        another_leads(lab, lost)
        time.sleep(5)
    finally:
        lab.podman("start", [lost])
    wait_until("the host is back", lambda: lab.host(lost).run("true").rc == 0, timeout=60)


def cut_off_primary(lab: Lab) -> None:
    lost = primary(lab)
    start = cut_off(lab, lost, CUT_SECONDS)
    another_leads(lab, lost)
    time.sleep(max(0.0, start + CUT_SECONDS - time.monotonic()))


def lose_etcd(lab: Lab) -> None:
    """The member that leads, on whichever host."""
    for host in lab.group("postgres_metastore"):
        seen = lab.host(host).check_output(
            "cd /etc/airflowops; ETCDCTL_API=3 etcdctl --endpoints=https://$(hostname):2379 "
            "--cacert=metastore-ca.crt --cert=metastore/tls.crt --key=metastore/tls.key "
            "endpoint status -w json"
        )
        status = json.loads(seen)[0]["Status"]
        if status["leader"] == status["header"]["member_id"]:
            lab.host(host).run_expect(
                [0], "systemctl mask --runtime etcd && systemctl kill --signal=KILL etcd"
            )
            try:
                time.sleep(30)
            finally:
                lab.host(host).run_expect([0], "systemctl unmask --runtime etcd && systemctl start etcd")
            return
    raise RuntimeError("etcd has no leader")


def switchover(lab: Lab) -> None:
    before = primary(lab)
    lab.playbook(ROOT / "playbooks/metastore_switchover.yml")
    assert primary(lab) not in ("", before)


FAULTS = [
    Fault("postgres_killed", "the primary's PostgreSQL: SIGKILL", kill_postgres),
    Fault("patroni_killed", "the primary's Patroni: SIGKILL", kill_patroni),
    Fault("power_off", "the primary's host: power off", power_off_primary),
    Fault("cut_off", "the primary's host: cut off from all others for 60 s", cut_off_primary),
    Fault("etcd_lost", "the leading member of etcd: SIGKILL, and it stays down for 30 s", lose_etcd),
    Fault("switchover", "`metastore_switchover.yml`", switchover, planned=True),
]
