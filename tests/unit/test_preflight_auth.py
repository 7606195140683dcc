# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""airflow_auth_config: what is refused, and the file that Flask AppBuilder reads."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.airflowops.cluster.plugins.filter.topology import python_settings
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.auth import (
    auth_problems,
    check_auth,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import Problems

LDAP = {
    "AUTH_TYPE": "AUTH_LDAP",
    "AUTH_LDAP_SERVER": "ldaps://ldap.example.org",
    "AUTH_LDAP_SEARCH": "ou=people,dc=example,dc=org",
    "AUTH_ROLES_MAPPING": {"cn=ops,dc=example,dc=org": ["Admin"]},
    "AUTH_USER_REGISTRATION": True,
}


APP = {
    "client_id": "airflow",
    "client_secret": "hT6-2vQ9mLx",
    "server_metadata_url": "https://id.example.org/.well-known/openid-configuration",
}
OLD_APP = {
    "client_id": "x",
    "authorize_url": "https://id.example.org/a",
    "access_token_url": "https://id.example.org/t",
}


def oauth(*providers: Any) -> dict[str, Any]:
    return {"AUTH_TYPE": "AUTH_OAUTH", "OAUTH_PROVIDERS": list(providers)}


@pytest.mark.parametrize(
    "settings",
    [{}, LDAP, oauth({"name": "one", "remote_app": APP}, {"name": "two", "remote_app": OLD_APP})],
)
def test_good_ones(settings: dict[str, Any]) -> None:
    assert auth_problems(settings) == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({**LDAP, "auth_role": "x"}, "has auth_role: its settings are written in upper case"),
        ({"AUTH_TYPE": "LDAP"}, "has no fit AUTH_TYPE: set one of AUTH_DB, AUTH_LDAP"),
        ({"AUTH_ROLE_PUBLIC": "Admin"}, "has no fit AUTH_TYPE"),
        ({"AUTH_TYPE": "AUTH_LDAP"}, "has AUTH_LDAP and no AUTH_LDAP_SERVER"),
        ({"AUTH_TYPE": "AUTH_OAUTH"}, "has AUTH_OAUTH and no OAUTH_PROVIDERS"),
        (oauth("company"), "has OAUTH_PROVIDERS of another shape: write a list"),
        ({"AUTH_TYPE": "AUTH_OAUTH", "OAUTH_PROVIDERS": {"name": "x"}}, "OAUTH_PROVIDERS of another shape"),
        (oauth({"name": "x"}), "has OAUTH_PROVIDERS of another shape"),
        (oauth(*[{"name": "x", "remote_app": APP}] * 2), "each name once"),
        (oauth({"name": "x", "remote_app": {**APP, "client_id": ""}}), "the provider x without client_id"),
        (
            oauth({"name": "x", "remote_app": {**OLD_APP, "access_token_url": ""}}),
            "has the provider x without server_metadata_url: add it to its remote_app",
        ),
        (
            oauth({"name": "x", "remote_app": {**APP, "client_secret": "CHANGE_ME"}}),
            "has a placeholder as client_secret of x: take the real one from the vault",
        ),
        ({**LDAP, "AUTH_LDAP_SERVER": "ldap.example.org"}, "is no URL: write ldaps://HOST"),
        ({**LDAP, "AUTH_LDAP_BIND_PASSWORD": "CHANGE_ME"}, "has a placeholder as AUTH_LDAP_BIND_PASSWORD"),
    ],
)
def test_bad_ones(settings: dict[str, Any], words: str) -> None:
    problems = auth_problems(settings)
    assert len(problems) == 1
    assert words in problems[0]


def test_sentences() -> None:
    problems = Problems()
    hosts = {"m1": {"given": {"airflow_auth_config": {"AUTH_TYPE": "LDAP"}}}, "m2": {"given": {}}}
    check_auth({"hosts": hosts, "roles": {"airflow_master": {"hosts": ["m1", "m2"]}}}, problems)
    assert problems.sentences() == [
        "airflow_auth_config has no fit AUTH_TYPE on m1: set one of AUTH_DB, AUTH_LDAP, AUTH_OAUTH, "
        "AUTH_REMOTE_USER"
    ]


def test_the_file() -> None:
    names: dict[str, Any] = {}
    text = python_settings({**LDAP, "AUTH_LDAP_BIND_PASSWORD": 'it\'s "quoted" \\ é'})
    assert text.startswith("from flask_appbuilder.const import AUTH_DB, AUTH_LDAP,")
    assert "AUTH_TYPE = AUTH_LDAP\n" in text
    exec(text.partition("\n")[2], {"AUTH_LDAP": 2}, names)
    assert names["AUTH_LDAP_BIND_PASSWORD"] == 'it\'s "quoted" \\ é'
    assert names["AUTH_ROLES_MAPPING"] == LDAP["AUTH_ROLES_MAPPING"]
    assert names["AUTH_USER_REGISTRATION"] is True
