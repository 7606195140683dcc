# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is old goes from the metastore, and nobody misses it when that fails."""

from __future__ import annotations

import pytest
from lab import ROOT, Lab
from test_2_verify import run_dag

pytestmark = pytest.mark.topology("single_node")
DAG = "hello_world2"


def sql(lab: Lab, statement: str, database: str = "airflow") -> str:
    host = lab.host(lab.group("postgres_metastore")[0])
    return host.check_output(f'cd / && sudo -u postgres psql -d {database} -Atqc "{statement}"')


def runs(lab: Lab) -> list[str]:
    return sql(lab, f"SELECT run_id FROM dag_run WHERE dag_id = '{DAG}' ORDER BY id").split()


def test_what_is_old_is_removed(lab: Lab) -> None:
    master = lab.host(lab.group("airflow_master")[0])
    clean = "systemctl start airflow-clean.service"
    assert "airflow-clean.timer" in master.check_output("systemctl list-timers --no-legend")
    for _ in range(2):
        assert run_dag(lab, DAG)["state"] == "success"
    *_, old, new = runs(lab)
    sql(lab, f"UPDATE dag_run SET start_date = now() - interval '40 days' WHERE run_id = '{old}'")
    kept = "SELECT count(*) FROM celery_taskmeta"
    assert int(sql(lab, kept, "airflow_results")) > 0
    sql(lab, "UPDATE celery_taskmeta SET date_done = now() - interval '3 days'", "airflow_results")

    # Without a number of days Airflow's own tables are left alone, and nobody gets at them as their owner.
    master.run_expect([0], clean)
    assert sql(lab, kept, "airflow_results") == "0"
    assert {old, new} <= {*runs(lab)}
    assert master.check_output("ls /etc/airflow/owner") == ""

    lab.playbook(ROOT / "site.yml", "--tags", "airflow_master", "-e", "airflow_clean_days=30")
    # It fails loudly.
    sql(lab, "ALTER ROLE airflow_owner NOLOGIN")
    assert master.run(clean).rc != 0
    assert "airflow-clean.service" in master.check_output("systemctl --failed --plain --no-legend")
    sql(lab, "ALTER ROLE airflow_owner LOGIN")
    master.run_expect([0], clean)
    assert old not in runs(lab)
    assert new in runs(lab)
    # Nothing is put aside.
    assert sql(lab, "SELECT count(*) FROM pg_tables WHERE tablename LIKE '%deleted%'") == "0"

    lab.playbook(ROOT / "site.yml", "--tags", "airflow_master")
    assert master.check_output("ls /etc/airflow/owner") == ""
