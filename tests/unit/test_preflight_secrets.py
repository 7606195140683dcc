# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets are judged and never shown."""

from __future__ import annotations

import base64
import os
from typing import Any

import pytest
from ansible_collections.airflowops.cluster.plugins.filter import preflight as adapter
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.checks import (
    find_problems,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import (
    SECRETS,
    secret_problem,
)
from clusters import GOOD_SECRET, MULTI_NODE, Cluster, only
from hypothesis import given
from hypothesis import strategies as st

# --- Secrets


GOOD_FERNET = "81HqDtbqAywKSOumSha3BhWNOdQ26slT6K0YaZeZyPs="


@pytest.mark.parametrize("name", [name for name in SECRETS if name != "airflow_fernet_key"])
def test_good_secrets(name: str) -> None:
    assert secret_problem(name, GOOD_SECRET) == ""


@given(st.binary(min_size=32, max_size=32))
def test_keys_as_openssl_makes_them_are_good(key: bytes) -> None:
    text = base64.urlsafe_b64encode(key).decode()
    if len(set(text)) >= 6:
        assert secret_problem("airflow_fernet_key", text) == ""
        assert secret_problem("airflow_fernet_key", f"{text},{GOOD_FERNET}") == ""
        assert secret_problem("redis_cluster_password", text) == ""


@pytest.mark.parametrize("length", [16, 32, 64])
def test_random_secrets_in_hexadecimal_are_good(length: int) -> None:
    for _ in range(100):
        assert secret_problem("airflow_jwt_secret", os.urandom(length).hex()) == ""


PLACEHOLDERS = """
    changeme CHANGE_ME change-me-please ChangeMe123 secret supersecretpassword password password123 example
    xxx xxxxxxxxxxxxxxxxxxxx <your-password> <...> TODO REPLACE_ME replace-this-secret-key aaaaaaaaaaaaaaaa
    abababababababab 1234567890123456 abcdefghijklmnop airflow airflow_jwt_secret redis-cluster-password admin
    default qwerty123
"""


@pytest.mark.parametrize("value", PLACEHOLDERS.split())
@pytest.mark.parametrize("name", ["redis_cluster_password", "airflow_admin_password", "airflow_fernet_key"])
def test_placeholders(name: str, value: str) -> None:
    assert secret_problem(name, value) == "is a placeholder"


@pytest.mark.parametrize(
    "value",
    [
        "correct-horse-battery-staple",
        "!@#$%^&*()1!@#$%^&",
        "8392017483920174",
        "Passage-of-Time-77",
        "tr0ub4dor&3-xkcd",
        "$Ab3dEfGh1jKlMnO",
        "{{8392017483920174",
    ],
)
def test_odd_secrets_that_are_no_placeholders(value: str) -> None:
    assert secret_problem("redis_cluster_password", value) == ""


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "is missing"),
        ("", "is missing"),
        (1234567890123456, "is not text (quote it)"),
        (True, "is not text (quote it)"),
        ([GOOD_SECRET], "is not text (quote it)"),
        (f"{GOOD_SECRET}\n", "begins or ends with white space, which files of configuration do not keep"),
        (
            f"{GOOD_SECRET}\n{GOOD_SECRET}",
            "holds a line break or another control character, which files of configuration cannot hold",
        ),
        ("é" * 400 + GOOD_SECRET * 20, "is longer than 1000 bytes"),
        ("$ANSIBLE_VAULT;1.1;AES256\n6162", "is still encrypted text of ansible-vault"),
        ("{{ lookup('file', 'x') }}", "is a template that was not rendered"),
        ("$(openssl rand -base64 32)", "is a shell expression, which nobody expands"),
        ("openssl rand -hex 32", "is a shell expression, which nobody expands"),
        ("`pwgen 32 1`", "is a shell expression, which nobody expands"),
        ("${REDIS_PASSWORD}", "is a shell expression, which nobody expands"),
        ("$REDIS_PASSWORD", "is a shell expression, which nobody expands"),
        ("Zk3vQ8sLw0pXb7n", "is shorter than 16 characters"),
    ],
)
def test_bad_secrets(value: Any, reason: str) -> None:
    assert secret_problem("redis_cluster_password", value) == reason


@pytest.mark.parametrize(
    "value",
    [
        GOOD_SECRET,
        GOOD_FERNET[:-1],
        GOOD_FERNET.replace("8", "+"),
        f"{GOOD_FERNET},",
        f"{GOOD_FERNET},{GOOD_SECRET}",
        base64.urlsafe_b64encode(bytes(range(16))).decode(),
        base64.urlsafe_b64encode(bytes(range(48))).decode(),
    ],
)
def test_fernet_keys_of_the_wrong_form(value: str) -> None:
    assert secret_problem("airflow_fernet_key", value).startswith(
        "is not a Fernet key, which is 32 bytes in url-safe"
    )


@given(
    st.one_of(
        st.text(), st.integers(), st.none(), st.lists(st.text()), st.text("openslrad0123 $({<", max_size=90)
    )
)
def test_no_verdict_fails_or_shows_the_value(value: Any) -> None:
    for name in SECRETS:
        reason = secret_problem(name, value)
        assert not isinstance(value, str) or len(value) < 12 or value not in reason


@pytest.mark.parametrize("name", SECRETS)
def test_a_missing_secret_is_told_with_the_way_to_make_one(cluster: Cluster, name: str) -> None:
    for entry in cluster["hosts"].values():
        entry["secrets"][name] = "is missing"
    needed = sorted({host for role in SECRETS[name].roles for host in MULTI_NODE[role]})
    assert only(cluster) == (
        f"{name} is missing on {', '.join(needed)}: make one with `{SECRETS[name].command}` "
        "and put it into group_vars/all/secrets.yml, encrypted with ansible-vault"
    )


def test_a_secret_that_differs_between_hosts(cluster: Cluster) -> None:
    cluster["fingerprints"]["airflow_fernet_key"]["worker2"] = "other"
    assert only(cluster) == (
        "airflow_fernet_key on worker2 is not the one of the other hosts: "
        "set it once, in group_vars/all/secrets.yml, encrypted with ansible-vault"
    )


def test_a_secret_may_differ_where_it_is_not_used(cluster: Cluster) -> None:
    cluster["fingerprints"]["flower_password"]["db1"] = "other"
    assert find_problems(cluster) == []


def test_an_unknown_secret_is_an_error_of_the_caller() -> None:
    with pytest.raises(Exception, match="knows no secret of the name x"):
        adapter.secret_problem("value", "x")
