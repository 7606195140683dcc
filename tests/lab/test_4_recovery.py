# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metastore is restored where the data directory is gone, a link that leads nowhere, or a mount point."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lab import ROOT, Lab
from test_4_backup import refused, sql

pytestmark = pytest.mark.topology("single_node")
RESTORE = ROOT / "playbooks/restore.yml"
STOP_AIRFLOW = ("-e", "restore_stop_airflow=true")


@pytest.fixture(scope="module")
def data(lab: Lab) -> Iterator[str]:
    """The data directory, of a metastore that is backed up with a table of ours in it."""
    host = lab.host(lab.group("postgres_metastore")[0])
    directory = host.check_output("pg_lsclusters --no-header | awk '{print $6}'")
    sql(lab, "CREATE TABLE IF NOT EXISTS public.recovery (number int)")
    sql(lab, "TRUNCATE recovery; INSERT INTO recovery VALUES (42)")
    lab.playbook(ROOT / "playbooks/backup.yml")
    yield directory
    sql(lab, "DROP TABLE recovery")
    host.run_expect([0], f"rm -rf {directory}.before-restore-*")


def restored(lab: Lab, *arguments: str) -> None:
    lab.playbook(RESTORE, *STOP_AIRFLOW, *arguments)
    assert sql(lab, "SELECT number FROM recovery") == "42"


def test_a_data_directory_that_is_gone(lab: Lab, data: str) -> None:
    """Under a running PostgreSQL, as `rm -r` or a lost disk leaves it. So does a run that was cut off."""
    host = lab.host(lab.group("postgres_metastore")[0])
    host.run_expect([0], f"rm -rf {data}")
    restored(lab)


@pytest.mark.usefixtures("long")
def test_a_link_to_a_folder_that_is_gone(lab: Lab, data: str) -> None:
    host = lab.host(lab.group("postgres_metastore")[0])
    host.run_expect(
        [0], f"systemctl stop 'postgresql@*' && rm -rf {data} && ln -s /srv/elsewhere/main {data}"
    )
    try:
        restored(lab)
        assert host.check_output(f"readlink {data}; stat -c %U:%a /srv/elsewhere/main").split() == [
            "/srv/elsewhere/main",
            "postgres:700",
        ]
    finally:
        host.run_expect(
            [0],
            "systemctl stop 'postgresql@*'; sleep 1;"
            f" if [ -L {data} ]; then rm {data} && mv /srv/elsewhere/main {data}; fi; rm -rf /srv/elsewhere;"
            " systemctl start postgresql",
        )


@pytest.mark.usefixtures("long")
def test_a_mount_point_is_refused_before_anything_stops_and_restored_on_request(lab: Lab, data: str) -> None:
    host = lab.host(lab.group("postgres_metastore")[0])
    mounted = "/srv/metastore-disk"
    host.run_expect(
        [0],
        f"systemctl stop 'postgresql@*' && mv {data} {mounted}"
        f" && install -d -o postgres -g postgres -m 700 {data}"
        f" && mount --bind {mounted} {data} && systemctl start postgresql",
    )
    try:
        problem = refused(lab, "restore.yml", *STOP_AIRFLOW)
        assert f"{data} on" in problem and "-e restore_keep_data=false" in problem
        assert sql(lab, "SELECT number FROM recovery") == "42", "PostgreSQL was stopped"
        assert host.check_output("systemctl is-active airflow-scheduler") == "active"
        restored(lab, "-e", "restore_keep_data=false")
        host.run_expect([0], f"mountpoint -q {data} && test -e {mounted}/PG_VERSION")
    finally:
        host.run_expect(
            [0],
            f"systemctl stop 'postgresql@*'; umount {data} && rmdir {data} && mv {mounted} {data}"
            " && systemctl start postgresql",
        )
