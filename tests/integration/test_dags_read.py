# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""airflow_setup.py dags against a real Airflow (SQLite): what is wrong is named, and all else is read."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from test_airflow_dag_run import LOCK, Airflow, airflow_python

SETUP = Path(__file__).resolve().parents[2] / "roles/airflow_common/files/airflow_setup.py"
pytestmark = pytest.mark.skipif(not LOCK.exists(), reason="no lock file of Airflow")

TIMETABLE = """
from airflow.sdk import DAG
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.timetables.base import Timetable
from airflow.task.priority_strategy import PriorityWeightStrategy

class Unregistered(Timetable):
    pass

class Weight(PriorityWeightStrategy):
    def get_weight(self, ti):
        return 1

with DAG("a_timetable", schedule=Unregistered()):
    EmptyOperator(task_id="one")

with DAG("a_weight", schedule=None):
    EmptyOperator(task_id="one", weight_rule=Weight())

with DAG("beside_them", schedule=None):
    EmptyOperator(task_id="one", queue="q9")
"""
BUNDLES = '''
from pathlib import Path
from airflow.dag_processing.bundles.base import BaseDagBundle

class Away(BaseDagBundle):
    """As a store that denies access."""

    def initialize(self):
        raise PermissionError("the store says no")

    path = Path("/nonexistent")

    def get_current_version(self):
        return None

    def refresh(self):
        pass
'''


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> dict:
    airflow = Airflow(airflow_python(), tmp_path_factory.mktemp("read"))
    folder = airflow.home / "dags"
    (folder / "unregistered.py").write_text(TIMETABLE)
    (airflow.home / "lib").mkdir()
    (airflow.home / "lib/away_bundle.py").write_text(BUNDLES)
    local = "airflow.dag_processing.bundles.local.LocalDagBundle"
    bundles = [
        {"name": "away", "classpath": "away_bundle.Away", "kwargs": {}},
        {"name": "here", "classpath": local, "kwargs": {"path": str(folder)}},
    ]
    environment = {
        **airflow.environment,
        "PYTHONPATH": str(airflow.home / "lib"),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
    }
    done = subprocess.run(
        [airflow.python, SETUP, "dags"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_dag_that_cannot_be_serialized_is_named_with_its_file(read: dict) -> None:
    error = read["errors"]["unregistered.py"]
    assert "DAG a_timetable: " in error
    assert "Unregistered" in error
    assert "DAG a_weight: " in error


def test_the_dags_of_all_other_files_are_read(read: dict) -> None:
    # Airflow takes a file with an error as a whole.
    assert "q9" not in read["queues"]
    assert {"good.each", "bad.breaks"} <= set(read["queues"]["q1"])


def test_a_file_that_cannot_be_imported_is_named(read: dict) -> None:
    assert "dag_that_is_not_there" in read["errors"]["broken.py"]


def test_a_bundle_that_cannot_be_read_keeps_no_other_from_it(read: dict) -> None:
    assert read["bundles"] == {"away": "the store says no"}
