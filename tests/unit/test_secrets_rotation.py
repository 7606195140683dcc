# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rotation in a file of secrets, step by step."""

from __future__ import annotations

import json

import pytest
import yaml
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import secret_problem
from ansible_collections.airflowops.cluster.plugins.plugin_utils.secrets_rotation import (
    IN_ROTATION,
    STEPS,
    stepped,
)

NAMES = ["airflow_fernet_key", "flower_password"]
TEXT = """---
# Mine, with a comment: and a colon.
flower_password: an old one  # of 2024
smtp_password: 'leave me'
airflow_fernet_key: "old-key"
list:
  - of things
"""


def test_all_steps() -> None:
    announced, names = stepped(TEXT, "announce", NAMES)
    assert names == NAMES
    # Added at the end, all else untouched.
    assert announced.startswith(TEXT)
    state = yaml.safe_load(announced)[IN_ROTATION]
    assert all(secret_problem(name, state[name]["next"]) == "" for name in NAMES)
    used, names = stepped(announced, "use", [])
    assert names == NAMES
    values = yaml.safe_load(used)
    for name, old in (("flower_password", "an old one"), ("airflow_fernet_key", "old-key")):
        assert values[name] == state[name]["next"]
        assert values[IN_ROTATION][name] == {"previous": old}
    assert "# Mine, with a comment: and a colon.\n" in used
    assert "  # of 2024\nsmtp_password: 'leave me'\n" in used
    assert values["list"] == ["of things"]
    forgotten, names = stepped(used, "forget", [])
    assert names == NAMES
    assert yaml.safe_load(forgotten) == {**values, IN_ROTATION: {name: {} for name in NAMES}}
    assert "an old one" not in forgotten
    # Cut off in the last pass, and run again: none begins before all parts have heard of this one's end.
    for step in ("announce", "use", "forget"):
        assert stepped(forgotten, step, NAMES) == (forgotten, NAMES)
    ended, names = stepped(forgotten, "end", [])
    assert names == []
    assert yaml.safe_load(ended) == {**values, IN_ROTATION: {}}


@pytest.mark.parametrize(
    "value", [">-\n  one-line\n", "|\n  one-line\n\n", "'one-line'\n", "one-line # mine\n"]
)
def test_a_value_in_any_form_of_yaml_is_replaced(value: str) -> None:
    text = f"flower_password: {value}airflow_fernet_key: other\n"
    announced, _ = stepped(text, "announce", NAMES[1:])
    used = yaml.safe_load(stepped(announced, "use", [])[0])
    assert used["flower_password"] == yaml.safe_load(announced)[IN_ROTATION]["flower_password"]["next"]
    assert used["airflow_fernet_key"] == "other"


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_step_taken_again_changes_nothing(count: int) -> None:
    text, steps = TEXT, STEPS[:count]
    for step in steps:
        text, _ = stepped(text, step, NAMES)
    again, _ = stepped(text, steps[-1], NAMES)
    if steps[-1] == "announce":
        assert again == text
    else:
        assert yaml.safe_load(again) == yaml.safe_load(text)


def test_what_is_under_way_goes_on_whatever_is_named() -> None:
    announced, _ = stepped(TEXT, "announce", NAMES[:1])
    again, names = stepped(announced, "announce", NAMES)
    assert (again, names) == (announced, NAMES[:1])
    used, _ = stepped(announced, "use", [])
    assert stepped(used, "announce", NAMES) == (used, NAMES[:1])


def test_forgets_only_what_is_no_longer_used() -> None:
    announced, _ = stepped(TEXT, "announce", NAMES)
    assert stepped(announced, "forget", [])[0] == announced


def test_a_second_rotation_begins_after_the_first() -> None:
    text = TEXT
    for step in (*STEPS, "announce"):
        text, names = stepped(text, step, NAMES[:1])
    assert names == NAMES[:1]
    assert text.count(IN_ROTATION) == 1


def test_an_old_value_of_any_characters_is_kept_as_it_is() -> None:
    old = "-a \"b' c\\d %e {{j é漢🔑 #x: y"
    text = "flower_password: " + json.dumps(old, ensure_ascii=False) + "\n"
    announced, _ = stepped(text, "announce", ["flower_password"])
    used, _ = stepped(announced, "use", [])
    assert yaml.safe_load(used)[IN_ROTATION] == {"flower_password": {"previous": old}}
    old.encode()
