# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""airflow_secrets_backend: who reads what of it, which lock file it needs, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.airflow_options import (
    check_options,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import Problems
from ansible_collections.airflowops.cluster.plugins.plugin_utils.providers import (
    lock_name,
    provider_needs,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.roles.airflow_credentials import OPTIONAL
from ansible_collections.airflowops.cluster.plugins.plugin_utils.secrets_backends import (
    CREDENTIALS,
    backend_problems,
    backend_secrets,
)

VAULT = "airflow.providers.hashicorp.secrets.vault.VaultBackend"
BOTH = {
    "backend": VAULT,
    "kwargs": {"url": "https://vault.example.org", "token": "hvs.x$1%k-of-the-masters"},
    "worker_backend": VAULT,
    "worker_kwargs": {"url": "https://vault.example.org", "token": "hvs.y-of-the-workers"},
}


def test_each_side_has_its_own() -> None:
    masters, workers = backend_secrets(BOTH, "masters"), backend_secrets(BOTH, "workers")
    assert masters["AIRFLOW__SECRETS__BACKEND"] == VAULT
    assert json.loads(masters["AIRFLOW__SECRETS__BACKEND_KWARGS"]) == BOTH["kwargs"]
    assert workers["AIRFLOW__WORKERS__SECRETS_BACKEND"] == VAULT
    assert json.loads(workers["AIRFLOW__WORKERS__SECRETS_BACKEND_KWARGS"]) == BOTH["worker_kwargs"]
    assert "of-the-workers" not in json.dumps(masters)
    assert "of-the-masters" not in json.dumps(workers)


def test_workers_have_none_of_the_masters() -> None:
    assert backend_secrets({"backend": VAULT}, "workers") == {}
    assert backend_secrets({"backend": VAULT}, "masters")["AIRFLOW__SECRETS__BACKEND_KWARGS"] == "{}"
    assert backend_secrets({}, "masters") == {}


def test_the_role_removes_what_is_asked_no_more() -> None:
    assert {*CREDENTIALS} <= {*OPTIONAL}


def test_the_lock_file_that_is_needed() -> None:
    s3 = {"name": "lake", "s3": "s3://dags"}
    git = {"name": "etl", "git": "/srv/etl"}
    amazon = "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend"
    for needs in (
        provider_needs([git, s3], {}, {}),
        provider_needs([], {"s3": "s3://logs"}, {}),
        provider_needs([], {}, {"worker_backend": amazon}),
    ):
        assert lock_name("3.3.2", needs) == "airflow-3.3.2-amazon.txt"
    for bundles in ([], [git], ["s3"], "s3", {"s3": "x"}, 5, [{"classpath": 7}]):
        assert lock_name("3.3.1", provider_needs(bundles, {}, BOTH)) == "airflow-3.3.1.txt"
    assert provider_needs("x", None, "x") == []


@pytest.mark.parametrize("settings", [{}, BOTH, {"worker_backend": "own.Backend"}, "no dictionary"])
def test_good_ones(settings: Any) -> None:
    assert backend_problems(settings) == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({**BOTH, "workers_backend": VAULT}, "has an option workers_backend that there is none of (did you"),
        ({**BOTH, "backend": "Vault"}, "has a backend that is no class: write it with its module"),
        ({**BOTH, "worker_backend": ""}, "has worker_kwargs and no worker_backend: name the class"),
        ({"backend": VAULT, "kwargs": "url=x"}, "has kwargs that are no dictionary"),
        ({"backend": VAULT, "kwargs": {"token": "CHANGE_ME"}}, "has a placeholder as token in kwargs"),
        ({"kwargs": {}}, "names no class: give it backend, worker_backend or both"),
    ],
)
def test_bad_ones(settings: dict[str, Any], words: str) -> None:
    (problem,) = backend_problems(settings)
    assert words in problem


def test_sentences() -> None:
    config = {"secrets": {"backend": VAULT, "backend_kwargs": "{}"}, "workers": {"secrets_backend": VAULT}}
    hosts: dict[str, Any] = {
        "m1": {"given": {"airflow_config": config}},
        "m2": {"given": {}, "secrets_backend": ["names no class: give it one"]},
    }
    problems = Problems()
    check_options({"hosts": hosts}, problems)
    assert problems.sentences() == [
        "airflow_config has [secrets] backend and backend_kwargs on m1, where everyone can read what is "
        "secret in it: put it into airflow_secrets_backend, which seals it",
        "airflow_config has [workers] secrets_backend on m1, where everyone can read what is secret in it: "
        "put it into airflow_secrets_backend, which seals it",
        "airflow_secrets_backend names no class on m2: give it one",
    ]
