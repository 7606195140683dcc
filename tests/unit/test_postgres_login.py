# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a URL leads to, and what a server is told. A real one: tests/integration/test_postgres_probe.py."""

from __future__ import annotations

import hashlib
import ssl

import pytest
from ansible_collections.airflowops.cluster.plugins.module_utils.postgres.login import (
    LoginError,
    Scram,
    error_fields,
    md5_password,
    parse_url,
    tls_context,
)


def test_a_url_with_one_server() -> None:
    target = parse_url("postgresql+psycopg2://air%40flow:p%2Fw@db.example.org:6432/meta?sslmode=require")
    assert target.servers == [("db.example.org", 6432)]
    assert (target.user, target.password, target.database) == ("air@flow", "p/w", "meta")
    assert target.options == {"sslmode": "require"}


@pytest.mark.parametrize("query", ["host=a:5433&host=b", "host=a:5433,b:5432&target_session_attrs=primary"])
def test_a_url_with_several_servers(query: str) -> None:
    assert parse_url(f"postgresql://u:p@/airflow?{query}").servers == [("a", 5433), ("b", 5432)]


@pytest.mark.parametrize(
    ("url", "problem"), [("postgresql:///airflow", "no host"), ("postgresql://h:port/airflow", "no number")]
)
def test_a_url_that_leads_nowhere(url: str, problem: str) -> None:
    with pytest.raises(LoginError, match=problem):
        parse_url(url)


def test_the_proof_is_that_of_the_standard() -> None:
    """RFC 7677, section 3, whose client names itself, which PostgreSQL's does not."""
    scram = Scram("pencil")
    scram.first = "n=user,r=rOprNGfwEbeRWgbNEkqO"
    answer = scram.answer(
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    assert answer.endswith(",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")


def test_md5() -> None:
    """Of `passworduser`, the sum is 4d45974e13472b5a0be3533de4666414."""
    outer = hashlib.md5(b"4d45974e13472b5a0be3533de4666414" + b"1234", usedforsecurity=False)
    assert md5_password("user", "password", b"1234") == "md5" + outer.hexdigest()


def test_an_error_of_the_server() -> None:
    body = b"SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed\0\0"
    assert error_fields(body)["C"] == "28P01"
    assert error_fields(body)["M"] == "password authentication failed"


@pytest.mark.parametrize(
    ("mode", "verified", "named"),
    [
        ("prefer", ssl.CERT_NONE, False),
        ("require", ssl.CERT_NONE, False),
        ("verify-ca", ssl.CERT_REQUIRED, False),
        ("verify-full", ssl.CERT_REQUIRED, True),
    ],
)
def test_tls_as_libpq_reads_it(mode: str, verified: ssl.VerifyMode, named: bool) -> None:
    context = tls_context({"sslmode": mode})
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (verified, named)


def test_no_tls() -> None:
    assert tls_context({"sslmode": "disable"}) is None
