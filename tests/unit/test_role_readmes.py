# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The READMEs of the roles say what the argument specs say."""

from __future__ import annotations

import pytest
from tools import role_readmes


def test_every_readme_is_as_its_argument_spec_says() -> None:
    different = [path.parent.name for path in role_readmes.differing(role_readmes.pages())]
    assert different == [], "run tests/tools/role_readmes.py"


@pytest.mark.parametrize(
    ("ansible", "markdown"),
    [
        ("V(on) or O(a_b), not C(x(y\\))", "`on` or `a_b`, not `x(y\\)`"),
        ("C({a: {b: c}}) and B(bold) I(it)", "`{a: {b: c}}` and **bold** *it*"),
        ("P(airflowops.cluster.flower#role)", "[`flower`](../flower/README.md)"),
        ("P(ansible.builtin.apt#module)", "`ansible.builtin.apt`"),
        ("L(text, https://x.org) U(https://y.org)", "[text](https://x.org) <https://y.org>"),
        ("the API (of Airflow)", "the API (of Airflow)"),
    ],
)
def test_markup(ansible: str, markdown: str) -> None:
    assert role_readmes.markdown(ansible) == markdown


def test_all_that_a_spec_says_is_shown_and_what_was_written_by_hand_is_kept() -> None:
    option = {"type": "str", "description": "What a|b is."}
    specs = {
        "main": {
            "short_description": "Short",
            "description": ["One.", "Two."],
            "options": {
                "r_a": {**option, "default": "", "choices": ["x", "y"]},
                "r_b": {**option, "required": True},
                "r_c": {
                    **option,
                    "type": "list",
                    "elements": "dict",
                    "options": {"k": {**option, "type": "int"}},
                },
            },
        },
        "units": {"short_description": "Units", "description": "For others."},
    }
    lines = role_readmes.render("r", specs, "## Notes").splitlines()
    assert '| `r_a` | str | `""` | What a\\|b is. One of `x`, `y`. |' in lines
    assert "| `r_b` | str | required | What a\\|b is. |" in lines
    assert "| `r_c` | list of dict | none | What a\\|b is. |" in lines
    assert "| `k` | int | none | What a\\|b is. |" in lines
    assert [line for line in lines if line.startswith("#")] == [
        "# r",
        "## Inputs",
        "## Entry point `units`",
        "## Notes",
    ]
    assert [line for line in lines if line in ("Short.", "One.", "Two.", "For others.")] == [
        "Short.",
        "One.",
        "Two.",
        "For others.",
    ]
