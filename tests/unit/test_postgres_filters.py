# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What PostgreSQL is sent."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from ansible_collections.airflowops.cluster.plugins.filter.postgres import scram_verifier, sql_quote


@pytest.mark.parametrize(
    ("value", "quoted"), [("airflow", "'airflow'"), ("O'Brien", "'O''Brien'"), ("", "''"), ("a\\b", "'a\\b'")]
)
def test_a_text_becomes_a_literal(value: str, quoted: str) -> None:
    assert sql_quote(value) == quoted


def test_a_server_with_the_verifier_accepts_the_password_and_no_other() -> None:
    """The server's side of RFC 5802, section 3, as PostgreSQL does it."""
    head, keys = (
        scram_verifier("a password", "airflow").split(":")[0],
        scram_verifier("a password", "airflow"),
    )
    assert head == "SCRAM-SHA-256$4096"
    salt, rest = keys.removeprefix(head + ":").split("$")
    stored = base64.b64decode(rest.split(":")[0])

    def accepts(password: str) -> bool:
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), 4096)
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(stored, b"what both have said", "sha256")
        proof = bytes(
            a ^ b
            for a, b in zip(
                client_key,
                hmac.digest(hashlib.sha256(client_key).digest(), b"what both have said", "sha256"),
                strict=True,
            )
        )
        return hashlib.sha256(bytes(a ^ b for a, b in zip(proof, signature, strict=True))).digest() == stored

    assert accepts("a password")
    assert not accepts("another password")


def test_a_verifier_is_the_same_on_every_run_and_another_for_each_role() -> None:
    assert scram_verifier("secret", "airflow") == scram_verifier("secret", "airflow")
    assert scram_verifier("secret", "airflow") != scram_verifier("secret", "airflow_owner")
    assert "secret" not in scram_verifier("secret", "airflow")
