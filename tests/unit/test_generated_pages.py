# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The generated pages are those of this checkout: variables, playbooks, roles and modules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tools import playbook_map, reference_page, role_readmes, variable_index
from tools.playbook_map import Call, Import, Play

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "tool", [playbook_map, reference_page, variable_index], ids=lambda tool: tool.PAGE.name
)
def test_a_generated_page_is_current(tool: Any) -> None:
    assert role_readmes.differing({tool.PAGE: tool.page()}) == {}, "run `make docs`"


def test_every_input_has_a_line_in_the_index() -> None:
    page = variable_index.page()
    for spec in ROOT.glob("roles/*/meta/argument_specs.yml"):
        for entry_point in yaml.safe_load(spec.read_text(encoding="utf-8"))["argument_specs"].values():
            for name in entry_point.get("options") or {}:
                assert page.count(f"\n| `{name}` |") == 1


def test_the_index_shows_the_first_sentence_and_no_value_of_a_secret() -> None:
    option = {
        "type": "str",
        "no_log": True,
        "description": ["Opens C(a.b) in 1.5. And more.", "x"],
    }
    assert variable_index.row("r_a", "r", option) == (
        "| `r_a` | [r](../roles/r/README.md) | str | none, secret | Opens `a.b` in 1.5. |"
    )


# --- Playbooks


def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, **files: str) -> list[Play | Import]:
    """The steps of a playbook with these files of tasks, in a collection with the roles a, b and c."""
    monkeypatch.setattr(playbook_map, "PLAYBOOKS", tmp_path)
    monkeypatch.setattr(playbook_map, "ROLES", {"a", "b", "c"})
    for name, content in {"playbook": text, **files}.items():
        (tmp_path / f"{name}.yml").write_text(content, encoding="utf-8")
    return playbook_map.steps(tmp_path / "playbook.yml")


def test_roles_includes_blocks_and_imports_are_found_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """\
- name: First
  roles: [{role: airflowops.cluster.a}]
  tasks:
    - block:
        - ansible.builtin.include_role: {name: airflowops.cluster.b, tasks_from: install}
      rescue:
        - ansible.builtin.include_role: {name: airflowops.cluster.c}
    - airflowops.cluster.flower: {}
- name: Second
  ansible.builtin.import_playbook: other.yml
"""
    assert steps(tmp_path, monkeypatch, text) == [
        Play("First", [Call("a", "main"), Call("b", "install"), Call("module", "flower")]),
        Import("Second", "other.yml"),
    ]


PARTS = """\
- ansible.builtin.include_role: {name: "airflowops.cluster.{{ part }}", tasks_from: "{{ entry }}"}
  loop: "{{ wanted }}"
  vars: {wanted: "{{ __topology_roles | select('in', parts) }}"}
"""


@pytest.mark.parametrize(
    ("given", "roles"),
    [
        ("{parts: [c, a], entry: service}", ["c", "a"]),
        ("{parts: \"{{ ['b'] + (['a'] if x else []) }}\", entry: service}", ["b", "a"]),
        ("{entry: service}", ["*each role of the host*"]),
    ],
)
def test_a_role_by_an_expression_is_what_the_call_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, roles: list[str]
) -> None:
    text = f"- name: P\n  tasks:\n    - ansible.builtin.import_tasks: parts.yml\n      vars: {given}\n"
    (play,) = steps(tmp_path, monkeypatch, text, parts=PARTS)
    assert play == Play("P", [Call(role, "service") for role in roles])


def test_a_role_may_be_a_variable_of_the_play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "- name: P\n  vars: {which: b}\n  tasks: [{ansible.builtin.include_tasks: {file: one.yml}}]\n"
    one = '- ansible.builtin.include_role: {name: "airflowops.cluster.{{ which }}", tasks_from: restart}\n'
    assert steps(tmp_path, monkeypatch, text, one=one) == [Play("P", [Call("b", "restart")])]


def test_every_entry_point_on_the_page_is_a_file_of_its_role() -> None:
    found = 0
    for playbook in [*ROOT.glob("playbooks/*.yml"), *ROOT.glob("playbooks/internal/*.yml")]:
        for step in playbook_map.steps(playbook):
            for role, entry in step.calls if isinstance(step, Play) else ():
                assert "{{" not in role
                if role in playbook_map.ROLES:
                    for name in entry.partition(":")[0].split(" or "):
                        assert (ROOT / "roles" / role / "tasks" / f"{name}.yml").is_file(), (role, name)
                        found += 1
    assert found > 60
