# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environment variables that no service could have are refused before the run, without their values."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.checks import find_problems
from clusters import put, single_node

VARIABLES = ("airflow_environment", "cluster_package_environment")


def found(name: str, value: Any) -> list[str]:
    cluster = single_node()
    put(cluster, name, value)
    return find_problems(cluster)


@pytest.mark.parametrize("name", VARIABLES)
@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"A-B": "x"}, "{} names 'A-B' on one: use letters, digits and _, and begin with no digit"),
        ({"AIRFLOW_HOME": "/x"}, "{} sets AIRFLOW_HOME on one, which the services need as it is: remove it"),
        ({"A": None}, "{} gives A a value that is empty on one: set it to text, in quotes"),
        ({"A": True}, "{} gives A a value that is a truth value on one: set it to text, in quotes"),
        ({"A": 1.1}, "{} gives A a value that is a fractional number on one: set it to text, in quotes"),
        (
            {"A": "geheim\x01"},
            "{} has a control character in A on one: only tabs and line breaks may be there",
        ),
    ],
)
def test_what_no_service_could_have_is_refused(name: str, environment: dict[str, Any], sentence: str) -> None:
    assert found(name, environment) == [sentence.format(name)]


def test_a_workers_own_variables_are_checked_too() -> None:
    workers = [{"name": "q", "queues": ["default"], "concurrency": 1, "environment": {"A": ["x"]}}]
    (problem,) = found("airflow_workers", workers)
    assert problem.startswith("environment of q in airflow_workers gives A a value that is ")


def test_text_of_every_kind_is_accepted() -> None:
    pem = "-----BEGIN CERTIFICATE-----\r\nMII%s$x\n-----END CERTIFICATE-----\n"
    assert found("airflow_environment", {"PEM": pem, "N": 8, "E": "", "Q": "\t'\"\\ {{ ä"}) == []
