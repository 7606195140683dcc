# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What inputs of observability change, and what is wrong with them. amtool is the distribution's."""

from __future__ import annotations

import copy
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.airflowops.cluster.plugins.plugin_utils.observability import (
    alert_rules,
    alertmanager_problems,
    input_problems,
)
from prometheus_data import GROUPS, ROLE, RULES


def test_alerts_as_the_inputs_want_them() -> None:
    rules = alert_rules(
        GROUPS, {"*": "10s", "HostDown": "1h"}, ["MemoryShort"], [{"name": "own", "rules": []}]
    )
    made = {rule["alert"]: rule for group in rules["groups"][:-1] for rule in group["rules"]}
    assert {*made} == {*RULES} - {"MemoryShort"}
    assert (made["HostDown"]["for"], made["NginxDown"]["for"]) == ("1h", "10s")
    assert rules["groups"][-1]["name"] == "own"
    assert alert_rules(GROUPS, {}, [])["groups"] == GROUPS


HASH = "$2y$10$" + "a" * 53


GOOD = {
    "observability_allow": ["10.0.0.5", "10.1.0.0/16", "fd00::/8"],
    "observability_alert_for": {"*": "1m30s", "HostDown": "0"},
    "observability_alerts_off": ["MemoryShort"],
    "observability_listen": "127.0.0.1",
    "observability_web_config": {},
    "observability_alertmanager_config": {"route": {"receiver": "a"}, "receivers": [{"name": "a"}]},
}


def test_good_inputs_have_no_problem() -> None:
    assert input_problems(GOOD, [*RULES]) == []
    open_to_all = {
        "observability_listen": "0.0.0.0",
        "observability_web_config": {"basic_auth_users": {"ann": HASH}},
    }
    assert input_problems({**GOOD, **open_to_all}, [*RULES]) == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"observability_allow": ["everybody"]}, "names everybody, which is no address"),
        ({"observability_alert_for": {"HostDwn": "1m"}}, "names HostDwn, which is no alert"),
        ({"observability_alert_for": {"HostDown": "soon"}}, "has 'soon' for HostDown"),
        ({"observability_alerts_off": ["Memory"]}, "names Memory, which is no alert"),
        ({"observability_listen": "0.0.0.0"}, "without a login"),
        ({"observability_listen": "monitor.example.org"}, "is no IP address"),
        ({"observability_web_config": {"basic_auth_users": {"ann": "secret"}}}, "no bcrypt hash for ann"),
        ({"observability_alertmanager_config": {"receivers": []}}, "has no route with a receiver"),
        (
            {"observability_alertmanager_config": {
                "route": {"receiver": "a", "routes": [{"receiver": "b"}]}, "receivers": [{"name": "a"}]}},
            "sends alerts to b, which is none of its receivers",
        ),
    ],
)  # fmt: skip
def test_each_bad_input_is_told(values: dict[str, Any], words: str) -> None:
    problems = input_problems({**copy.deepcopy(GOOD), **values}, [*RULES])
    assert len(problems) == 1 and words in problems[0], problems
    assert ": " in problems[0]


def test_the_default_of_alertmanager_is_taken(tmp_path: Path) -> None:
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8"))
    config = defaults["observability_alertmanager_config"]
    assert alertmanager_problems(config) == []
    file = tmp_path / "alertmanager.yml"
    file.write_text(yaml.safe_dump(config))
    subprocess.run(["amtool", "check-config", str(file)], check=True, capture_output=True)
