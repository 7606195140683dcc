# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any host may be dead, the first of its group too: what is said, and that nothing leans on a first one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.airflowops.cluster.plugins.filter import topology
from ansible_collections.airflowops.cluster.plugins.plugin_utils.reach import (
    answering,
    limit_without,
    lost_groups_message,
    undone_lines,
    unreachable_message,
)

ROOT = Path(__file__).parents[2]
SILENT = {
    "unreachable": True,
    "msg": 'Task failed: Data could not be sent to remote host "192.0.2.1". Make sure\n'
    "this host can be reached over ssh: "
    "ssh: connect to host 192.0.2.1 port 22:\nNo route to host",
}
WHY = "ssh: connect to host 192.0.2.1 port 22: No route to host"


def reach(**hosts: str) -> dict[str, dict[str, Any]]:
    return {host: {"__topology_reach": found} if found else {} for host, found in hosts.items()}


# --- Who answers


def test_hosts_of_the_run_come_before_excluded_ones_and_the_dead_are_not_named() -> None:
    found = reach(w1="unreachable", w2="excluded", w3="run", w4="")
    assert answering(["w1", "w2", "w3", "w4"], found) == ["w3", "w2"]
    assert answering(["w1", "w2", "w3", "w4"], found, excluded_only=True) == ["w2"]


def test_where_nobody_has_asked_all_hosts_are_taken_for_alive() -> None:
    assert answering(["w1", "w2"], reach(w1="", w2="")) == ["w1", "w2"]
    assert answering(["w1", "w2"], reach(w1="", w2=""), excluded_only=True) == []


# --- What is said


@pytest.mark.parametrize("probe", ["__preflight_probe", "__topology_reached"])
def test_the_message_names_the_dead_hosts_why_and_the_limit_to_use(probe: str) -> None:
    hosts = {"r1": {probe: SILENT}, "r2": {probe: {}}, "w1": {probe: SILENT}}
    text = unreachable_message(list(hosts), hosts)
    assert text.splitlines() == [
        "r1, w1: no answer over SSH. Nothing was changed.",
        f"- r1: {WHY}.",
        f"- w1: {WHY}.",
        "Start the hosts, or correct how Ansible reaches them (ansible_host, ansible_port, ansible_user); "
        "or run without them, and run again for all when they are back: --limit '!r1:!w1'",
    ]


def test_nothing_is_said_where_all_answer() -> None:
    assert unreachable_message(["r1"], {"r1": {"__preflight_probe": {"fqdn": "r1"}}}) == ""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", "!r1:!w1"),
        ("redis_cluster", "redis_cluster:!r1:!w1"),
        ("r1,r2", "r1,r2,!r1,!w1"),
        ("!x:!y", "!x:!y:!r1:!w1"),
        ("@site.retry", "@site.retry:!r1:!w1"),
    ],
)
def test_a_limit_that_was_given_is_kept(given: str, expected: str) -> None:
    assert limit_without(given, ["r1", "w1"]) == expected


def test_no_limit_is_advised_where_it_would_not_help() -> None:
    hosts = {"db": {"__preflight_probe": SILENT}, "r1": {"__preflight_probe": {}}}
    for arguments in ({"needs_all": True}, {"needs": {"postgres_metastore": ["db"]}}):
        text = unreachable_message(list(hosts), hosts, **arguments)  # type: ignore[arg-type]
        assert "--limit" not in text
        assert "Nothing was changed" in text
    assert "No other host is in postgres_metastore" in text
    assert "--limit" not in unreachable_message(["db"], hosts)


def test_a_group_is_lost_when_none_of_its_hosts_answers_in_the_run_or_outside() -> None:
    needs = {"metastore": ["db"], "redis": ["r1", "r2"], "none": []}
    assert lost_groups_message(needs, reach(db="excluded", r1="unreachable", r2="run")) == ""
    text = lost_groups_message(needs, reach(db="unreachable", r1="unreachable", r2="excluded", w1="run"))
    assert text.startswith("db: no answer over SSH, and no other host is in metastore")
    assert "redis" not in text


def test_the_end_of_a_run_names_who_was_not_served_and_what_roles_noted() -> None:
    hosts = reach(r1="unreachable", r2="run", w1="excluded")
    hosts["r2"]["__topology_undone"] = ["a", "b"]
    lines = undone_lines(["r1", "r2", "w1"], hosts, ["r2"])
    assert lines[0].startswith("Nothing was done on r1: excluded by --limit, no answer over SSH.")
    assert lines[1].startswith("Excluded by --limit: w1.")
    assert lines[2:] == ["a", "b"]
    assert undone_lines(["r2"], reach(r2="run"), ["r2"]) == []


# --- Redis: what is not restarted


def member(host: str, master: str | None = None, slots: bool = True) -> dict[str, Any]:
    return {
        "id": host,
        "host": host,
        "port": 7000,
        "role": "replica" if master else "master",
        "master_id": master,
        "slots": [[0, 1]] if slots and not master else [],
    }


def test_a_master_is_alone_when_no_replica_of_it_answers() -> None:
    info = {
        "topology": [
            member("a"),
            member("b"),
            member("c", slots=False),
            member("ra", "a"),
            member("rb", "b"),
            member("rb2", "b"),
            member("dead", slots=False),
        ],
        "unreachable_nodes": [
            {"host": "ra", "port": 7000, "reason": "x"},
            {"host": "rb", "port": 7000, "reason": "x"},
            {"host": "dead", "port": 7000, "reason": "x"},
        ],
    }
    assert topology.redis_masters_alone(info) == [{"host": "a", "port": 7000}]
    assert topology.redis_masters_alone({**info, "unreachable_nodes": []}) == []


# --- Nothing leans on the first host of a group

SOURCES = sorted(
    path
    for folder in ("playbooks", "roles")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".yml", ".j2") and path.name != "argument_specs.yml"
)
# The first host of a list that is made of hosts that answer: hosts of the play, of the run, or asked for.
LIVING = re.compile(
    r"ansible_play_(hosts|batch)\b[^|]*\|\s*first|select\('in', ansible_play_(batch|hosts|hosts_all)\)"
    r"|airflowops\.cluster\.answering"
)
FIRST = re.compile(
    r"(?:groups\[[^\]]*\][^|}]*|_hosts\b[^|}]*)(?:\|\s*(?!length)[^|}]*)*\|\s*first|(?:_hosts|_group\w*\])\[(?:0|:1)\]|hostvars\[[^\]]*\[0\]"
)
# What is the same whoever lives, and why.
FIRST_ALLOWED = {
    "roles/health/tasks/look.yml": "who asks the workers where there is no master",
    "roles/airflow_common/defaults/main.yml": "the address that users type stays the same",
    "roles/topology/vars/main.yml": "the first hosts run etcd; who keeps backups is configuration",
    "roles/postgres_metastore/vars/main/patroni.yml": "who begins where no host has data",
    "roles/airflow_common/tasks/release_get.yml": "__airflow_release_hosts are hosts of the run",
    "roles/airflow_common/vars/main/main.yml": "__airflow_release_hosts are hosts of the run",
    "playbooks/init_secrets.yml": "of the controller alone",
    "playbooks/redis_scale.yml": "of those that have the fact",
}
DELEGATION_ALLOWED = {
    "localhost": "the controller",
    "{{ inventory_hostname }}": "the host itself",
    "{{ __redis_cluster_mover }}": "one that answers, see hand_over.yml",
    "{{ airflow_common_offering }}": "a host of the run, or an excluded one that answered",
    "{{ postgres_metastore_admit_host }}": "an excluded one that answered; ignore_unreachable",
    "{{ __postgres_metastore_retired }}": "of a former host; ignore_unreachable",
    "{{ __accept_host }}": "a host of the run that has written something",
    "{{ __put_back_host }}": "a host of the run that has written something; ignore_unreachable",
    "{{ item }}": "of a loop, see below",
    "{{ item.item }}": "set_fact alone",
}


def expressions(path: Path) -> Iterator[str]:
    """The Jinja of a file, an expression at a time, without comments of YAML."""
    text = re.sub(r"^\s*#.*$", "", path.read_text(), flags=re.MULTILINE)
    for found in re.finditer(
        r"{{.*?}}|{%.*?%}|(?<=that: )[^\n{]+|(?<=when: )[^\n{]+|^\s+- [^\n{]+$",
        text,
        re.DOTALL | re.MULTILINE,
    ):
        yield " ".join(found.group().split())


def test_no_first_host_is_taken_that_may_be_dead() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {expression}"
        for path in SOURCES
        for expression in expressions(path)
        if FIRST.search(expression)
        and not LIVING.search(expression)
        and str(path.relative_to(ROOT)) not in FIRST_ALLOWED
    }
    assert not found, (
        "take a host that answers (the filter `answering`), or say above why not:\n"
        + "\n".join(sorted(found))
    )


@pytest.mark.parametrize(
    "expression",
    [
        "{{ __topology_airflow_master_hosts | first }}",
        "{{ (__topology_airflow_worker_hosts + __topology_airflow_hosts + [inventory_hostname]) | first }}",
        "{{ groups['redis_cluster'] | first }}",
        "{{ groups[redis_cluster_group] | default([]) | first }}",
        "{{ hostvars[__topology_redis_cluster_hosts[0]].x }}",
        "{{ __topology_hosts[:1] }}",
    ],
)
def test_the_scan_sees_what_it_is_for(expression: str) -> None:
    assert FIRST.search(expression)
    assert not LIVING.search(expression)


def tasks_of(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, list):
        for entry in node:
            yield from tasks_of(entry)
    elif isinstance(node, dict):
        yield node
        for key in ("tasks", "pre_tasks", "post_tasks", "block", "rescue", "always"):
            yield from tasks_of(node.get(key))


def all_tasks() -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in SOURCES:
        if path.suffix == ".yml" and ("tasks" in path.parts or "playbooks" in path.parts):
            for task in tasks_of(yaml.safe_load(path.read_text())):
                yield path.relative_to(ROOT), task


def test_what_is_delegated_goes_to_hosts_that_answer() -> None:
    for path, task in all_tasks():
        for holder in (task, *(value.get("apply", {}) for value in task.values() if isinstance(value, dict))):
            to = holder.get("delegate_to") if isinstance(holder, dict) else None
            if to is None:
                continue
            assert to in DELEGATION_ALLOWED or "airflowops.cluster.answering" in to, (
                f"{path}: {task.get('name')}: {to}"
            )
            if to == "{{ item }}" and "ansible.builtin.set_fact" not in task:
                assert task.get("ignore_unreachable"), (
                    f"{path}: {task['name']} ends the run where one is dead"
                )


def test_an_ignored_dead_host_does_not_end_the_run_without_a_word() -> None:
    """ansible-core's linear strategy ends a play with any_errors_fatal all the same, and prints nothing.

    run_once implies any_errors_fatal.
    """
    exempt = {"health", "logs"}  # Their plays have no any_errors_fatal.
    for path, task in all_tasks():
        if task.get("ignore_unreachable") and not exempt & set(path.parts):
            retire = path.name == "retire_member.yml"
            assert task.get("any_errors_fatal") is False, f"{path}: {task.get('name')}"
            assert not task.get("run_once") or retire, f"{path}: {task.get('name')}"
    for name in exempt:
        for play in yaml.safe_load((ROOT / f"playbooks/{name}.yml").read_text()):
            assert not play.get("any_errors_fatal")


def test_every_playbook_finds_out_who_answers_before_it_changes_anything() -> None:
    first_ones = {"preflight.yml", "internal/check_connections.yml", "site.yml", "worker_drain.yml"}
    exempt = {"init_secrets.yml", "health_timer.yml", "health.yml", "logs.yml", "preflight.yml"}
    for path in sorted((ROOT / "playbooks").glob("*.yml")):
        if path.name not in exempt:
            imported = re.findall(r"import_playbook: (\S+)", path.read_text())
            assert {*imported[:1]} & first_ones, path.name
