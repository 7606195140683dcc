# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No link of a page leads nowhere, and former names are those that the code refuses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.renamed_inputs import (
    FORMER_INPUTS,
    Renamed,
)

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("roles/*/README.md")])
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def anchor(heading: str) -> str:
    """As code hosts make it of a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_a_file_and_a_heading(page: Path) -> None:
    for path, heading in LINK.findall(page.read_text(encoding="utf-8")):
        target = page.parent / path if path else page
        assert target.exists(), f"{path} is not there"
        if heading and target.suffix == ".md":
            anchors = {anchor(found) for found in HEADING.findall(target.read_text(encoding="utf-8"))}
            assert heading in anchors, f"{target.name} has no heading for #{heading}"


def test_a_page_that_code_or_inventories_mention_exists() -> None:
    mentioned = {
        (path, page)
        for folder in ("roles", "plugins", "playbooks", "inventories", "molecule")
        for path in (ROOT / folder).rglob("*.*")
        if path.suffix in (".py", ".yml", ".j2")
        for page in re.findall(r"(?<![/\w.])docs/[\w-]+\.md", path.read_text(encoding="utf-8"))
    }
    assert mentioned
    assert [(path, page) for path, page in mentioned if not (ROOT / page).is_file()] == []


def test_the_readme_is_short_and_leads_to_every_page() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 130
    reached = {ROOT / "README.md"}
    waiting = [*reached]
    while waiting:
        page = waiting.pop()
        for path, _heading in LINK.findall(page.read_text(encoding="utf-8")):
            target = (page.parent / path).resolve() if path else page
            if target.suffix == ".md" and target not in reached:
                reached.add(target)
                waiting.append(target)
    assert {*PAGES} <= reached


# --- docs/upgrading.md


def rows(heading: str) -> list[tuple[str, str]]:
    """The rows of the table below a heading of the page."""
    page = (ROOT / "docs/upgrading.md").read_text(encoding="utf-8")
    section = page.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    table = [line.strip("|").split("|", 1) for line in section.splitlines() if line.startswith("| `")]
    return [(former.strip(), now.strip()) for former, now in table]


def test_former_inputs_are_listed_with_their_new_names() -> None:
    listed = {name: now for former, now in rows("Former inputs") for name in re.findall(r"`(\w+)`", former)}
    assert {*listed} == {*FORMER_INPUTS}
    for name, former in FORMER_INPUTS.items():
        assert listed[name].startswith(f"`{former.name}`" if isinstance(former, Renamed) else "removed: ")


def test_a_former_module_is_refused_with_its_new_name() -> None:
    """A module that still has its former name needs no tombstone; the rename brings it."""
    runtime = yaml.safe_load((ROOT / "meta/runtime.yml").read_text(encoding="utf-8"))
    routing = runtime.get("plugin_routing", {}).get("modules", {})
    listed = {former.strip("`"): now.strip("`") for former, now in rows("Former names of modules")}
    assert {*routing} <= {*listed}
    for former, now in listed.items():
        if not (ROOT / f"plugins/modules/{former}.py").exists():
            replacement = now.removeprefix("removed: use ").strip("`")
            assert replacement in routing[former]["tombstone"]["warning_text"]
            assert replacement != now or (ROOT / f"plugins/modules/{now}.py").exists()
