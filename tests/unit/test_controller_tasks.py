# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on the controller runs as the user who started Ansible, whatever the inventory sets for hosts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
# The implicit localhost has the variables of the group `all`. These of a play, a block or a task come before
# them; the keywords `become` and `connection` come after them.
CONTROLLER = {
    "ansible_become": False,
    "ansible_connection": "local",
    "ansible_python_interpreter": "{{ ansible_playbook_python }}",
}
# A unit of systemd is root's: this playbook is for that alone, and its page says so.
AS_ROOT = {
    "playbooks/health_timer.yml": {
        **CONTROLLER,
        "ansible_become": "{{ lookup('ansible.builtin.pipe', 'id -u') != '0' }}",
    }
}
FILES = sorted(
    path
    for pattern in (
        "roles/*/tasks/**/*.yml",
        "roles/*/handlers/*.yml",
        "playbooks/**/*.yml",
        "molecule/**/*.yml",
        "tests/**/*.yml",
        "site.yml",
    )
    for path in ROOT.glob(pattern)
)
NAMES = ("localhost", "127.0.0.1", "::1")


def is_controller(name: Any) -> bool:
    return any(word in str(name or "") for word in NAMES)


def problems_of_tasks(
    tasks: Any, inherited: dict[str, Any], delegate: Any, wanted: dict[str, Any]
) -> Iterator[str]:
    for task in tasks or ():
        given = {**inherited, **(task.get("vars") or {})}
        target = task.get("delegate_to", delegate)
        name = task.get("name", "a task")
        if "local_action" in task or task.get("connection") == "local":
            yield f"{name}: use delegate_to with the variables of the controller"
        if is_controller(target) and "block" not in task:
            if not wanted.items() <= given.items():
                yield f"{name}: lacks {sorted(set(wanted) - set(given)) or 'the right values'}"
            if "become" in task:
                yield f"{name}: the keyword become does nothing there"
        for module in ("include_role", "include_tasks"):
            apply = (task.get(f"ansible.builtin.{module}") or {}) if isinstance(task, dict) else {}
            if isinstance(apply, dict) and "apply" in apply:
                yield from problems_of_tasks([{"name": name, **apply["apply"]}], given, None, wanted)
        for part in ("block", "rescue", "always"):
            yield from problems_of_tasks(task.get(part), given, target, wanted)


def problems(content: Any, wanted: dict[str, Any] = CONTROLLER) -> list[str]:
    """What is missing in a file of plays or of tasks."""
    found: list[str] = []
    for entry in content if isinstance(content, list) else ():
        if not isinstance(entry, dict) or "hosts" not in entry:
            found += problems_of_tasks([entry] if isinstance(entry, dict) else (), {}, None, wanted)
            continue
        hosts = entry["hosts"] if isinstance(entry["hosts"], list) else [entry["hosts"]]
        here = "localhost" if any(map(is_controller, hosts)) else None
        if here and not wanted.items() <= (entry.get("vars") or {}).items():
            found.append(f"{entry.get('name')}: lacks the variables of the controller")
        for part in ("pre_tasks", "tasks", "post_tasks", "handlers"):
            found += problems_of_tasks(entry.get(part), entry.get("vars") or {}, here, wanted)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_runs_on_the_controller_has_its_variables(path: Path) -> None:
    wanted = AS_ROOT.get(str(path.relative_to(ROOT)), CONTROLLER)
    assert problems(yaml.safe_load(path.read_text(encoding="utf-8")), wanted) == []


@pytest.mark.parametrize(
    "text",
    [
        "- {name: a, delegate_to: localhost, become: false, ansible.builtin.file: {}}",
        "- {name: a, delegate_to: '{{ host | default(\"localhost\") }}', ansible.builtin.file: {}}",
        "- {name: a, delegate_to: localhost, block: [{name: b, ansible.builtin.file: {}}]}",
        "- {name: a, ansible.builtin.include_role: {apply: {delegate_to: localhost, become: false}}}",
        "- {name: a, hosts: localhost, connection: local, tasks: []}",
        "- {name: a, hosts: all, tasks: [{name: b, local_action: {module: ping}}]}",
        "- {name: a, connection: local, ansible.builtin.ping: {}}",
    ],
)
def test_what_lacks_them_is_found(text: str) -> None:
    assert problems(yaml.safe_load(text))


def test_an_inventory_of_ours_does_not_set_become() -> None:
    folders = (ROOT / "inventories", ROOT / "molecule")
    named = [
        str(path.relative_to(ROOT))
        for folder in folders
        for path in folder.rglob("*.yml")
        if "inventory" in str(path.parent) or folder.name == "inventories"
        if "\nansible_become" in path.read_text(encoding="utf-8")
    ]
    assert named == []
