# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a cluster's health: all that there is is drawn, nothing is loaded, nothing is believed."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.airflowops.cluster.plugins.action.health_report import report_of
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.html_report import SIGNS, page
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.report import COMPONENTS

sys.path.insert(0, str(Path(__file__).parent))
from health_world import LIMITS, ROLES, World, redis_node_down, unreachable_worker

VOID = {"meta"}


class Checked(HTMLParser):
    """Every element that is opened is closed, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.stack == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def drawn(world: World) -> Checked:
    return Checked(page(world.judged()))


def test_every_host_and_every_part_is_drawn() -> None:
    seen = drawn(World())
    picture = " ".join(seen.words)
    for name in ROLES:
        assert name in picture
    for part in (
        "redis 7000",
        "patroni",
        "etcd",
        "scheduler",
        "worker general",
        "nginx",
        "flower",
        "haproxy",
    ):
        assert part in picture
    assert "master, broker, 5462 slots" in picture
    assert "replica of redis1:7000" in picture
    assert "All is well" in picture


@pytest.mark.parametrize("state", SIGNS)
def test_every_state_is_drawn(state: str) -> None:
    world = World()
    redis_node_down(world)
    world["master1"]["disks"][0]["used_percent"] = 85.0
    unreachable_worker(world)
    world["front1"]["systemd"]["units"]["nginx.service"]["enabled"] = False
    world.observed["worker2"].update(left_out=True, reachable=False, look={})
    seen = drawn(world)
    boxes = [
        attributes for tag, attributes in seen.tags if tag == "rect" and "box" in (attributes["class"] or "")
    ]
    assert len(boxes) >= len(ROLES)
    assert any(attributes["class"] == f"box {state}" for attributes in boxes)
    assert any(tag == "text" and attributes.get("class") == state for tag, attributes in seen.tags)


def test_cause_mend_and_consequences_are_told() -> None:
    world = World()
    redis_node_down(world)
    text = " ".join(drawn(world).words)
    finding = world.judged()["findings"][0]
    assert finding["cause"] in text
    assert "systemctl start redis-cluster@7000.service" in text
    for consequence in finding["consequences"]:
        assert consequence in text


def test_nothing_is_loaded_or_run() -> None:
    seen = drawn(World())
    assert {tag for tag, _ in seen.tags} & {"script", "link", "img", "iframe", "object", "a"} == set()
    for _tag, attributes in seen.tags:
        assert not {"src", "href", "onload", "onclick"} & {*attributes}
    text = page(World().judged())
    assert "url(" not in text
    assert "@import" not in text
    assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]


def test_what_hosts_and_files_say_is_escaped() -> None:
    world = World()
    evil = "<script>alert('1')</script>\"&`"
    for host in ("master1", "master2"):
        world.observed[host]["airflow"].update(
            import_errors=[{"file": evil, "bundle": "", "error": evil}], import_error_count=1
        )
        world.observed[host]["airflow"]["queued"] = {
            "count": 1, "queues": {evil: {"tasks": 1, "oldest_age": 90.0, "dag": evil}},
        }  # fmt: skip
    world["db1"]["host"]["os"]["name"] = evil
    world.expected["name"] = evil
    world.observed["worker1"].update(reachable=False, reason=evil, look={})
    world["redis1"]["redis"]["7000"]["version"] = evil
    text = page(world.judged())
    assert "<script" not in text
    assert "alert(&#x27;1&#x27;)" in text
    Checked(text)


def test_no_secret_of_the_inventory_is_in_the_report() -> None:
    """The judges see of the variables of a host what they need, which is none of the secrets."""
    world = World()
    secret = "a-secret-of-the-inventory"
    hostvars: dict[str, dict[str, Any]] = {}
    for name, host in world.expected["hosts"].items():
        seen = world.observed[name]
        hostvars[name] = {
            "redis_cluster_password": secret,
            "airflow_admin_password": secret,
            "airflow_environment": {"TOKEN": secret},
            "__health_host": {
                "roles": host["roles"],
                "parts": host["parts"],
                "workers": [{**worker, "environment": {"TOKEN": secret}} for worker in host["workers"]],
            },
            "__health_look": {**seen["look"], "invocation": {"module_args": {"redis": {"password": secret}}}},
            "__health_airflow": {
                **(seen["airflow"] or {"skipped": True}),
                "invocation": {"password": secret},
            },
            "__health_membership": {
                **(seen["membership"] or {"skipped": True}),
                "invocation": {"url": secret},
            },
        }
    expected = {
        **{key: value for key, value in world.expected.items() if key not in ("hosts", "redis_nodes")},
        "addresses": {name: host["address"] for name, host in world.expected["hosts"].items()},
        "redis_hosts": ["redis1", "redis2", "redis3"],
        "redis_ports": [7000, 7001],
    }
    # By the clock of now, a backup of the world's time is yet to be made.
    report = report_of(hostvars, list(ROLES), expected, LIMITS)
    assert [entry for entry in report["findings"] if entry["component"] != "backups"] == []
    assert secret not in str(report)
    assert secret not in page(report)


def test_the_page_names_every_component_of_the_report() -> None:
    words = " ".join(drawn(World()).words)
    for title in COMPONENTS.values():
        assert title in words
