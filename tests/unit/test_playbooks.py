# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators type what lies in playbooks/, which imports what lies in internal/; groups are named once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleLookupError
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import lookup_loader
from ansible.template import Templar
from ansible_collections.airflowops.cluster.plugins.lookup.groups import CLUSTER

ROOT = Path(__file__).parents[2]
OPERATORS = sorted((ROOT / "playbooks").glob("*.yml"))
INTERNAL = sorted((ROOT / "playbooks/internal").glob("*.yml"))
TASKS = sorted((ROOT / "playbooks/internal/tasks").glob("*.yml"))
FILES = [*OPERATORS, *INTERNAL, *TASKS]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported(path: Path) -> set[Path]:
    """The playbooks and task files that a file imports or includes."""
    text = path.read_text(encoding="utf-8")
    names = re.findall(r"import_playbook: (\S+)|(?:import_tasks: |include_tasks: \{file: )([\w/.]+)", text)
    return {(path.parent / name).resolve() for found in names for name in found if name}


@pytest.mark.parametrize("path", OPERATORS, ids=relative)
def test_a_page_names_every_playbook_that_an_operator_types(path: Path) -> None:
    named = re.compile(rf"(?<![\w/])(playbooks/)?{path.stem}\.yml\b|airflowops\.cluster\.{path.stem}\b")
    assert any(named.search(page.read_text(encoding="utf-8")) for page in PAGES)


@pytest.mark.parametrize("path", PAGES, ids=relative)
def test_a_page_names_no_playbook_that_is_not_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = re.findall(r"playbooks/(\w+)\.yml|ansible-playbook airflowops\.cluster\.(\w+)", text)
    names = {name for found in named for name in found}
    assert sorted(names - {"", *(playbook.stem for playbook in OPERATORS)}) == []


@pytest.mark.parametrize("path", [*INTERNAL, *TASKS], ids=relative)
def test_every_internal_file_is_imported_by_another(path: Path) -> None:
    assert any(path in imported(other) for other in FILES if other != path)


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_what_is_imported_is_there(path: Path) -> None:
    assert sorted(relative(other) for other in imported(path) - {*FILES}) == []


@pytest.mark.parametrize("path", [*OPERATORS, *INTERNAL], ids=relative)
def test_every_playbook_says_what_it_is_for(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("---\n# ")


# --- Groups


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_a_playbook_names_groups_by_the_lookup_alone(path: Path) -> None:
    """Plays choose their hosts before the defaults of roles are read: those stand in the lookup."""
    assert re.findall(r"\w+_group\b", path.read_text(encoding="utf-8")) == []
    for play in yaml.safe_load(path.read_text(encoding="utf-8")):
        hosts = play.get("hosts", "localhost")
        assert hosts == "localhost" or hosts.startswith("{{ lookup('airflowops.cluster.groups', "), hosts


def test_a_role_names_groups_by_the_inputs_of_topology() -> None:
    for path in (ROOT / "roles").rglob("*.yml"):
        assert not re.search(r"\w+_group *\| *default", path.read_text(encoding="utf-8")), path


def groups(*terms: Any, **variables: Any) -> list[str]:
    templar = Templar(loader=DataLoader(), variables=variables)
    lookup = lookup_loader.get("airflowops.cluster.groups", loader=templar._loader, templar=templar)
    return lookup.run([*terms], variables=variables)


def test_a_group_has_the_name_of_its_role_or_the_one_that_is_given() -> None:
    assert groups("redis_cluster", "flower", flower_group="blossom") == ["redis_cluster", "blossom"]


def test_the_sets_name_the_groups_of_airflow_and_of_the_cluster() -> None:
    assert groups("airflow", ["nginx_lb"]) == ["airflow_master", "airflow_worker", "flower", "nginx_lb"]
    assert groups("cluster") == list(CLUSTER)


def test_the_defaults_of_the_lookup_are_those_of_the_role_topology() -> None:
    defaults = yaml.safe_load((ROOT / "roles/topology/defaults/main.yml").read_text(encoding="utf-8"))
    expected = {name: value for name, value in defaults.items() if name.endswith("_group")}
    assert expected == {f"{role}_group": role for role in CLUSTER} | {"observability_group": "monitoring"}


def test_a_group_of_monitoring_that_is_not_there_is_not_named() -> None:
    assert groups("monitoring", groups={"all": []}) == []
    assert groups("monitoring", groups={"monitoring": []}) == ["monitoring"]
    assert groups("monitoring", groups={"watch": []}, observability_group="watch") == ["watch"]


def test_a_role_that_is_none_is_refused() -> None:
    with pytest.raises(AnsibleLookupError, match="redis is no role that a group plays"):
        groups("redis")


# --- What is put back


@pytest.mark.parametrize("results", [{}, {"__put_back": {"results": []}}])
def test_nothing_is_reported_where_nothing_was_put_back(results: dict[str, Any]) -> None:
    """As where the first task of a host fails: the error that ends the run is that of the host."""
    path = ROOT / "playbooks/internal/tasks/put_back.yml"
    tasks = DataLoader().load_from_file(str(path), trusted_as_template=True)
    (report,) = (task for task in tasks if task["name"] == "Report what was put back")
    templar = Templar(loader=DataLoader(), variables={**report["vars"], **results})
    assert templar.template(report["ansible.builtin.debug"]["msg"]) == []


# --- Parameters that modules have in common


def test_action_groups_name_the_modules_whose_documentation_names_them() -> None:
    listed = yaml.safe_load((ROOT / "meta/runtime.yml").read_text(encoding="utf-8"))["action_groups"]
    fragments = {"airflow": "airflow_api", "celery": "celery", "redis": "redis"}
    assert {*listed} == {*fragments}
    for group, fragment in fragments.items():
        users = [
            path.stem
            for path in sorted((ROOT / "plugins/modules").glob("*.py"))
            if f"  - airflowops.cluster.{fragment}\n" in path.read_text(encoding="utf-8")
        ]
        assert listed[group] == users
        text = (ROOT / f"plugins/doc_fragments/{fragment}.py").read_text(encoding="utf-8")
        assert f"membership: [airflowops.cluster.{group}]" in text
