# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metastore grows from one host to three while tasks flow, and outlives the loss of its primary.

The last of the tests that change the lab: from here on it has three metastore hosts, which the scenario's own
inventory does not know.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import metastore
import pytest
from lab import ROOT, Lab
from metastore import HOSTS, THREE
from test_2_verify import run_dag
from test_4_faults import Load, load_dag, wait_until

__all__ = ["load_dag"]
pytestmark = pytest.mark.topology("multi_node")


@pytest.fixture(scope="module")
def three(lab: Lab) -> Path:
    path = lab.directory / "three.yml"
    path.write_text(THREE)
    return path


def primary(lab: Lab) -> str:
    return metastore.primary(lab, HOSTS)


def whole(lab: Lab) -> bool:
    return metastore.whole(lab, HOSTS)


def dag_runs(lab: Lab, host: str) -> int:
    query = "sudo -u postgres psql -At -d airflow -c 'SELECT count(*) FROM dag_run'"
    return int(lab.host(host).check_output(query))


@pytest.mark.usefixtures("load_dag")
def test_one_metastore_becomes_three(lab: Lab, three: Path) -> None:
    before = dag_runs(lab, "metastore1")
    load = Load(lab, tasks=150, seconds=0.5)
    load.under_way(5)
    lab.playbook(ROOT / "site.yml", *lab.with_load, "-i", three)
    load.all_done(timeout=300)
    assert primary(lab) == "metastore1"
    assert wait_until("three copies", lambda: whole(lab), timeout=60)
    assert dag_runs(lab, "metastore1") == before + 1


@pytest.mark.usefixtures("long")
def test_a_second_run_on_three_changes_nothing(lab: Lab, three: Path) -> None:
    output = lab.playbook(ROOT / "site.yml", *lab.with_load, "-i", three)
    assert not [line for line in output.splitlines() if " changed=" in line and " changed=0 " not in line]


@pytest.mark.usefixtures("long")
def test_a_setting_that_takes_a_restart_reaches_the_primary_last(lab: Lab, three: Path) -> None:
    before = primary(lab)
    load = Load(lab)
    load.under_way(5)
    setting = ("-e", '{"postgres_metastore_config": {"max_worker_processes": 9}}')
    lab.playbook(ROOT / "site.yml", *lab.with_load, "-i", three, "--tags", "postgres_metastore", *setting)
    started = {}
    for host in HOSTS:
        query = "cd / && sudo -u postgres psql -Atc"
        assert lab.host(host).check_output(f"{query} 'SHOW max_worker_processes'") == "9"
        since = "'SELECT extract(epoch FROM pg_postmaster_start_time())'"
        started[host] = float(lab.host(host).check_output(f"{query} {since}"))
    assert primary(lab) == before
    assert max(started, key=lambda host: started[host]) == before
    load.all_done(timeout=300)


def test_the_lead_is_handed_over_under_load(lab: Lab, three: Path) -> None:
    load = Load(lab)
    load.under_way(5)
    lab.playbook(ROOT / "playbooks/metastore_switchover.yml", "-i", three)
    assert primary(lab) in ("redis2", "redis3")
    load.all_done(timeout=300)
    assert wait_until("three copies", lambda: whole(lab), timeout=60)


@pytest.mark.usefixtures("long")
def test_a_minor_upgrade_under_load(lab: Lab, three: Path) -> None:
    """From the version that the distribution was released with to its newest update."""
    led, server = primary(lab), lab.host("metastore1")
    name = "postgresql-" + server.check_output("ls /usr/lib/postgresql")
    offered = server.check_output(f"apt-cache madison {name} | awk '{{print $3}}' | sort -u -V").split()
    if len(offered) == 1:
        pytest.skip(f"the distribution offers {name} {offered[0]} alone")
    install = f"DEBIAN_FRONTEND=noninteractive apt-get install -qq --allow-downgrades {name}={offered[0]}"
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda host: lab.host(host).run_expect([0], install), HOSTS))
    load = Load(lab)
    load.under_way(5)
    lab.playbook(ROOT / "playbooks/metastore_upgrade.yml", "-i", three)
    load.all_done(timeout=300)
    assert primary(lab) not in ("", led)
    assert wait_until("three copies", lambda: whole(lab), timeout=60)
    newest = offered[-1].split("-")[0]
    for host in HOSTS:
        version = lab.host(host).check_output("cd / && sudo -u postgres psql -Atc 'SHOW server_version'")
        assert version.split()[0] == newest


def test_the_primary_is_lost_under_load(lab: Lab) -> None:
    # It runs Redis as well: one machine dies, with all that is on it.
    lost = primary(lab)
    load = Load(lab)
    load.under_way(5)
    lab.podman("kill", [lost], "--signal=KILL")
    try:
        wait_until("another leads", lambda: primary(lab) not in ("", lost), timeout=60)
        load.all_done(timeout=300)
    finally:
        lab.podman("start", [lost])
    assert wait_until("three copies", lambda: whole(lab), timeout=120)


def test_all_three_restart_at_once(lab: Lab) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda host: lab.podman("restart", [host], "--time=60"), HOSTS))
    assert wait_until("three copies", lambda: whole(lab), timeout=180)
    assert wait_until("the API is back", lambda: lab.airflow.get("dags"), timeout=120)
    assert run_dag(lab, "hello_world2")["state"] == "success"
