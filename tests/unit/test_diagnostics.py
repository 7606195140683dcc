# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No secret gets into a support bundle, in whatever form it stood in a log; what is none stays readable."""

from __future__ import annotations

import base64
import json
import time
from urllib.parse import quote

import pytest
from ansible_collections.airflowops.cluster.plugins.module_utils.host import diagnostics
from hypothesis import given
from hypothesis import strategies as st

KEY = """-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmU
AAAAEbm9uZQAAAAAA
-----END OPENSSH PRIVATE KEY-----
"""
SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=0x17F), min_size=8, max_size=40)


@given(SECRETS, st.binary(max_size=7))
def test_a_secret_is_taken_out_in_every_form(secret: str, before: bytes) -> None:
    raw = secret.encode()
    shown = [
        raw,
        quote(secret, safe="").encode(),
        json.dumps({"password": secret}).encode(),
        base64.b64encode(raw),
        base64.urlsafe_b64encode(raw),
        base64.b64encode(before + raw + b":"),
        b"AUTH " + raw.hex().encode(),
        repr(secret).encode(),
    ]
    out = diagnostics.scrubber([secret])
    for text in shown:
        clean = diagnostics.scrubbed(b"x " + text + b" y", out)
        for form in (
            raw,
            quote(secret, safe="").encode(),
            raw.hex().encode(),
            json.dumps(secret)[1:-1].encode(),
        ):
            assert form not in clean, (text, clean)
        assert diagnostics.REMOVED in clean


def test_base64_of_a_secret_is_no_more_to_be_decoded() -> None:
    secret = "correct-horse-battery"
    for before in (b"", b"a", b"ab", b"admin:"):
        encoded = base64.b64encode(before + secret.encode())
        clean = diagnostics.scrubbed(encoded, diagnostics.scrubber([secret]))
        # Of what is left, less than a character of the secret at each end.
        left = len(clean.replace(diagnostics.REMOVED, b"").rstrip(b"="))
        assert left <= len(before) * 8 // 6 + 4, (before, clean)


def test_secrets_are_found_by_what_they_are_named() -> None:
    variables = {
        "flower_password": "of-flower",
        "vault_deploy": {"ssh_key": KEY, "user": "deployer"},
        "airflow_connections": {
            "warehouse": {"conn_type": "postgres", "host": "db.example.org", "password": "of-warehouse"},
            "lake": {
                "conn_type": "aws",
                "extra": '{"aws_secret_access_key": "of-lake", "region": "eu-central-1"}',
            },
        },
        "airflow_broker_url": "sentinel://:of-sentinel@a:1;sentinel://:of-second@b:1",
        "cluster_package_environment": {"https_proxy": "http://me:of-proxy@proxy:3128"},
        "airflow_environment": {"LANG": "C.UTF-8", "SALESFORCE": "opaque-value-1"},
        "airflow_dag_bundles": [{"name": "lake", "secret_key": "of-bucket", "access_key": "AKIA123"}],
        "redis_cluster_tls": True,
    }
    found = diagnostics.secrets_in(variables)
    assert found == {
        "of-flower", KEY, "of-warehouse", "of-lake", "of-sentinel", "of-second", "of-proxy", "opaque-value-1",
        "of-bucket", "AKIA123",
    }  # fmt: skip
    whole = diagnostics.secrets_in({"airflow_database_url": "opaque"}, ["airflow_database_url"])
    assert whole == {"opaque"}


def test_each_line_of_a_key_is_a_secret() -> None:
    clean = diagnostics.scrubbed(f"key: {KEY.splitlines()[1]} |".encode(), diagnostics.scrubber([KEY]))
    assert clean == b"key: [REMOVED] |"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (b"postgresql://airflow:hidden@h/db", b"postgresql://airflow:[REMOVED]@h/db"),
        (b"redis://:hidden@h:1/0", b"redis://:[REMOVED]@h:1/0"),
        (b"password = 'hidden'", b"password = '[REMOVED]'"),
        (b'{"client_secret": "hidden"}', b'{"client_secret": "[REMOVED]"}'),
        (b"repo1-cipher-pass=hidden", b"repo1-cipher-pass=[REMOVED]"),
        (KEY.encode(), b"[REMOVED]\n"),
        (b"Authorization: Bearer abc.def", b"Authorization: [REMOVED]"),
        # No secrets: a file's name, an empty value, words.
        (b"LoadCredentialEncrypted=FERNET_KEY:/etc/x", b"LoadCredentialEncrypted=FERNET_KEY:/etc/x"),
        (b"tokens: 12 of 40", b"tokens: 12 of 40"),
        (b"http://127.0.0.1:8080/a@b", b"http://127.0.0.1:8080/a@b"),
        (b"GET /api/v2/version 200", b"GET /api/v2/version 200"),
    ],
)
def test_what_looks_like_a_secret(text: bytes, clean: bytes) -> None:
    assert diagnostics.scrubbed(text, []) == clean


def test_lines_of_a_log_within_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    lines = [
        b"no time yet\n",
        b"2026-01-31 03:59:59.123 UTC [1] LOG: before\n",
        b"2026-01-31 04:00:00.123 UTC [1] ERROR: within\n",
        b"\tof the same\n",
        b'192.0.2.1 - - [31/Jan/2026:05:30:00 +0100] "GET / HTTP/1.1" 200\n',
        b"2026/01/31 04:59:00 [error] of nginx\n",
        b"[2026-01-31T04:59:30.1+0000] of Airflow\n",
        b"2026-01-31 05:00:01 after\n",
        b"\tof the same\n",
    ]
    since = 1769832000
    found = [*diagnostics.in_range(lines, since, since + 3600)]
    assert found == lines[2:7]


def test_of_what_is_too_long_the_newest_is_kept() -> None:
    tail = diagnostics.Tail(10)
    for number in range(50000):
        tail.add(b"%d\n" % number)
    text = tail.value()
    assert text.endswith(b"49998\n49999\n"[-10:])
    assert text.startswith(b"[288880 bytes before this were left out")
    short = diagnostics.Tail(10)
    short.add(b"all of it")
    assert short.value() == b"all of it"


@pytest.mark.parametrize(
    ("text", "words"),
    [("2h", "2 hours ago"), ("30min", "30 minutes ago"), ("3d", "3 days ago"), ("yesterday", "yesterday"),
     # What is left of `-e logs_since='2 hours ago'`.
     ("2", "no time"), ("", "no time")],
)  # fmt: skip
def test_short_words_for_times(text: str, words: str) -> None:
    assert diagnostics.words_of_time(text) == words
