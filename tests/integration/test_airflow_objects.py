# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""airflow_objects against a real Airflow with the FAB auth manager (SQLite), on loopback."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.airflowops.cluster.plugins.module_utils.airflow.api import AirflowApi
from redis_servers import run_module
from test_airflow_dag_run import LOCK, PASSWORD, Airflow, airflow_python, environment

ROOT = Path(__file__).resolve().parents[2]
SETUP = ROOT / "roles/airflow_common/files/airflow_setup.py"
FAB = {
    "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
    "AIRFLOW__CORE__FERNET_KEY": "A" * 43 + "=",
    "AIRFLOWOPS_USER": "admin",
    "AIRFLOWOPS_EMAIL": "admin@example.org",
    "AIRFLOWOPS_PASSWORD": PASSWORD,
}

pytestmark = pytest.mark.skipif(not LOCK.exists(), reason="no lock file of Airflow")


@pytest.fixture(scope="module")
def fab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    python = airflow_python()
    # Kept for later runs: to migrate takes longer than all tests.
    template = python.parents[1] / "template-fab"
    if not (template / "airflow.db").exists():
        shutil.rmtree(template, ignore_errors=True)
        made = subprocess.run(
            [python, SETUP, "migrate", "user"],
            env={**environment(template, 0), **FAB}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr[-3000:]
        assert PASSWORD not in made.stdout + made.stderr
    airflow = Airflow(python, tmp_path_factory.mktemp("fab"))
    shutil.copy(template / "airflow.db", airflow.home / "airflow.db")
    airflow.environment.update(FAB)
    try:
        airflow.start("api-server")
        airflow.await_api()
        yield airflow
    finally:
        for component in list(airflow.children):
            airflow.kill(component)


def declare(fab: Airflow, check: bool = False, **options: object) -> dict:
    command = ["env", *(f"{name}={value}" for name, value in fab.environment.items())]
    return run_module(
        "airflow_objects",
        check=check,
        url=fab.url,
        username="admin",
        password=PASSWORD,
        export_command=[*command, str(fab.python), str(SETUP), "export"],
        **options,
    )


WISH = {
    "pools": [{"name": "warehouse", "slots": 8, "description": "slow"}],
    "variables": {
        "text": "s3://landing",
        "limits": {"rows": 1000},
        "digits": "0042",
        "api_key": "hunter-two",
    },
    "connections": {
        "warehouse": {
            "conn_type": "postgres", "host": "db", "port": 5432, "login": "etl", "password": "p@ss/w%rd",
            "extra": {"sslmode": "require", "api_token": "deep-secret"},
        }
    },
    "roles": {"analyst": {"DAGs": ["can_read", "can_edit"], "Website": ["can_read"]}},
    "users": [
        {"username": "ann", "password": "ann-pass-1", "email": "ann@example.org", "roles": ["analyst"]},
    ],
}  # fmt: skip
SECRETS = ("hunter-two", "p@ss/w%rd", "deep-secret", "ann-pass-1", PASSWORD)


def test_makes_what_is_declared_once_and_shows_no_secret(fab: Airflow) -> None:
    foreseen = declare(fab, check=True, **WISH)
    first = declare(fab, **WISH)
    assert (
        first.get("steps")
        == foreseen.get("steps")
        == [
            "create pools warehouse",
            "create variables text",
            "create variables limits",
            "create variables digits",
            "create variables api_key",
            "create connections warehouse",
            "create roles analyst",
            "create users ann",
        ]
    ), first
    second = declare(fab, **WISH)
    assert (second["changed"], second["steps"]) == (False, [])
    for result in (foreseen, first, second):
        for secret in SECRETS:
            assert secret not in json.dumps(result)
    # The user may log in, and read what his role says.
    ann = AirflowApi(fab.url, "ann", "ann-pass-1")
    assert ann.get("dags")["dags"] == []


def test_sees_and_mends_what_was_changed_by_hand_secrets_too(fab: Airflow) -> None:
    declare(fab, **WISH)
    admin = AirflowApi(fab.url, "admin", PASSWORD)
    admin.patch("variables/api_key", {"key": "api_key", "value": "something else"})
    admin.patch("pools/warehouse", {"name": "warehouse", "slots": 1, "include_deferred": False})
    admin.patch(
        "connections/warehouse",
        {"connection_id": "warehouse", "conn_type": "postgres", "password": "other"},
        update_mask="password",
    )
    admin.patch("/auth/fab/v1/users/ann", {"password": "another-pass"}, update_mask="password")
    wish = {**WISH, "roles": {"analyst": {"Website": ["can_read"]}}}
    assert declare(fab, **wish)["steps"] == [
        "change pools warehouse: slots",
        "change variables api_key: value",
        "change connections warehouse: password",
        "change roles analyst: permissions",
        "change users ann: password",
    ]
    assert declare(fab, **wish)["steps"] == []
    AirflowApi(fab.url, "ann", "ann-pass-1").log_in()


def test_removes_what_is_not_declared_where_told(fab: Airflow) -> None:
    declare(fab, **WISH)
    admin = AirflowApi(fab.url, "admin", PASSWORD)
    admin.post("pools", {"name": "by hand", "slots": 1})
    assert declare(fab, **WISH)["steps"] == []
    kinds = ["pools", "variables", "connections", "roles", "users"]
    steps = declare(fab, **{**WISH, "variables": {"text": "s3://landing"}}, prune=kinds)["steps"]
    assert steps == [
        "remove variables api_key",
        "remove variables digits",
        "remove variables limits",
        "remove pools by hand",
    ]
    result = declare(fab, prune=kinds)
    assert result.get("steps") == [
        "remove users ann",
        "remove roles analyst",
        "remove connections warehouse",
        "remove variables text",
        "remove pools warehouse",
    ], result
    assert {pool["name"] for pool in admin.get("pools")["pools"]} == {"default_pool"}
    assert declare(fab, prune=kinds)["steps"] == []


def test_an_export_that_does_not_work_is_told(fab: Airflow) -> None:
    result = run_module(
        "airflow_objects", url=fab.url, username="admin", password=PASSWORD,
        variables={"a": 1}, export_command=["sh", "-c", "echo no such thing >&2; exit 3"],
    )  # fmt: skip
    assert result["failed"]
    assert "ended with 3: no such thing" in result["msg"]
