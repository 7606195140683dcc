# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the role health. They carry Ansible's data to the pure functions in module_utils."""

from __future__ import annotations

import time
from typing import Any, Collection, Mapping, Sequence

from ansible.errors import AnsibleFilterError
from ansible_collections.airflowops.cluster.plugins.filter.topology import ip_address
from ansible_collections.airflowops.cluster.plugins.module_utils.health_judge import judge
from ansible_collections.airflowops.cluster.plugins.module_utils.health_page import page
from ansible_collections.airflowops.cluster.plugins.module_utils.health_parts import host_parts


def health_report(
    hostvars: Mapping[str, Mapping[str, Any]],
    play_hosts: Collection[str],
    expected: Mapping[str, Any],
    limits: Mapping[str, float],
) -> dict[str, Any]:
    """The report, from what the role's tasks noted and registered of each host."""
    hosts, observed = {}, {}
    for name, address in expected["addresses"].items():
        variables = hostvars[name]
        noted = variables.get("__health_host") or {}
        hosts[name] = {
            "address": str(address),
            "roles": list(noted.get("roles", [])),
            "parts": list(noted.get("parts", [])),
            # Their environment may hold what is nobody's business.
            "workers": [
                {"name": worker["name"], "queues": list(worker["queues"])}
                for worker in noted.get("workers", [])
            ],
        }
        observed[name] = seen(variables, name not in play_hosts)
    return judge(
        {**expected, "hosts": hosts, "redis_nodes": redis_nodes(hostvars, expected)},
        observed,
        limits,
        time.time(),
    )


def seen(variables: Mapping[str, Any], left_out: bool) -> dict[str, Any]:
    look = variables.get("__health_look") or {}
    gone = bool(look.get("unreachable"))
    answered = "systemd" in look
    return {
        "left_out": left_out,
        "reachable": not gone and not left_out,
        "reason": "" if answered else last_line(str(look.get("msg", ""))),
        "look": look if answered else {},
        "airflow": result(variables.get("__health_airflow"), "answers"),
        "membership": result(variables.get("__health_membership"), "msg", "workers"),
    }


def result(registered: Any, *keys: str) -> Any:
    """What a task registered, if it ran and told one of the keys."""
    told = (
        isinstance(registered, Mapping)
        and not registered.get("skipped")
        and not registered.get("unreachable")
    )
    return registered if told and any(key in registered for key in keys) else None


def last_line(text: str) -> str:
    """Of SSH's many words, those that tell."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if lines else ""


def redis_nodes(
    hostvars: Mapping[str, Mapping[str, Any]], expected: Mapping[str, Any]
) -> list[dict[str, Any]]:
    nodes = []
    for name in expected["redis_hosts"]:
        address = str(expected["addresses"][name])
        try:
            ip = ip_address(address)
        except AnsibleFilterError:
            ip = address
        nodes += [
            {"name": name, "ip": ip, "port": int(port)}
            for port in hostvars[name].get("redis_cluster_ports", expected["redis_ports"])
        ]
    return nodes


def health_parts(roles: Sequence[str], settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    return host_parts(roles, settings)


def health_page(report: Mapping[str, Any]) -> str:
    return page(report)


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"health_report": health_report, "health_parts": health_parts, "health_page": health_page}
