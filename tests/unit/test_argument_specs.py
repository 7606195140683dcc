# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each role's inputs: argument specs and defaults say the same, are named as agreed, and are few."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.airflowops.cluster.plugins.module_utils.preflight_secrets import SECRETS

ROLES = Path(__file__).parents[2] / "roles"
NAMES = sorted(path.name for path in ROLES.iterdir() if path.is_dir() and any(path.glob("*/main.yml")))
MOST_OPTIONS = 40
MOST_LINES = 100
# airflow_common owns what all parts of Airflow share; the names in topology are those of the roles it serves.
PREFIXES = {"airflow_common": ("airflow_",)}


def load(role: str, path: str) -> dict[str, Any]:
    file = ROLES / role / path
    return (yaml.safe_load(file.read_text(encoding="utf-8")) or {}) if file.exists() else {}


def options(role: str) -> dict[str, Any]:
    specs = load(role, "meta/argument_specs.yml").get("argument_specs", {})
    return specs.get("main", {}).get("options", {})


def all_options(role: str) -> dict[str, Any]:
    specs = load(role, "meta/argument_specs.yml").get("argument_specs", {})
    return {name: option for spec in specs.values() for name, option in spec.get("options", {}).items()}


@pytest.mark.parametrize("role", NAMES)
def test_each_role_documents_its_inputs(role: str) -> None:
    assert "main" in load(role, "meta/argument_specs.yml").get("argument_specs", {})


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
    names = {
        name for path in (ROLES / role / "vars").glob("*.yml") for name in load(role, f"vars/{path.name}")
    }
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
