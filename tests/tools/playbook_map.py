#!/usr/bin/env python3
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes docs/playbooks.md: which playbook calls which entry point of which role, in order.

playbook_map.py           writes the page if it is not as it should be
playbook_map.py --check   only says so, and fails

The playbooks are read as text and not run. A role whose name is an expression is shown as all roles that the
expression, or the variables at its call, can name.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, Iterable, Iterator, NamedTuple

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tools import role_readmes

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOKS = ROOT / "playbooks"
PAGE = ROOT / "docs/playbooks.md"
ROLES = {path.name for path in (ROOT / "roles").iterdir() if (path / "tasks").is_dir()}
COLLECTION = "airflowops.cluster."
INTRODUCTION = """\
<!-- Generated from playbooks/ by tests/tools/playbook_map.py: change the playbooks, then run it. -->

# What each playbook calls

Every playbook with its plays in order, and the entry points of roles that each play calls: `role: entry` is
the file `roles/ROLE/tasks/ENTRY.yml`. Modules that a play calls without a role are listed too. *each role of
the host* means the roles of the host's groups, one after the other. What runs only after a failure is not
listed. What belongs where: [architecture.md](architecture.md)."""


class Call(NamedTuple):
    role: str
    entry: str


class Play(NamedTuple):
    name: str
    calls: list[Call]


class Import(NamedTuple):
    name: str
    playbook: str


def load(path: Path) -> list[dict[str, Any]]:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or []


def texts(value: Any) -> Iterator[str]:
    """All strings within a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def named(value: Any, allowed: Iterable[str]) -> list[str]:
    """Which of the allowed words the strings within a value name, in their order."""
    found = [word for text in texts(value) for word in re.findall(r"\w+", text)]
    return list(dict.fromkeys(word for word in found if word in set(allowed)))


def filled_in(text: str, variables: dict[str, Any]) -> str:
    """A text with `{{ NAME }}` replaced, and `{{ NAME | default('x') }}` too."""

    def value(match: re.Match[str]) -> str:
        given = variables.get(match["name"], match["default"])
        return given if isinstance(given, str) and "{{" not in given else match[0]

    return re.sub(r"\{\{ (?P<name>\w+)(?: \| default\('(?P<default>\w+)'\))? \}\}", value, text)


def roles_of(task: dict[str, Any], role: str, variables: dict[str, Any]) -> list[str]:
    """The roles that a name with an expression in it may stand for.

    variables: those at the call of the file in which the task is; they narrow what the task's own may name.
    """
    own = task.get("vars", {})
    at_call = named(variables, ROLES)
    if at_call:
        return at_call
    if any("__topology_roles" in text for text in texts([own, task.get("loop")])):
        return ["*each role of the host*"]
    return named([task.get("loop"), own], ROLES) or [role]


def entry_of(task: dict[str, Any], include: dict[str, Any], variables: dict[str, Any]) -> str:
    entry = filled_in(str(include.get("tasks_from", "main")), variables)
    if "{{" in entry:
        files = {path.stem for path in (ROOT / "roles").glob("*/tasks/*.yml")}
        entry = " or ".join(named(re.findall(r"'(\w+)'", entry), files))
    # An entry point that only finds the host, and runs these tasks there.
    inner = [value for name, value in task.get("vars", {}).items() if name.endswith("_tasks")]
    return f"{entry}: {inner[0]}" if inner else entry


def calls_of(tasks: list[dict[str, Any]], folder: Path, variables: dict[str, Any]) -> Iterator[Call]:
    """What tasks, and the files of tasks that they include, call; not what is done after a failure."""
    for task in tasks or []:
        known = {**variables, **task.get("vars", {})}
        for part in ("block", "always"):
            yield from calls_of(task.get(part, []), folder, known)
        for action, given in task.items():
            kind = action.removeprefix("ansible.builtin.")
            if kind in ("include_role", "import_role"):
                role = filled_in(str(given["name"]), known).removeprefix(COLLECTION)
                roles = roles_of(task, role, variables) if "{{" in role else [role]
                yield from (Call(one, entry_of(task, given, known)) for one in roles)
            elif kind in ("include_tasks", "import_tasks"):
                path = folder / filled_in(given["file"] if isinstance(given, dict) else given, known)
                if path.is_file():
                    # Of what is set further out, only texts: they may be names, but narrow no list of roles.
                    at_call = {name: value for name, value in variables.items() if isinstance(value, str)}
                    at_call.update(task.get("vars", {}))
                    included = calls_of(load(path), path.parent, at_call)
                    yield from (call for call in included if call.role != "module")
            elif action.startswith(COLLECTION):
                yield Call("module", action.removeprefix(COLLECTION))


def steps(playbook: Path) -> list[Play | Import]:
    """The plays and imports of a playbook."""
    found: list[Play | Import] = []
    for entry in load(playbook):
        imported = entry.get("ansible.builtin.import_playbook") or entry.get("import_playbook")
        if imported:
            if imported.startswith(COLLECTION):
                imported = PLAYBOOKS / f"{imported.removeprefix(COLLECTION).replace('.', '/')}.yml"
            path = (playbook.parent / imported).resolve()
            found.append(Import(entry.get("name", ""), str(path.relative_to(PLAYBOOKS))))
            continue
        calls = [
            Call((role["role"] if isinstance(role, dict) else role).removeprefix(COLLECTION), "main")
            for role in entry.get("roles", [])
        ]
        for part in ("pre_tasks", "tasks", "post_tasks"):
            calls += calls_of(entry.get(part, []), playbook.parent, entry.get("vars", {}))
        # Each play reads the inventory by the role topology; what it does is the rest.
        work = [call for call in dict.fromkeys(calls) if call.role != "topology"]
        found.append(Play(filled_in(str(entry.get("name", "")), {}), work))
    return found


def shown(calls: list[Call]) -> str:
    """`role: entry`, several roles with one entry point together."""
    by_entry: dict[str, list[str]] = {}
    for call in calls:
        by_entry.setdefault(call.entry, []).append(call.role)
    return "; ".join(f"{', '.join(roles)}: `{entry}`" for entry, roles in by_entry.items())


def anchor(playbook: str) -> str:
    """Of the heading of a playbook, as code hosts make it."""
    return re.sub(r"[^\w -]", "", playbook.lower())


def comment(playbook: Path) -> list[str]:
    """What a playbook says of itself at its top, without the list of its options."""
    lines = []
    for line in playbook.read_text(encoding="utf-8").splitlines()[1:]:
        if not line.startswith("# ") or line.startswith("#   "):
            break
        lines.append(line[2:])
    return [*lines, ""] if lines else []


def table(playbook: Path) -> list[str]:
    lines = ["| play or imported playbook | calls |", "|---|---|"]
    for step in steps(playbook):
        name = step.name.replace("|", "\\|")
        if isinstance(step, Import):
            lines.append(f"| {name} | → [{step.playbook}](#{anchor(step.playbook)}) |")
        else:
            lines.append(f"| {name} | {shown(step.calls)} |")
    return lines


def drawing(playbook: Path) -> list[str]:
    """The playbooks that one imports, and what those import, as a flow chart."""
    lines, seen = ["```mermaid", "flowchart LR"], set()

    def draw(path: Path) -> None:
        name = str(path.relative_to(PLAYBOOKS))
        if name in seen:
            return
        seen.add(name)
        imports = [step.playbook for step in steps(path) if isinstance(step, Import)]
        for number, target in enumerate(imports, 1):
            lines.append(f'  {anchor(name)}["{name}"] -->|{number}| {anchor(target)}["{target}"]')
        for target in imports:
            draw(PLAYBOOKS / target)

    draw(playbook)
    return [*lines, "```"]


def page() -> str:
    """What the page should be."""
    lines = [INTRODUCTION, "", "## The playbooks of site.yml, in order", "", *drawing(PLAYBOOKS / "site.yml")]
    typed = sorted(PLAYBOOKS.glob("*.yml"))
    internal = sorted((PLAYBOOKS / "internal").glob("*.yml"))
    for title, paths in (("Playbooks", typed), ("Internal playbooks", internal)):
        if paths:
            lines += ["", f"## {title}"]
        for path in paths:
            lines += ["", f"### {path.relative_to(PLAYBOOKS)}", "", *comment(path), *table(path)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(role_readmes.main(sys.argv[1:], {PAGE: page()}, __doc__))
