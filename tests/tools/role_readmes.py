#!/usr/bin/env python3
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes roles/*/README.md from the roles' argument specs.

role_readmes.py           writes every README that is not as it should be, and names it
role_readmes.py --check   only names them, and fails if there are any

What stands in a README below the line BY_HAND is kept as it is.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, Iterable

import yaml

ROLES = Path(__file__).resolve().parents[2] / "roles"
GENERATED = "<!-- Generated from meta/argument_specs.yml by tests/tools/role_readmes.py: change it there. -->"
BY_HAND = "<!-- Written by hand from here on. -->"
COLLECTION = "airflowops.cluster."
# Ansible's markup, such as V(text); the text may hold pairs of parentheses.
MARKUP = re.compile(r"\b(?P<tag>[A-Z]{1,2})\((?P<text>(?:[^()]|\([^()]*\))*)\)")


def markdown(text: str) -> str:
    """Text with Ansible's markup, as Markdown."""
    return MARKUP.sub(marked_up, text)


def marked_up(match: re.Match[str]) -> str:
    tag, text = match["tag"], match["text"]
    if tag == "P" and text.startswith(COLLECTION) and text.endswith("#role"):
        role = text[len(COLLECTION) : -len("#role")]
        return f"[`{role}`](../{role}/README.md)"
    if tag == "L":
        label, _comma, url = text.partition(",")
        return f"[{label}]({url.strip()})"
    plain = {"U": f"<{text}>", "B": f"**{text}**", "I": f"*{text}*"}
    return plain.get(tag, f"`{text.partition('#')[0]}`")


def paragraphs(description: str | Iterable[str]) -> list[str]:
    return [description] if isinstance(description, str) else list(description)


def default_of(option: dict[str, Any]) -> str:
    """The default of an option as its cell in the table shows it."""
    if option.get("required"):
        return "required"
    if "default" not in option:
        return "none"
    value = option["default"]
    return f"`{value if isinstance(value, str) and value else json.dumps(value)}`"


def type_of(option: dict[str, Any]) -> str:
    kind = str(option["type"])
    return f"{kind} of {option['elements']}" if "elements" in option else kind


def table(options: dict[str, Any]) -> list[str]:
    """The options, and below the table those of their entries."""
    lines = ["| variable | type | default | meaning |", "|---|---|---|---|"]
    for name, option in options.items():
        meaning = markdown(" ".join(paragraphs(option["description"])))
        if option.get("choices"):
            meaning += f" One of {', '.join(f'`{choice}`' for choice in option['choices'])}."
        cells = (f"`{name}`", type_of(option), default_of(option), meaning)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    for name, option in options.items():
        if option.get("options"):
            lines += ["", f"Each entry of `{name}` has:", "", *table(option["options"])]
    return lines


def render(role: str, specs: dict[str, Any], by_hand: str = "") -> str:
    """The README of a role.

    specs: the entry points in its argument specs; the first is about the role as a whole.
    by_hand: what stands in the README below the line of this name.
    """
    lines = [GENERATED, "", f"# {role}"]
    for number, (name, spec) in enumerate(specs.items()):
        if number:
            lines += ["", f"## Entry point `{name}`"]
        for text in (f"{spec['short_description']}.", *paragraphs(spec["description"])):
            lines += ["", markdown(text)]
        if spec.get("options"):
            lines += ["", *([] if number else ["## Inputs", ""]), *table(spec["options"])]
    if by_hand:
        lines += ["", BY_HAND, "", by_hand]
    return "\n".join(lines) + "\n"


def readme(role: Path) -> str:
    """What the README of a role should be."""
    text = (role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    path = role / "README.md"
    present = path.read_text(encoding="utf-8") if path.exists() else ""
    return render(role.name, yaml.safe_load(text)["argument_specs"], present.partition(BY_HAND)[2].strip())


def pages() -> dict[Path, str]:
    """The READMEs as they should be."""
    specs = sorted(ROLES.glob("*/meta/argument_specs.yml"))
    return {spec.parents[1] / "README.md": readme(spec.parents[1]) for spec in specs}


def differing(wanted: dict[Path, str]) -> dict[Path, str]:
    """Those of the generated pages that are not as they should be."""
    return {
        path: text
        for path, text in wanted.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }


def main(arguments: list[str], wanted: dict[Path, str], usage: str | None) -> int:
    """Writes generated pages, or with --check names those that are not current."""
    check = arguments == ["--check"]
    if arguments and not check:
        print(usage, file=sys.stderr)
        return 2
    different = differing(wanted)
    for path, text in different.items():
        print(f"{path.relative_to(ROLES.parent)} {'is not current' if check else 'written'}")
        if not check:
            path.write_text(text, encoding="utf-8")
    return 1 if check and different else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], pages(), __doc__))
