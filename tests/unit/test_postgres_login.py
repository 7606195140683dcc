# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What libpq gets of a URL. A real server: tests/integration/test_postgres_probe.py."""

from __future__ import annotations

import pytest
from ansible_collections.airflowops.cluster.plugins.module_utils.postgres.login import (
    LoginError,
    connection_parameters,
)


def test_a_url_with_one_server() -> None:
    url = "postgresql+psycopg2://air%40flow:p%2Fw@db.example.org:6432/meta?sslmode=require"
    assert connection_parameters(url) == {
        "host": "db.example.org",
        "port": "6432",
        "user": "air@flow",
        "password": "p/w",
        "dbname": "meta",
        "sslmode": "require",
    }


@pytest.mark.parametrize("query", ["host=a:5433&host=b", "host=a:5433,b:5432&target_session_attrs=primary"])
def test_a_url_with_several_servers(query: str) -> None:
    found = connection_parameters(f"postgresql://u:p@/airflow?{query}")
    assert (found["host"], found["port"]) == ("a,b", "5433,5432")
    assert found.get("target_session_attrs", "primary") == "primary"


@pytest.mark.parametrize("host", ["[fd00::1]:5433", "?host=fd00::1"])
def test_an_address_of_ipv6(host: str) -> None:
    server, _mark, query = host.partition("?")
    found = connection_parameters(f"postgresql://u:p@{server}/airflow?{query}")
    assert (found["host"], found["port"]) == ("fd00::1", "5433" if server else "5432")


@pytest.mark.parametrize(
    ("url", "problem"),
    [("postgresql:///airflow", "no host"), ("postgresql://h:port/airflow", "not a number")],
)
def test_a_url_that_leads_nowhere(url: str, problem: str) -> None:
    with pytest.raises(LoginError, match=problem):
        connection_parameters(url)
