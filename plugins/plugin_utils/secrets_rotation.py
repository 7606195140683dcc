# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives the secrets in a file of variables new values, step by step.

`announce` makes the new values, which those who accept a secret are given; with `use` they take the place
of the old ones, which are still accepted; `forget` ends that, and with `end`, when every part has heard of
it, nothing is under way any more. That stands in a variable of the file:

    secrets_in_rotation: {"airflow_fernet_key": {"next": "..."}}        # after announce
    secrets_in_rotation: {"airflow_fernet_key": {"previous": "..."}}    # after use
    secrets_in_rotation: {"airflow_fernet_key": {}}                     # after forget
    secrets_in_rotation: {}                                             # after end

Each step can be taken again: a rotation that was cut off is ended by the steps in their order.
"""

from __future__ import annotations

import json
from typing import Any

import yaml
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import new_secret

STEPS = ("announce", "use", "forget", "end")
IN_ROTATION = "secrets_in_rotation"
# A person's: whoever has it changes it in the UI.
LEFT_ALONE = ("airflow_admin_password",)


def with_value(text: str, name: str, value: Any) -> str:
    """The text of a YAML mapping with the value of one of its names replaced, or added at its end."""
    # YAML knows no pairs of surrogates, as which JSON would escape a character beyond 16 bits.
    written = json.dumps(value, ensure_ascii=False)
    root = yaml.compose(text)
    for key, node in root.value if root else []:
        if key.value == name:
            # A block (>-, |) ends with the line breaks after it.
            end = len(text[: node.end_mark.index].rstrip())
            return text[: node.start_mark.index] + written + text[end:]
    if text and not text.endswith("\n"):
        text += "\n"
    return f"{text}{name}: {written}\n"


def stepped(text: str, step: str, names: list[str]) -> tuple[str, list[str]]:
    """The text after a step, and the names of the secrets that are being rotated.

    `names` counts for `announce` only, and only where nothing is being rotated yet.
    """
    variables = yaml.safe_load(text) or {}
    before: dict[str, dict[str, str]] = variables.get(IN_ROTATION) or {}
    after = dict(before)
    if step == "announce" and not before:
        after = {name: {"next": new_secret(name)} for name in names}
    elif step == "use":
        for name in [name for name in before if "next" in before[name]]:
            text = with_value(text, name, before[name]["next"])
            after[name] = {"previous": variables[name]}
    elif step == "forget":
        after = {name: {} if "previous" in state else state for name, state in before.items()}
    elif step == "end":
        after = {name: state for name, state in before.items() if state}
    if after != before or IN_ROTATION not in variables:
        text = with_value(text, IN_ROTATION, after)
    return text, sorted(after)
