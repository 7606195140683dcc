# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Airflow goes back a version and forward again under tasks; what stands in the way is reported."""

from __future__ import annotations

import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lab import Lab, changed, wait_until
from test_4_faults import Load, put_dag, put_load_dag

pytestmark = [pytest.mark.topology("multi_node"), pytest.mark.usefixtures("long")]
NEW, OLD = "3.3.2", "3.3.1"
# Of the migrations of both.
LAST_BUT_ONE = "9ff64e1c35d3"
POLL_SECONDS = 0.25


@pytest.fixture(scope="module", autouse=True)
def load_dag(lab: Lab) -> None:
    put_load_dag(lab)


def versions(lab: Lab) -> set[str]:
    """What each service runs: what its process has loaded, not what a file says."""
    seen = set()
    for host in lab.group("airflow_master") + lab.group("airflow_worker") + lab.group("flower"):
        shown = lab.host(host).check_output(
            "for pid in $(systemctl show -P MainPID 'airflow-*' flower | grep -v '^0*$'); do"
            " grep -o -m 1 '/opt/airflow/[^/]*/[^/]*' /proc/$pid/maps; done"
        )
        assert shown, host
        seen |= {line.removeprefix("/opt/airflow/versions/") for line in shown.split()}
    return seen


@contextmanager
def answered(lab: Lab) -> Iterator[list[str]]:
    """What a user of the UI meets meanwhile: errors."""
    wrong: list[str] = []
    stop = threading.Event()
    count = 0

    def ask() -> None:
        nonlocal count
        while not stop.wait(POLL_SECONDS):
            count += 1
            try:
                urllib.request.urlopen(f"{lab.url}/api/v2/monitor/health", timeout=10).close()
            except OSError as error:
                wrong.append(f"{time.strftime('%T')}: {error}")

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield wrong
    finally:
        stop.set()
        thread.join()
    assert count > 10


def change(lab: Lab, playbook: str, *arguments: str) -> None:
    """Under a run that outlasts it: each worker has tasks under way when it is restarted."""
    load = Load(lab, tasks=60, seconds=20)
    load.under_way(1)
    with answered(lab) as wrong:
        lab.playbook(f"playbooks/{playbook}.yml", *lab.with_load, *arguments)
    load.all_done(timeout=300)
    assert wrong == []


def refused(lab: Lab, playbook: str, *arguments: str) -> str:
    output = lab.playbook(playbook, *lab.with_load, *arguments, check=False)
    return " ".join(output.replace("│", " ").split())


def test_back_under_load(lab: Lab) -> None:
    change(lab, "airflow_rollback", "-e", f"airflow_version={OLD}")
    assert versions(lab) == {OLD}


def test_site_leaves_the_version_alone(lab: Lab) -> None:
    output = lab.playbook("site.yml", check=False)
    assert changed(output) == 0
    assert f"airflow_version is {NEW}, but Airflow {OLD} is in use" in " ".join(output.split())
    assert "run the playbook airflowops.cluster.airflow_upgrade" in " ".join(output.split())


def test_a_dag_that_the_new_version_cannot_import(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "lab_old.py").write_text(
        f"""import airflow
from airflow.sdk import DAG

if airflow.__version__ != "{OLD}":
    raise ImportError("only for {OLD}")
with DAG(dag_id="lab_old", schedule=None):
    pass
"""
    )
    put_dag(lab, "lab_old", folder=tmp_path)
    words = refused(lab, "playbooks/airflow_upgrade.yml", "-e", "upgrade_backup_age=0")
    assert f"Airflow {NEW} cannot import lab_old.py (ImportError: only for {OLD})" in words, words[-3000:]
    assert versions(lab) == {OLD}
    for host in {*lab.group("airflow_master"), *lab.group("airflow_worker")}:
        lab.host(host).run_expect([0], "rm /opt/airflow/dags/lab_old.py")


def test_a_migration_that_fails(lab: Lab) -> None:
    """The schema says that its last migration is still to come: what it adds is there already."""
    reached = sql(lab, "SELECT version_num FROM alembic_version")
    sql(lab, f"UPDATE alembic_version SET version_num = '{LAST_BUT_ONE}'")
    try:
        words = refused(lab, "playbooks/airflow_upgrade.yml", "-e", "upgrade_backup_age=0")
        assert f"The migration of the metastore to Airflow {NEW} failed" in words, words[-3000:]
        assert "already exists" in words
        assert versions(lab) == {OLD}
        assert lab.airflow.get("version")["version"] == OLD
    finally:
        sql(lab, f"UPDATE alembic_version SET version_num = '{reached}'")


def sql(lab: Lab, query: str) -> str:
    return lab.host("metastore1").check_output(f'cd / && sudo -u postgres psql -At -d airflow -c "{query}"')


def test_a_way_back_that_is_closed(lab: Lab) -> None:
    revision = sql(lab, "SELECT version_num FROM alembic_version_fab")
    sql(lab, "UPDATE alembic_version_fab SET version_num = 'of a later version'")
    try:
        words = refused(lab, "playbooks/airflow_rollback.yml", "-e", f"airflow_version={OLD}")
        assert versions(lab) == {OLD}
    finally:
        sql(lab, f"UPDATE alembic_version_fab SET version_num = '{revision}'")
    assert f"The metastore was migrated since Airflow {OLD}" in words, words[-3000:]


def test_an_old_backup_stands_in_the_way(lab: Lab) -> None:
    words = refused(lab, "playbooks/airflow_upgrade.yml", "-e", "upgrade_backup_age=0.0001")
    assert "run backup.yml first" in words, words[-3000:]
    assert versions(lab) == {OLD}


def test_forward_under_load(lab: Lab) -> None:
    lab.playbook("playbooks/backup.yml")
    worker = lab.host(lab.group("airflow_worker")[0])
    worker.check_output("mkdir /opt/airflow/versions/3.0.0")
    change(lab, "airflow_upgrade")
    assert versions(lab) == {NEW}
    # The one before stays, for the way back.
    assert sorted(worker.check_output("ls /opt/airflow/versions").split()) == sorted([OLD, NEW])
    wait_until("the version is reported", lambda: lab.airflow.get("version")["version"] == NEW, timeout=30)
