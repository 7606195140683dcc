# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing of ours asks a host of the cluster by a proxy, whatever the environment names.

Every request below goes to a host of the cluster: one that goes elsewhere has to be named here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
# Modules that follow the variables of the host that they run on, unless they are reported not to.
MODULES = {
    "ansible.builtin.uri",
    "ansible.builtin.get_url",
    "airflowops.cluster.airflow_objects",
    "airflowops.cluster.airflow_health_info",
    "airflowops.cluster.airflow_dag_run",
}
PLAYBOOKS = [
    path
    for folder in ("roles", "playbooks", "molecule")
    for path in sorted((ROOT / folder).rglob("*.yml"))
    if path.parent.name not in ("meta", "vars", "defaults", "inventory")
]
PROGRAMS = [
    path
    for folder in ("roles", "plugins")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in (".py", ".j2", ".sh", ".yml")
]


def tasks(node: Any) -> Iterator[dict[str, Any]]:
    """Every dictionary of a file of tasks, at whatever depth."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from tasks(value)
    elif isinstance(node, list):
        for value in node:
            yield from tasks(value)


def requests() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{path.relative_to(ROOT)}: {task.get('name')}", task[module])
        for path in PLAYBOOKS
        for task in tasks(yaml.safe_load(path.read_text()))
        for module in MODULES & set(task)
        if isinstance(task[module], dict)
    ]


def test_every_module_that_asks_a_host_of_ours_uses_no_proxy() -> None:
    found = requests()
    assert len(found) >= 20
    assert [name for name, arguments in found if arguments.get("use_proxy") is not False] == []


@pytest.mark.parametrize(
    ("call", "without_proxy"),
    [
        (r"\burlopen\(", None),
        (r"\burllib\.request\.build_opener\(", r"ProxyHandler\(\{\}\)"),
        (r"\bopen_url\(", r"use_proxy=False|\*\*self\._transport"),
    ],
)
def test_python_asks_hosts_of_ours_without_a_proxy(call: str, without_proxy: str | None) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {text[match.start() : match.end() + 40]!r}"
        for path in PROGRAMS
        if path.suffix == ".py"
        for text in [path.read_text()]
        for match in re.finditer(call, text)
        if without_proxy is None or not re.search(without_proxy, text[match.end() : match.end() + 400])
    ]
    assert wrong == []


def test_curl_asks_without_a_proxy() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in PROGRAMS
        for text in [path.read_text()]
        for match in re.finditer(r"(/usr/bin/curl |\[?'curl'|- curl\n|`curl )", text)
        if "noproxy" not in text[match.start() : match.start() + 900]
        and "apt" not in match.string[match.start() - 40 : match.start()]
    ]
    assert [entry for entry in wrong if "packages/vars" not in entry] == []
