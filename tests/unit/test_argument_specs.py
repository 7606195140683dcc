# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each role's inputs: argument specs and defaults say the same, are named as agreed, and are few."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import SECRETS

ROLES = Path(__file__).parents[2] / "roles"
NAMES = sorted(path.name for path in ROLES.iterdir() if path.is_dir() and any(path.glob("*/main.yml")))
# "About 40": topology holds the ports at which all parts meet.
MOST_OPTIONS = 45
MOST_LINES = 100
# airflow_common owns what all parts of Airflow share; the names in topology are those of the roles it serves.
# airflow_common keeps the login of Flower encrypted, as one of the secrets of Airflow.
PREFIXES = {"airflow_common": ("airflow_", "flower_"), "topology": ("airflow_broker_",)}
# Ansible validates an entry point's spec each time that a role, or one that depends on it, runs it: a
# quarter of a second for ten hosts, in every play. These are dependencies of all others or run in every
# play, so their inputs stand under a name that no task file has. Preflight checks them, once.
INPUTS_ONLY = ("airflow_common", "certificates", "packages", "preflight", "topology")


def load(role: str, path: str) -> dict[str, Any]:
    file = ROLES / role / path
    return (yaml.safe_load(file.read_text(encoding="utf-8")) or {}) if file.exists() else {}


def entry_point(role: str) -> str:
    return "inputs" if role in INPUTS_ONLY else "main"


def options(role: str) -> dict[str, Any]:
    specs = load(role, "meta/argument_specs.yml").get("argument_specs", {})
    return specs.get(entry_point(role), {}).get("options", {})


def all_options(role: str) -> dict[str, Any]:
    specs = load(role, "meta/argument_specs.yml").get("argument_specs", {})
    return {name: option for spec in specs.values() for name, option in spec.get("options", {}).items()}


@pytest.mark.parametrize("role", NAMES)
def test_each_role_documents_its_inputs(role: str) -> None:
    assert entry_point(role) in load(role, "meta/argument_specs.yml").get("argument_specs", {})


@pytest.mark.parametrize("role", INPUTS_ONLY)
def test_ansible_does_not_validate_the_roles_that_run_everywhere(role: str) -> None:
    specs = load(role, "meta/argument_specs.yml")["argument_specs"]
    files = {path.stem for path in (ROLES / role / "tasks").glob("*.yml")}
    assert {*specs} & {"main", *files} <= {"units"}


@pytest.mark.parametrize("role", NAMES)
def test_what_a_role_is_for_is_told(role: str) -> None:
    description = load(role, "meta/main.yml")["galaxy_info"]["description"]
    assert len(description) > 20
    assert "PLACEHOLDER" not in description


@pytest.mark.parametrize("role", NAMES)
def test_specs_and_defaults_are_equal(role: str) -> None:
    documented = {name: option["default"] for name, option in options(role).items() if "default" in option}
    assert documented == load(role, "defaults/main.yml")


@pytest.mark.parametrize("role", NAMES)
def test_every_option_says_what_it_is(role: str) -> None:
    assert [name for name, option in all_options(role).items() if not option.get("description")] == []
    assert [name for name, option in all_options(role).items() if not option.get("type")] == []


@pytest.mark.parametrize("role", NAMES)
def test_no_secret_has_a_default(role: str) -> None:
    defaults = load(role, "defaults/main.yml")
    assert [name for name in SECRETS if name in defaults] == []
    assert [
        name for name, option in all_options(role).items() if name in SECRETS and "default" in option
    ] == []


@pytest.mark.parametrize("role", NAMES)
def test_secrets_are_marked_as_such(role: str) -> None:
    assert [
        name for name, option in all_options(role).items() if name in SECRETS and not option.get("no_log")
    ] == []


@pytest.mark.parametrize("role", NAMES)
def test_inputs_are_few(role: str) -> None:
    assert len(options(role)) <= MOST_OPTIONS


@pytest.mark.parametrize("role", sorted({*NAMES} - {"topology"}))
def test_inputs_carry_the_name_of_their_role(role: str) -> None:
    prefixes = (f"{role}_", *PREFIXES.get(role, ()))
    shared = {*options("topology"), *SECRETS}
    inputs = {*all_options(role), *load(role, "defaults/main.yml")}
    assert sorted(name for name in inputs - shared if not name.startswith(prefixes)) == []


@pytest.mark.parametrize("role", NAMES)
def test_internals_are_marked_by_two_underscores(role: str) -> None:
    folder = ROLES / role / "vars"
    files = sorted(folder.rglob("*.yml"))
    assert bool(files) == folder.exists()
    names = {name for path in files for name in load(role, str(path.relative_to(ROLES / role)))}
    prefixes = tuple(f"__{prefix}" for prefix in (f"{role}_", *PREFIXES.get(role, ())))
    assert sorted(name for name in names if not name.startswith(prefixes)) == []


@pytest.mark.parametrize("role", NAMES)
def test_no_input_has_two_owners(role: str) -> None:
    if role == "topology":
        return
    assert sorted({*load(role, "defaults/main.yml")} & {*load("topology", "defaults/main.yml")}) == []


@pytest.mark.parametrize("role", NAMES)
def test_task_files_can_be_seen_whole(role: str) -> None:
    files = (ROLES / role).glob("tasks/**/*.yml")
    assert [
        path.name for path in files if len(path.read_text(encoding="utf-8").splitlines()) > MOST_LINES
    ] == []


def test_an_option_of_two_roles_is_the_same_in_both() -> None:
    """Secrets stand in the spec of every role that needs them; only whether they are required may differ."""
    seen: dict[str, dict[str, Any]] = {}
    for role in NAMES:
        for name, option in all_options(role).items():
            shared = {key: value for key, value in option.items() if key != "required"}
            assert seen.setdefault(name, shared) == shared, (role, name)


@pytest.mark.parametrize("role", sorted({role for secret in SECRETS.values() for role in secret.roles}))
def test_a_role_demands_the_secrets_that_it_needs(role: str) -> None:
    # With another broker or database, Airflow's parts need no password of our Redis Cluster or PostgreSQL.
    needed = {
        name
        for name, secret in SECRETS.items()
        if role in secret.roles
        and not (secret.own_broker and role != "redis_cluster")
        and not (secret.own_metastore and role != "postgres_metastore")
    }
    required = {name for name, option in options(role).items() if name in SECRETS and option.get("required")}
    assert required == needed
