# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every secret that an argument spec knows is guarded, wherever it lies."""

from __future__ import annotations

import re
from typing import Any, Iterator, Mapping

import pytest
from ansible_collections.airflowops.cluster.plugins.filter.preflight import known_variables
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import Problems
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secret_inputs import (
    SENSITIVE,
    check_secret_inputs,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import SECRETS

EXPRESSION = "$(openssl rand -hex 32)"
GOOD = "-Zk3 vQ8\"s'L$w%0pXb{{7nRt\\2yé"


def problems_of(**given: Any) -> list[str]:
    problems = Problems(["one"])
    check_secret_inputs({"known_variables": known_variables(), "hosts": {"one": {"given": given}}}, problems)
    return problems.sentences()


def secret_options(
    options: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Where the specs say `no_log`: paths whose entries are names, and [] for any entry of a list."""
    for name, option in options.items():
        below = option.get("options") or {}
        here = (*path, name, "[]") if option.get("type") == "list" else (*path, name)
        if option.get("no_log") and not below:
            yield here, option
        yield from secret_options(below, here)


def put(path: tuple[str, ...], value: Any) -> Any:
    for name in reversed(path):
        value = [value] if name == "[]" else {name: value}
    return value


ALL = [(path, option) for path, option in secret_options(known_variables()) if path[0] not in SECRETS]


@pytest.mark.parametrize(("path", "option"), ALL, ids=[".".join(path) for path, _ in ALL])
def test_a_shell_expression_is_refused_wherever_a_spec_has_a_secret(
    path: tuple[str, ...], option: dict[str, Any]
) -> None:
    whole = option.get("type", "str") == "str"
    (problem,) = problems_of(**put(path, EXPRESSION if whole else {"some_password": EXPRESSION}))
    name = ".".join(path).replace(".[]", "[0]") + ("" if whole else ".some_password")
    assert problem == (
        f"{name} is a shell expression, which nobody expands on one: put the secret itself into "
        "group_vars/all/secrets.yml, encrypted with ansible-vault"
    )


@pytest.mark.parametrize(("path", "option"), ALL, ids=[".".join(path) for path, _ in ALL])
def test_what_servers_take_is_not_refused(path: tuple[str, ...], option: dict[str, Any]) -> None:
    value: Any = GOOD if option.get("type", "str") == "str" else {"some_password": GOOD}
    if path[-1].endswith("_url"):
        value = "amqp://user:Zk3vQ8%2FsLw0pX@host:5672/vhost"
    assert problems_of(**put(path, value)) == []


def test_the_specs_call_secret_what_is_named_or_described_so() -> None:
    """The guard, the support bundle and Ansible's output go by `no_log`."""

    def open_secrets(options: Mapping[str, Any], inherited: bool = False) -> Iterator[str]:
        for name, option in options.items():
            secret = inherited or option.get("no_log", False)
            words = str(option.get("description", ""))
            # Paths of files, times and names are none.
            named = re.search("(password|passphrase|secret|token|private_key)$", name)
            described = re.search(r"\bA secret\b(?! as a whole)", words) or "Encrypted as a whole" in words
            if option.get("type", "str") == "str" and (named or described) and not secret:
                yield name
            yield from open_secrets(option.get("options") or {}, secret)

    assert set(open_secrets(known_variables())) - {"nginx_lb_acme_private_key"} == set()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"postgres_metastore_backup_passphrase": " Zk3vQ8sLw0pXb7nRt2yU"},
            "begins or ends with white space",
        ),
        ({"postgres_metastore_backup_passphrase": "Zk3vQ8sLw0\npXb7nRt2yU"}, "holds a line break"),
        ({"certificates_ca_passphrase": "changeme"}, "is a placeholder"),
        ({"health_airflow_password": "{{ vault_password }}"}, "is a template that was not rendered"),
        (
            {"airflow_users": [{"password": GOOD}, {"password": "$ANSIBLE_VAULT;1.1;AES256\n61"}]},
            "users[1].pass",
        ),
        (
            {"airflow_connections": {"db": {"extra": {"api_token": "`pwgen 9`"}}}},
            "db.extra.api_token is a shell",
        ),
        ({"airflow_variables": {"greeting": "$ANSIBLE_VAULT;1.1;AES256\n61"}}, "is still encrypted text"),
        (
            {"airflow_broker_url": "redis://:%24%28cat%20pw%29@host"},
            "airflow_broker_url is a shell expression",
        ),
        ({"airflow_dag_bundles": [{"ssh_key": "$(cat key)"}]}, "airflow_dag_bundles[0].ssh_key is a shell"),
        (
            {"airflow_remote_logs": {"secret_key": "CHANGE_ME"}},
            "airflow_remote_logs.secret_key is a placeholder",
        ),
    ],
)
def test_what_is_refused(given: dict[str, Any], words: str) -> None:
    (problem,) = problems_of(**given)
    assert words in problem


@pytest.mark.parametrize(
    "given",
    [
        # Airflow's variables may hold templates and commands; only what is named like a secret is one.
        {"airflow_variables": {"command": "$(hostname) {{ ds }}", "config": {"path": "`pwd`"}}},
        {"airflow_connections": {"db": {"conn_type": "postgres", "password": "airflow", "extra": {"a": 1}}}},
        {"nginx_lb_private_key": "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n"},
        {"airflow_environment": {"HTTP_PROXY": "http://proxy:3128", "N": 3}},
        {"postgres_metastore_backup_passphrase": "", "postgres_metastore_backup_s3": {}},
        {"observability_alertmanager_config": {"global": {"smtp_auth_password": GOOD}, "route": {}}},
    ],
)
def test_what_is_not(given: dict[str, Any]) -> None:
    assert problems_of(**given) == []


def test_no_problem_shows_the_secret() -> None:
    for value in ("$(cat Zk3vQ8sLw0pX)", "Zk3vQ8sLw0\npXb7nRt2yU", "{{ Zk3vQ8sLw0pX }}"):
        for problem in problems_of(certificates_ca_passphrase=value, airflow_variables={"token": value}):
            assert "Zk3vQ8sLw0" not in problem


def test_names_that_airflow_masks() -> None:
    for name in ("api_key", "AWS_SECRET_ACCESS_KEY", "smtp_auth_password", "client_secret", "bot_token"):
        assert SENSITIVE.search(name)
