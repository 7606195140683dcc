# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""airflow_remote_logs: what Airflow is reported, what of it is secret, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.airflowops.cluster.plugins.plugin_utils.object_store import (
    remote_log_options,
    remote_log_problems,
    remote_log_secrets,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.airflow_options import (
    check_options,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import Problems

PLACE = {
    "s3": "s3://logs/airflow/",
    "endpoint": "https://s3.example.org",
    "access_key": "an-access-key",
    "secret_key": "s3cr3t/Key+of*some-length",
}


def test_what_airflow_is_told() -> None:
    assert remote_log_options(PLACE) == {
        "remote_logging": True,
        "remote_base_log_folder": "s3://logs/airflow",
        "remote_log_conn_id": "airflow_task_logs",
        "delete_local_logs": False,
        "logging_config_class": "airflowops_runtime.remote_logs.LOGGING_CONFIG",
    }
    options = remote_log_options({"s3": "s3://logs", "delete_local": "yes"})
    assert (options["remote_base_log_folder"], options["delete_local_logs"]) == ("s3://logs", True)
    assert remote_log_options({}) == {}


def test_secrets_are_apart() -> None:
    assert PLACE["secret_key"] not in json.dumps(remote_log_options(PLACE))
    (name,) = secrets = remote_log_secrets(PLACE)
    assert name == "AIRFLOW_CONN_AIRFLOW_TASK_LOGS"
    assert json.loads(secrets[name])["password"] == PLACE["secret_key"]
    assert remote_log_secrets({}) == {}


@pytest.mark.parametrize("place", [{}, PLACE, {"s3": "s3://logs", "delete_local": True}, "no dictionary"])
def test_good_ones(place: Any) -> None:
    assert remote_log_problems(place) == []


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ({"endpoint": "https://s3.example.org"}, "has no s3: give it s3://BUCKET/PREFIX"),
        (
            {**PLACE, "acces_key": "x"},
            "has an option acces_key that there is none of (did you mean access_key?)",
        ),
        ({**PLACE, "delete_local": "maybe"}, "has a delete_local that is no truth value"),
    ],
)
def test_bad_ones(place: dict[str, Any], words: str) -> None:
    (problem,) = remote_log_problems(place)
    assert words in problem


def test_sentences() -> None:
    config = {"logging": {"remote_base_log_folder": "gs://x", "logging_level": "DEBUG"}}
    hosts: dict[str, Any] = {
        "m1": {"given": {"airflow_config": config, "airflow_remote_logs": PLACE}},
        "m2": {"given": {"airflow_config": config}, "remote_logs": ["has no s3: give it one"]},
    }
    problems = Problems()
    check_options({"hosts": hosts}, problems)
    assert problems.sentences() == [
        "airflow_config has [logging] remote_base_log_folder on m1, beside airflow_remote_logs, which sets "
        "it: remove one of the two",
        "airflow_remote_logs has no s3 on m2: give it one",
    ]
