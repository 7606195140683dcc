# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said twice about the collection is said alike."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.airflowops.cluster.plugins.plugin_utils.runtime_package import runtime_files

ROOT = Path(__file__).parents[2]


def load(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_a_checkout_needs_the_collections_that_an_installed_one_depends_on() -> None:
    required = {entry["name"]: entry["version"] for entry in load("requirements.yml")["collections"]}
    assert required == load("galaxy.yml")["dependencies"]


def test_every_python_module_of_ours_is_brought_to_the_hosts() -> None:
    files = ROOT / "roles/airflow_common/files"
    entries = {entry["path"]: entry.get("content") for entry in runtime_files("/runtime")}
    wanted = [path.relative_to(files) for path in (files / "airflowops_runtime").rglob("*") if path.is_file()]
    assert {f"/runtime/{path}" for path in wanted if "__pycache__" not in path.parts} <= {*entries}
    assert entries["/runtime/sitecustomize.py"] == (files / "sitecustomize.py").read_text(encoding="utf-8")
    # A folder stands before the files in it.
    assert [*entries][:2] == ["/runtime", "/runtime/airflowops_runtime"]


def test_the_place_of_the_source_stands_in_one_file() -> None:
    """A fork sets its own in galaxy.yml, without which Galaxy refuses the collection."""
    place = load("galaxy.yml")["repository"]
    assert re.fullmatch(r"https://\S+/\S+", place)
    named = [
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*")
        if path.suffix in (".md", ".yml", ".py", ".toml", ".rst", ".cfg")
        and not path.relative_to(ROOT).parts[0].startswith(".")
        and place.removeprefix("https://") in path.read_text(encoding="utf-8")
    ]
    assert named == ["galaxy.yml"]


LOCKS = ROOT / "roles/airflow_common/files/locks"


def pinned(path: Path) -> dict[str, str]:
    """{package and the platforms it is for: its version and hashes}"""
    entries = re.split(r"\n(?=\S)", path.read_text(encoding="utf-8").strip())
    return {re.sub(r"==\S+", "", entry.splitlines()[0]): entry for entry in entries}


@pytest.mark.parametrize("path", sorted(LOCKS.glob("airflow-*-amazon.txt")), ids=lambda path: path.name)
def test_lock_files_differ_in_what_one_has_more(path: Path) -> None:
    with_amazon, without = pinned(path), pinned(path.with_name(path.name.replace("-amazon", "")))
    assert {name: with_amazon.get(name) for name in without} == without
    assert "apache-airflow-providers-amazon \\" in {*with_amazon} - {*without}


def test_each_version_has_both_lock_files() -> None:
    versions = {path.stem.removesuffix("-amazon") for path in LOCKS.glob("airflow-*.in")}
    assert {path.name for path in LOCKS.glob("airflow-*.txt")} == {
        f"{version}{suffix}.txt" for version in versions for suffix in ("", "-amazon")
    }


COMMENTED = re.compile(r"^# (\w+):(.*)$", re.MULTILINE)


def commented_settings() -> list[tuple[str, str, str]]:
    return [
        (inventory, name, rest.strip())
        for inventory in ("prod", "single_node")
        for name, rest in COMMENTED.findall(
            (ROOT / "inventories" / inventory / "group_vars/all/main.yml").read_text(encoding="utf-8")
        )
        if name.startswith(("airflow_", "cluster_", "flower_", "nginx_", "postgres_", "redis_"))
    ]


@pytest.mark.parametrize(("inventory", "name", "rest"), commented_settings())
def test_a_setting_that_is_commented_out_shows_the_default(inventory: str, name: str, rest: str) -> None:
    defaults = {
        key: value
        for path in ROOT.glob("roles/*/defaults/main.yml")
        for key, value in (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).items()
    }
    assert name in defaults, f"{name} of inventories/{inventory} is no input with a default"
    if not re.search("# +example", rest):
        assert yaml.safe_load(rest) == defaults[name]
