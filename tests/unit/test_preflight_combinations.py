# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several inputs say together."""

from __future__ import annotations

import pytest
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight import option_data
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.checks import (
    find_problems,
)
from inputs_data import HOST, cluster_with

# --- What several inputs say together


def with_metastore(revision: str, in_use: str = "", change: str = "") -> list[str]:
    cluster = cluster_with()
    cluster["roles"]["postgres_metastore"]["hosts"] = []
    server = {"problem": "", "server": "db:5432", "server_version": "15.4", "read_only": False}
    cluster["hosts"][HOST]["database"] = {"airflow_database_url": {**server, "revision": revision}}
    cluster["hosts"][HOST]["release"].update(in_use=in_use, change=change)
    return find_problems(cluster)


@pytest.mark.parametrize(
    ("revision", "says"),
    [
        ("0123456789ab", "a version that Airflow 3.3.2 does not know (revision 0123456789ab)"),
        ("5f2621c13b39", "Airflow 2.10.3 or a version near it"),
        ("29ce7909c52b", "Airflow 3.0.0 or a version near it"),
    ],
)
def test_a_new_installation_leaves_the_metastore_of_another_one_alone(revision: str, says: str) -> None:
    (found,) = with_metastore(revision)
    assert found.startswith("airflow_database_url on one leads to a database with the tables of " + says)
    # The collection's own: a run after an interrupted upgrade, and the playbooks that change the version.
    assert with_metastore(revision, in_use="3.3.2") == []
    assert with_metastore(revision, change="upgrade") == []


def test_an_empty_database_and_one_of_the_same_version_are_accepted() -> None:
    assert with_metastore("") == []
    assert with_metastore(option_data.load("airflow", "3.3.2")["revision"]) == []


def test_a_host_whose_name_is_too_long_for_a_certificate() -> None:
    name = "a-host-of-a-cloud." + "x" * 50
    cluster = cluster_with()
    cluster["hosts"] = {name: cluster["hosts"][HOST]}
    for entry in cluster["roles"].values():
        entry["hosts"] = [name]
    cluster["fingerprints"] = {}
    cluster["inventory_groups"] = {}
    found = [text for text in find_problems(cluster) if "common name" in text]
    assert len(found) == 1
    assert name in found[0]


def test_sqs_needs_its_packages_and_no_flower() -> None:
    cluster = cluster_with(airflow_broker_url="sqs://")
    cluster["hosts"][HOST]["release"]["packages"] = ["apache-airflow-core"]
    found = [text for text in find_problems(cluster) if "sqs" in text]
    assert ["boto3 and urllib3" in text or "Flower" in text for text in found] == [True, True], found
    cluster["hosts"][HOST]["release"]["packages"] += ["boto3", "urllib3"]
    cluster["roles"]["flower"]["hosts"] = []
    assert not [text for text in find_problems(cluster) if "sqs" in text]


@pytest.mark.parametrize("name", ["café/x", "x" * 81])
def test_a_queue_that_sqs_does_not_take(name: str) -> None:
    workers = [{"name": "a", "queues": [name], "concurrency": 1}]
    assert not [text for text in find_problems(cluster_with(airflow_workers=workers)) if "SQS" in text]
    cluster = cluster_with(airflow_workers=workers, airflow_broker_url="sqs://")
    assert [text for text in find_problems(cluster) if "Amazon SQS takes" in text]
