# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host of Airflow runs, and which secrets it and its services have."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.airflowops.cluster.plugins.plugin_utils.roles import (
    airflow_credentials as credentials,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.roles import units
from ansible_collections.airflowops.cluster.plugins.plugin_utils.roles.airflow_services import (
    ROLES,
    service_units,
    services,
)

ROOT = Path(__file__).parents[2]
SETTINGS: dict[str, Any] = {
    "host": "worker1",
    "base_path": "/sub",
    "api_port": 8080,
    "api_workers": 1,
    "execution_port": 8081,
    "execution_workers": 2,
    "scheduler_port": 8974,
    "proxies": ["192.0.2.51"],
    "jwt_rotation": False,
    "workers": [],
    "log_port": 8793,
    "stop_timeout": 600,
    "watchdog": 120,
    "flower_port": 5555,
}
PLAIN: dict[str, Any] = {
    "broker_secret_options": {},
    "dag_bundles": [],
    "bundle_directory": "/etc/airflow/bundles",
    "remote_logs": {},
    "secrets_backend": {},
    "auth_config": {},
    "environment": {},
    "package_environment": {},
}
FULL: dict[str, Any] = {
    "broker_secret_options": {"sentinel_kwargs": {"password": "of the sentinel"}},
    "dag_bundles": [{"name": "etl", "git": "git@example.org:etl.git", "ssh_key": "KEY"}],
    "bundle_directory": "/etc/airflow/bundles",
    "remote_logs": {"s3": "s3://logs", "access_key": "a", "secret_key": "b"},
    "secrets_backend": {"backend": "a.Backend", "worker_backend": "b.Backend"},
    "auth_config": {"AUTH_TYPE": "AUTH_LDAP", "AUTH_LDAP_SERVER": "ldaps://ldap.example.org"},
    "environment": {"TOKEN": "abc", "TZ": "UTC"},
    "package_environment": {"UV_INDEX_URL": "https://pypi.example.org", "N": 3},
}
# What the workers of a host have as secrets; masters have more.
OF_WORKERS = {
    "AIRFLOWOPS_ENVIRONMENT",
    "AIRFLOWOPS_KEY_ETL",
    "AIRFLOW_CONN_AIRFLOWOPS_ETL",
    "AIRFLOW_CONN_AIRFLOW_TASK_LOGS",
    "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__SENTINEL_KWARGS",
    "AIRFLOW__WORKERS__SECRETS_BACKEND",
    "AIRFLOW__WORKERS__SECRETS_BACKEND_KWARGS",
}


def workers_of(inventory: str) -> dict[str, list[dict[str, Any]]]:
    """{host: airflow_workers} of an inventory."""
    hosts = yaml.safe_load((ROOT / inventory).read_text(encoding="utf-8"))["all"]
    group = hosts["children"]["airflow_worker"]["hosts"]
    common = hosts.get("vars", {}).get("airflow_workers", [])
    return {name: (own or {}).get("airflow_workers", common) for name, own in group.items()}


def by_unit(role: str, inputs: dict[str, Any] = PLAIN, **settings: Any) -> dict[str, dict[str, Any]]:
    return {service["unit"]: service for service in services(role, {**SETTINGS, **settings}, inputs)}


# --- Services


def test_a_master_runs_each_of_its_services_once() -> None:
    assert [*by_unit("airflow_master")] == [units.master_unit(name) for name in units.MASTER_SERVICES]


@pytest.mark.parametrize(
    "inventory",
    [
        "inventories/prod/hosts.yml",
        "molecule/multi_node/inventory/hosts.yml",
        "molecule/single_node/inventory/hosts.yml",
    ],
)
def test_each_worker_of_the_inventory_has_a_unit_that_serves_its_queues(inventory: str) -> None:
    for host, workers in workers_of(inventory).items():
        assert workers
        found = by_unit("airflow_worker", workers=workers, host=host)
        assert [*found] == [
            "airflow-task-logs.service",
            *(f"airflow-worker@{w['name']}.service" for w in workers),
        ]
        for worker in workers:
            command = found[f"airflow-worker@{worker['name']}.service"]["command"]
            assert command == (
                f"airflow celery worker --celery-hostname {worker['name']}@{host} "
                f'--queues "{",".join(worker["queues"])}" --concurrency {worker["concurrency"]} '
                "--skip-serve-logs --without-mingle --without-gossip"
            )


def test_a_worker_has_what_its_entry_says() -> None:
    worker = {
        "name": "gpu",
        "queues": ["a b", "c$"],
        "autoscale": {"min": 1, "max": 5},
        "memory_max": "4G",
        "sandbox": False,
    }
    service = by_unit("airflow_worker", workers=[worker])["airflow-worker@gpu.service"]
    assert '--queues "a b,c$$" --autoscale 5,1 ' in service["command"]
    assert (service["memory_max"], service["sandbox"], service["cache"]) == ("4G", False, True)
    assert (service["stop_timeout"], service["watchdog"]) == (600, 120)
    assert "cpu_weight" not in service and "ready" not in service


def test_a_workers_own_variables_win_over_those_of_all() -> None:
    worker = {"name": "w", "queues": ["q"], "concurrency": 1, "environment": {"A": 1, "B": 2}}
    assert by_unit("airflow_worker", workers=[worker])["airflow-worker@w.service"]["environment"] == {
        "A": 1,
        "B": 2,
    }
    service = by_unit("airflow_worker", FULL, workers=[worker])["airflow-worker@w.service"]
    assert service["environment"]["AIRFLOWOPS_WORKER_ENV_NAMES"] == "A B"
    bare = {"name": "w", "queues": ["q"], "concurrency": 1}
    service = by_unit("airflow_worker", FULL, workers=[bare])["airflow-worker@w.service"]
    assert service["environment"] == {}


def test_the_api_servers_find_the_keys_of_a_rotation() -> None:
    for rotation in (False, True):
        for name in ("api-server", "execution-api"):
            service = by_unit("airflow_master", jwt_rotation=rotation)[units.master_unit(name)]
            assert ("AIRFLOW__API_AUTH__TRUSTED_JWKS_URL" in service["credential_paths"]) is rotation
            assert "AIRFLOWOPS_JWKS" in service["credentials"]


def test_the_ui_alone_reads_how_people_log_in() -> None:
    found = by_unit("airflow_master", FULL)
    assert [name for name, service in found.items() if "AIRFLOWOPS_AUTH" in service["credentials"]] == [
        "airflow-api-server.service"
    ]
    server = found["airflow-api-server.service"]
    assert server["environment"]["AIRFLOWOPS_APPEND_SYSPATH"] == "/usr/lib/python3/dist-packages"
    assert server["environment"]["FORWARDED_ALLOW_IPS"] == "192.0.2.51"
    assert server["credential_paths"] == {"AIRFLOW__FAB__CONFIG_FILE": "AIRFLOWOPS_AUTH"}
    assert (
        by_unit("airflow_master")["airflow-api-server.service"]["environment"]["AIRFLOWOPS_APPEND_SYSPATH"]
        == ""
    )


@pytest.mark.parametrize("inputs", [PLAIN, FULL])
@pytest.mark.parametrize("role", ROLES)
def test_a_service_reads_no_credential_that_its_host_lacks(role: str, inputs: dict[str, Any]) -> None:
    worker = {"name": "w", "queues": ["q"], "concurrency": 1}
    # What stands in the role, as every cluster has it.
    text = (ROOT / "roles/airflow_common/vars/main/configuration.yml").read_text(encoding="utf-8")
    fixed = {*re.findall(r"\b(AIRFLOW__[A-Z_]+|AIRFLOWOPS_JWKS)\b", text)}
    there = fixed | {*credentials.optional_credentials(inputs, [role])}
    for service in services(role, {**SETTINGS, "workers": [worker]}, inputs):
        assert {*service["credentials"], *service["other_credentials"]} <= there, service["unit"]
        assert {*service.get("credential_paths", {}).values()} <= {*service["credentials"]}


def test_no_worker_reads_the_metastore_s_password() -> None:
    worker = {"name": "w", "queues": ["q"], "concurrency": 1}
    for service in services("airflow_worker", {**SETTINGS, "workers": [worker]}, FULL):
        named = {*service["credentials"]}
        assert named.isdisjoint({*credentials.DATABASE, credentials.FERNET, credentials.JWT}), service["unit"]


def test_a_unit_is_stale_when_its_files_or_credentials_change() -> None:
    found = services("flower", SETTINGS, FULL)
    assert service_units(found, ["/etc/airflow/airflow.cfg"], "/etc/airflow/credentials") == [
        {
            "name": "flower.service",
            "files": [
                "/etc/airflow/airflow.cfg",
                "/etc/airflow/credentials/AIRFLOWOPS_ENVIRONMENT",
                "/etc/airflow/credentials/AIRFLOW__CELERY__BROKER_URL",
                "/etc/airflow/credentials/AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__SENTINEL_KWARGS",
                "/etc/airflow/credentials/AIRFLOW__CELERY__FLOWER_BASIC_AUTH",
            ],
        }
    ]


# --- Credentials


def test_a_host_has_the_credentials_of_its_roles_alone() -> None:
    assert credentials.optional_credentials(PLAIN, ["airflow_master", "airflow_worker", "flower"]) == {}
    worker = credentials.optional_credentials(FULL, ["airflow_worker"])
    assert {*worker} == OF_WORKERS | {"AIRFLOWOPS_PACKAGES"}
    master = credentials.optional_credentials(FULL, ["airflow_master"])
    assert {*master} == OF_WORKERS | {
        "AIRFLOWOPS_AUTH",
        "AIRFLOW__SECRETS__BACKEND",
        "AIRFLOW__SECRETS__BACKEND_KWARGS",
    }
    flower = credentials.optional_credentials(FULL, ["flower"])
    assert {*flower} == {"AIRFLOWOPS_ENVIRONMENT", credentials.SENTINEL}


def test_what_a_process_gets_as_environment_is_text() -> None:
    found = credentials.optional_credentials(FULL, ["airflow_worker"])
    assert json.loads(found["AIRFLOWOPS_PACKAGES"]) == {"UV_INDEX_URL": "https://pypi.example.org", "N": "3"}
    assert json.loads(found["AIRFLOWOPS_ENVIRONMENT"]) == {"TOKEN": "abc"}
    assert json.loads(found[credentials.SENTINEL]) == {"password": "of the sentinel"}


def test_what_is_not_wanted_any_more_is_removed() -> None:
    files = credentials.credential_files({"AIRFLOWOPS_PACKAGES": "{}"}, "/c", {})
    assert files[0] == {
        "path": "/c/AIRFLOWOPS_PACKAGES",
        "secret_content": "{}",
        "encrypted": True,
        "part": "airflow",
    }
    assert [file["path"] for file in files[1:]] == [
        f"/c/{name}" for name in credentials.OPTIONAL if name != "AIRFLOWOPS_PACKAGES"
    ]
    assert all(file["absent"] for file in files[1:])


def test_logins_of_our_own_servers_do_not_go_back() -> None:
    secrets = {name: "x" for names in credentials.LOGINS.values() for name in names}
    own = {"metastore": True, "results": False, "broker": True}
    parts = {
        file["path"]: file["part"] for file in credentials.credential_files(secrets, "/c", own, unwanted=[])
    }
    assert parts == {
        **{f"/c/{name}": "logins" for name in (*credentials.DATABASE, credentials.BROKER)},
        f"/c/{credentials.RESULTS}": "airflow",
    }


# --- URLs and keys


@pytest.mark.parametrize(
    ("rotation", "user"), [({}, "airflow"), ({"next": "n"}, "airflow"), ({"previous": "p"}, "airflow_next")]
)
def test_in_a_rotation_the_second_role_logs_in_with_the_new_password(
    rotation: dict[str, str], user: str
) -> None:
    url = credentials.metastore_url("airflow", "p/w@:", "db", "127.0.0.1:15432", "/ca.crt", rotation)
    assert url == (
        f"postgresql://{user}:p%2Fw%40%3A@127.0.0.1:15432/db?sslmode=verify-ca&sslrootcert=/ca.crt"
    )


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg2"])
def test_whatever_driver_a_url_names_the_tested_one_is_used(scheme: str) -> None:
    assert credentials.sqlalchemy_url(f"{scheme}://u:p@db/a") == "postgresql+psycopg2://u:p@db/a"
    assert credentials.sqlalchemy_url(f"{scheme}://u:p@db/a", "psycopg") == "postgresql+psycopg://u:p@db/a"


def test_the_url_of_another_database_stays_as_it_is() -> None:
    url = "mysql://u:postgres://@db/a"
    assert credentials.sqlalchemy_url(url) == url


def test_keys_have_names_and_the_old_one_serves_tokens_without() -> None:
    new, old = credentials.key_id("new"), credentials.key_id("old")
    assert len(new) == 8
    assert credentials.jwt_keys("new", {}) == {"not-used": "new", new: "new"}
    assert credentials.jwt_keys("new", {"previous": "old"}) == {"not-used": "old", new: "new", old: "old"}
    assert credentials.jwt_keys("old", {"next": "new"}) == {"not-used": "old", old: "old", new: "new"}
