# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Redis is restarted as a whole while tasks flow, and workers find their way back by themselves."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from lab import ROOT, Lab, wait_until
from test_2_verify import redis_info, run_dag
from test_4_faults import Load, load_dag

__all__ = ["load_dag"]
CELERY = "airflow-run celery --app airflow.providers.celery.executors.celery_executor.app"
# Seconds. A worker tries every three; one that stuck to kombu's own intervals would try every 16 by then.
BACK_WITHIN = 12


def ports(lab: Lab) -> list[int]:
    return lab.variables(lab.group("redis_cluster")[0]).get("redis_cluster_ports", [7000, 7001])


def process_ids(lab: Lab) -> set[str]:
    units = " ".join(f"redis-cluster@{port}" for port in ports(lab))
    return {
        f"{host} {line}"
        for host in lab.group("redis_cluster")
        for line in lab.host(host).check_output(f"systemctl show --property=MainPID --value {units}").split()
    }


@pytest.mark.topology("multi_node")
@pytest.mark.usefixtures("load_dag")
def test_rolling_restart_while_tasks_flow(lab: Lab) -> None:
    before = process_ids(lab)
    load = Load(lab, tasks=80, seconds=0.5)
    load.under_way(5)
    lab.playbook(ROOT / "playbooks/redis_rolling_restart.yml")
    assert not before & process_ids(lab)
    load.all_done(timeout=300)
    assert not redis_info(lab)["unreachable_nodes"]


@pytest.mark.topology("multi_node")
@pytest.mark.usefixtures("long", "load_dag")
def test_upgrade_while_tasks_flow(lab: Lab) -> None:
    """From the version that the distribution was released with to its newest update."""
    hosts = lab.group("redis_cluster")
    offered = lab.host(hosts[0]).check_output(
        "apt-cache madison redis-server | awk '{print $3}' | sort -u -V"
    )
    oldest, newest = offered.split()[0], offered.split()[-1]
    if oldest == newest:
        pytest.skip(f"the distribution offers redis-server {newest} alone")
    older = f"redis-server={oldest} redis-tools={oldest}"
    with ThreadPoolExecutor() as pool:
        install = f"DEBIAN_FRONTEND=noninteractive apt-get install -qq --allow-downgrades {older}"
        list(pool.map(lambda host: lab.host(host).run_expect([0], install), hosts))
    load = Load(lab, tasks=80, seconds=0.5)
    load.under_way(5)
    lab.playbook(ROOT / "playbooks/redis_upgrade.yml")
    load.all_done(timeout=300)
    for host in hosts:
        assert lab.host(host).package("redis-server").version in newest
        assert "deleted" not in lab.host(host).check_output(
            "for p in $(pgrep redis-server); do readlink /proc/$p/exe; done"
        )


@pytest.mark.topology("multi_node")
@pytest.mark.usefixtures("long")
def test_worker_that_is_connected_and_deaf_hears_again(lab: Lab) -> None:
    """The only worker of the queue forgets it, as by an error of Celery after a failover."""
    worker = lab.host("worker1")
    pid = worker.check_output("systemctl show --property=MainPID --value airflow-worker@q1")
    worker.run_expect([0], f"{CELERY} control --destination q1@worker1 cancel_consumer cloudwalker_q1")
    worker.run_expect([0], f"{CELERY} control --destination q1@worker1 cancel_consumer default")
    assert run_dag(lab, "hello_world2", timeout=150)["state"] == "success"
    assert "connects again" in worker.check_output("journalctl -u airflow-worker@q1 --since=-5min --no-pager")
    # It connected again: nothing had to be restarted.
    assert worker.check_output("systemctl show --property=MainPID --value airflow-worker@q1") == pid


@pytest.mark.topology("multi_node")
@pytest.mark.usefixtures("long")
def test_worker_that_starts_before_the_broker(lab: Lab) -> None:
    hosts = lab.group("redis_cluster")
    units = " ".join(f"redis-cluster@{port}" for port in ports(lab))
    workers = lab.group("airflow_worker")
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda host: lab.host(host).run_expect([0], f"systemctl stop {units}"), hosts))
        for host in workers:
            lab.host(host).run_expect([0], "systemctl --no-block restart 'airflow-worker@*'")
        time.sleep(75)
        for host in workers:
            # Each has stopped, though it could not take its leave, and waits for the broker.
            state = "systemctl show --property=ActiveState --value 'airflow-worker@*'"
            assert set(lab.host(host).check_output(state).split()) == {"activating"}
        list(pool.map(lambda host: lab.host(host).run_expect([0], f"systemctl start {units}"), hosts))
    wait_until("the broker is back", lambda: redis_info(lab)["cluster_state"] == "ok", timeout=30)
    back = time.monotonic()
    lab.playbook(ROOT / "tests/lab/membership.yml")
    for host in workers:
        # systemd counts on the clock that all hosts of the lab share with this machine.
        ready = lab.host(host).check_output(
            "systemctl show --property=ActiveEnterTimestampMonotonic --value 'airflow-worker@*'"
        )
        assert max(int(moment) for moment in ready.split()) / 1e6 - back < BACK_WITHIN
