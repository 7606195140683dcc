# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metastore is backed up, spoiled and restored, with 200,000 task instances in it."""

from __future__ import annotations

import time

import pytest
from lab import ROOT, Lab, changed
from test_2_verify import run_dag

pytestmark = pytest.mark.topology("single_node")
TASK_INSTANCES = 200_000
REPOSITORY = "/var/lib/pgbackrest"


def sql(lab: Lab, statement: str) -> str:
    command = f'cd / && sudo -u postgres psql -d airflow -Atq -v ON_ERROR_STOP=1 -c "{statement}"'
    return lab.host(lab.group("postgres_metastore")[0]).check_output(command)


def refused(lab: Lab, playbook: str, *arguments: str) -> str:
    """The error, on one line, of a run that must change nothing."""
    output = lab.playbook(ROOT / "playbooks" / playbook, *arguments, check=False)
    assert changed(output) == 0
    assert "fatal:" in output
    return " ".join(output.split("fatal:")[1].split("PLAY RECAP")[0].split())


@pytest.fixture(scope="module", autouse=True)
def many_task_instances(lab: Lab):
    run_dag(lab, "hello_world2")
    sql(
        lab,
        "INSERT INTO task_instance SELECT (jsonb_populate_record(rows.one, jsonb_build_object("
        "'id', gen_random_uuid(), 'map_index', number))).* "
        "FROM (SELECT one FROM task_instance AS one LIMIT 1) AS rows, "
        f"generate_series(1000, {999 + TASK_INSTANCES}) AS number",
    )
    yield
    sql(lab, "DELETE FROM task_instance WHERE map_index >= 1000")


def test_the_first_run_began_a_backup(lab: Lab) -> None:
    host = lab.host(lab.group("postgres_metastore")[0])
    shown = host.check_output("sudo -u postgres pgbackrest --stanza=airflow info")
    assert "full backup" in shown
    assert "metastore-backup-full.timer" in host.check_output("systemctl list-timers --no-legend")


def test_a_disk_without_room_is_told_before_anything_is_written(lab: Lab) -> None:
    host = lab.host(lab.group("postgres_metastore")[0])
    small = "/run/small-disk"
    host.run_expect([0], f"mkdir -p {small} && mount -t tmpfs -o size=500m tmpfs {small}")
    host.run_expect([0], f"cp -a {REPOSITORY}/. {small} && mount --bind {small} {REPOSITORY}")
    left = int(host.check_output(f"df --output=avail -B1 {small} | tail -n 1"))
    host.run_expect([0], f"fallocate -l {left - 20_000_000} {small}/full")
    try:
        problem = refused(lab, "backup.yml", "-e", "backup=full")
    finally:
        host.run_expect([0], f"umount {REPOSITORY} && umount {small}")
    assert f"Free disk for the backups in {REPOSITORY} on {lab.group('postgres_metastore')[0]} is" in problem
    assert "postgres_metastore_backup_retention_full" in problem


def test_what_cannot_be_restored_is_refused(lab: Lab) -> None:
    too_early = refused(lab, "restore.yml", "-e", "restore_to='2020-01-01 00:00:00+00:00'")
    assert "give a moment between the end of the first backup" in too_early
    assert "cannot be restored" in refused(lab, "restore.yml", "-e", "restore_to=yesterday")
    assert "-e restore_stop_airflow=true" in refused(lab, "restore.yml")


def test_a_dropped_table_comes_back_with_all_up_to_the_second_before(lab: Lab) -> None:
    lab.playbook(ROOT / "playbooks/backup.yml", "-e", "backup=full")
    # What follows is in the WAL alone.
    assert run_dag(lab, "hello_world2")["state"] == "success"
    # The clock counts whole seconds.
    time.sleep(1.1)
    runs, moment = sql(lab, "SELECT count(*), date_trunc('second', now()) FROM dag_run").split("|")
    time.sleep(2)
    sql(lab, "DROP TABLE task_instance CASCADE")
    started = time.monotonic()
    lab.playbook(
        ROOT / "playbooks/restore.yml", "-e", f"restore_to='{moment}:00'", "-e", "restore_stop_airflow=true"
    )
    print(f"restored with {TASK_INSTANCES} task instances: {time.monotonic() - started:.0f} s")
    assert sql(lab, "SELECT count(*) FROM dag_run") == runs
    assert int(sql(lab, "SELECT count(*) FROM task_instance")) > TASK_INSTANCES
    assert run_dag(lab, "hello_world2")["state"] == "success"


def test_what_was_there_before_is_kept(lab: Lab) -> None:
    host = lab.host(lab.group("postgres_metastore")[0])
    assert "main.before-restore-" in host.check_output("ls /var/lib/postgresql/*/")
    host.run_expect([0], "rm -r /var/lib/postgresql/*/main.before-restore-*")


def test_backups_are_verified_and_backing_up_goes_on_after_a_restore(lab: Lab) -> None:
    lab.playbook(ROOT / "playbooks/backup.yml")
    output = " ".join(lab.playbook(ROOT / "playbooks/backup_verify.yml").split())
    assert "accepted by `airflow db check` and `airflow db check-migrations`" in output
    counted = int(output.split("task_instance|")[1].split(",")[0])
    assert counted > TASK_INSTANCES
    assert changed(lab.playbook("site.yml")) == 0
