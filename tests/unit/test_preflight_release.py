# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The version of Airflow that is wanted, and the one in use."""

from __future__ import annotations

import pytest
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.checks import (
    find_problems,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.providers import provider_needs
from clusters import Cluster, in_use, only

# --- Airflow's version


@pytest.mark.parametrize(
    ("version", "change"),
    [
        ("3.3.2", ""),
        ("3.3.2", "upgrade"),
        ("3.3.1", "upgrade"),
        ("2.11.0", "upgrade"),
        ("3.10.0", "rollback"),
    ],
)
def test_versions_that_are_accepted(cluster: Cluster, version: str, change: str) -> None:
    assert find_problems(in_use(cluster, version, change)) == []


@pytest.mark.parametrize(
    ("version", "change", "playbook"),
    [
        ("3.3.1", "", "airflow_upgrade"),
        ("3.3.1", "rollback", "airflow_upgrade"),
        ("3.10.0", "", "airflow_rollback"),
        ("3.3.3", "upgrade", "airflow_rollback"),
        ("3.3.2rc1", "rollback", "airflow_upgrade"),
        ("main", "", "airflow_"),
    ],
)
def test_a_version_that_is_changed_in_another_way(
    cluster: Cluster, version: str, change: str, playbook: str
) -> None:
    (problem,) = find_problems(in_use(cluster, version, change, hosts=("worker1", "master2")))
    assert f"airflow_version is 3.3.2, but Airflow {version} is in use on master2, worker1" in problem
    assert f"airflowops.cluster.{playbook}" in problem
    assert f'set airflow_version to "{version}"' in problem


def test_an_upgrade_that_was_cut_off_goes_on(cluster: Cluster) -> None:
    in_use(cluster, "3.3.2", "upgrade")
    assert find_problems(in_use(cluster, "3.3.1", "upgrade", hosts=("worker1",))) == []


def test_a_lock_file_without_what_the_inventory_asks_for(cluster: Cluster) -> None:
    needs = provider_needs(
        [
            {"name": "pond", "s3": "s3://dags"},
            {"name": "sea", "classpath": "airflow.providers.common.sql.Bundle"},
            {"name": "own", "classpath": "own.Bundle"},
            "none",
        ],
        {},
        {"backend": "airflow.providers.amazon.aws.secrets.X", "worker_backend": "own.Backend"},
    )
    common = ["apache-airflow-providers-common-sql", "amazon"]
    for host in cluster["hosts"].values():
        host["release"].update(needs=needs, packages=["apache-airflow-providers-amazon", *common])
    assert find_problems(cluster) == []
    for host in cluster["hosts"].values():
        host["release"].update(packages=common)
    of_bundles, of_secrets = find_problems(cluster)
    assert "airflow_dag_bundles needs airflow.providers.amazon.aws.bundles.s3.S3DagBundle" in of_bundles
    assert "add its package, apache-airflow-providers-amazon" in of_bundles
    assert "airflow_secrets_backend needs airflow.providers.amazon.aws.secrets.X" in of_secrets
    for host in cluster["hosts"].values():
        host["release"].update(needs=provider_needs([], {"s3": "s3://logs"}, {}))
    assert only(cluster).startswith("airflow_remote_logs needs airflow.providers.amazon.aws.log")


OAUTH_PROVIDER = {
    "name": "company",
    "remote_app": {
        "client_id": "airflow",
        "server_metadata_url": "https://id.example.org/openid-configuration",
    },
}


def test_a_login_that_takes_a_package_which_is_not_locked(cluster: Cluster) -> None:
    config = {"AUTH_TYPE": "AUTH_OAUTH", "OAUTH_PROVIDERS": [OAUTH_PROVIDER]}
    for host in cluster["hosts"].values():
        host["given"] = {"airflow_auth_config": config}
        host["release"].update(packages=["apache-airflow", "authlib-extra"])
    assert "needs the package authlib, and nothing in /locks/airflow-3.3.2.txt has it" in only(cluster)
    for host in cluster["hosts"].values():
        host["release"]["packages"].append("authlib")
    assert find_problems(cluster) == []


def test_a_lock_file_that_is_not_there(cluster: Cluster) -> None:
    for host in cluster["hosts"].values():
        host["release"].update(lock_file="/locks/airflow-3.3.2.txt", lock_there=False)
    (problem,) = find_problems(cluster)
    assert "airflow_lock_file names /locks/airflow-3.3.2.txt" in problem
