# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DAGs from an object store, to which the logs of their tasks go: moto's, on this machine. It goes away."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from lab import Lab, changed, wait_until
from moto_store import Store
from test_2_verify import run_dag

pytestmark = pytest.mark.usefixtures("long")

DAG = """
from airflow.sdk import DAG
from airflow.providers.standard.operators.python import PythonOperator
from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync

def where():
    print("ran from", __file__)

with DAG(dag_id="{dag}", schedule=None):
    # Deferred once, so that a triggerer has a log to write.
    wait = DateTimeSensorAsync(
        task_id="wait", target_time="{{{{ macros.datetime.now() }}}}", queue="cloudwalker_q2"
    )
    wait >> PythonOperator(task_id="where", python_callable=where, queue="cloudwalker_q2")
"""


@pytest.fixture(scope="module")
def store(lab: Lab) -> Iterator[Store]:
    # This machine, as the hosts see it.
    route = lab.host(lab.group("airflow_master")[0]).check_output("ip route show default")
    store = Store(route.split()[2])
    for bucket in ("dags", "logs"):
        store.s3.create_bucket(Bucket=bucket)
    store.put("dags", "etl/lab_lake.py", DAG.format(dag="lab_lake"))
    yield store
    store.end()
    lab.playbook("site.yml")


def site(lab: Lab, store: Store, check: bool = True, **changes: str) -> str:
    inputs = {
        "airflow_dag_bundles": [{"name": "lake", **store.place("s3://dags/etl", **changes), "refresh": 5}],
        "airflow_remote_logs": store.place("s3://logs/airflow"),
    }
    return lab.playbook("site.yml", "-e", json.dumps(inputs), check=check)


def known(lab: Lab, dag: str) -> bool:
    return dag in [entry["dag_id"] for entry in lab.airflow.get_all("dags", "dags", order_by="dag_id")]


def runners(lab: Lab) -> list[str]:
    return sorted({*lab.group("airflow_master"), *lab.group("airflow_worker")})


def log(lab: Lab, run: dict[str, Any], task: str) -> str:
    path = f"dags/{run['dag_id']}/dagRuns/{run['run_id']}/taskInstances/{task}/logs/1"
    return json.dumps(lab.airflow.get(path, full_content="true"))


def test_what_cannot_be_read_is_named(lab: Lab, store: Store) -> None:
    reported = " ".join(site(lab, store, check=False, endpoint=f"{store.url.rpartition(':')[0]}:9").split())
    assert "Nothing was changed. To be corrected: - " in reported
    assert ":9, which airflow_dag_bundles names, cannot be reached" in reported
    reported = " ".join(site(lab, store, check=False, secret_key="another-key-than-its-own").split())
    assert "lake: An error occurred (SignatureDoesNotMatch)" in reported
    reported = " ".join(site(lab, store, check=False, s3="s3://none-of-it").split())
    assert "lake: An error occurred (NoSuchBucket)" in reported


def test_dags_of_the_store_run(lab: Lab, store: Store) -> None:
    site(lab, store)
    assert changed(site(lab, store)) == 0
    wait_until("lab_lake is known", lambda: known(lab, "lab_lake"), timeout=90)
    assert run_dag(lab, "lab_lake")["state"] == "success"


def test_what_is_put_there_arrives_by_itself(lab: Lab, store: Store) -> None:
    store.put("dags", "etl/lab_second.py", DAG.format(dag="lab_second"))
    wait_until("the new DAG is known", lambda: known(lab, "lab_second"), timeout=90)
    assert run_dag(lab, "lab_second")["state"] == "success"
    store.s3.delete_object(Bucket="dags", Key="etl/lab_second.py")
    wait_until("the DAG is gone", lambda: not known(lab, "lab_second"), timeout=120)


def test_logs_outlive_their_hosts(lab: Lab, store: Store) -> None:
    run = {"dag_id": "lab_lake", **run_dag(lab, "lab_lake")}
    prefix = f"airflow/dag_id=lab_lake/run_id={run['run_id']}/"

    def there() -> set[str]:
        found = store.s3.list_objects_v2(Bucket="logs", Prefix=prefix).get("Contents", [])
        return {entry["Key"].removeprefix(prefix).split(".trigger")[0] for entry in found if entry["Size"]}

    wanted = {"task_id=wait/attempt=1.log", "task_id=where/attempt=1.log"}
    wait_until("both logs are in the store", lambda: there() == wanted, timeout=30)
    assert len(store.s3.list_objects_v2(Bucket="logs", Prefix=f"{prefix}task_id=wait/")["Contents"]) == 2
    for host in runners(lab):
        lab.host(host).check_output("rm -rf /var/log/airflow/dag_id=lab_lake")
    assert "ran from /var/lib/airflow/bundles/lake/dags/lab_lake.py" in log(lab, run, "where")


def test_a_store_that_is_away_takes_nothing(lab: Lab, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    # It takes connections and says nothing: who asks waits until he gives up.
    store.server.send_signal(signal.SIGSTOP)
    try:
        for host in runners(lab):
            lab.host(host).check_output("systemctl try-restart airflow-dag-processor 'airflow-worker@*'")
        run = {"dag_id": "lab_lake", **run_dag(lab, "lab_lake")}
        assert run["state"] == "success"
        assert known(lab, "lab_lake")
        # The API server gives up after 20 s.
        monkeypatch.setattr(lab.airflow, "timeout", 60)
        shown = wait_until("the log is read", lambda: log(lab, run, "where"), timeout=120)
        assert "The store of the logs cannot be read" in shown
        assert "ran from /var/lib/airflow/bundles/lake/dags/lab_lake.py" in shown
    finally:
        store.server.send_signal(signal.SIGCONT)


def test_no_key_is_on_a_disk(lab: Lab, store: Store) -> None:
    for host in runners(lab):
        found = lab.host(host).run("grep -rIlF %s /etc /opt /var /tmp /home /usr/local", store.secret_key)
        assert found.stdout == ""
