# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges what was seen of a cluster, and writes the report: on the controller, in Ansible's own process."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Collection, Mapping

from ansible.errors import AnsibleFilterError
from ansible.plugins.action import ActionBase
from ansible_collections.airflowops.cluster.plugins.plugin_utils.addresses import ip_address
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.evaluate import judge
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.html_report import page


def report_of(
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
            "names": bool(noted.get("names")),
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
        "reason": "" if answered else why(look),
        "look": look if answered else {},
        "airflow": result(variables.get("__health_airflow"), "answers"),
        "membership": result(variables.get("__health_membership"), "msg", "workers"),
    }


def result(registered: Any, *keys: str) -> Any:
    """What a task registered, if it ran and reported one of the keys."""
    reported = (
        isinstance(registered, Mapping)
        and not registered.get("skipped")
        and not registered.get("unreachable")
    )
    return registered if reported and any(key in registered for key in keys) else None


def why(look: Mapping[str, Any]) -> str:
    """Of the many words of SSH or of a module that ended, the last line: the informative one."""
    for text in (look.get("module_stderr"), look.get("msg")):
        # SSH has the last word when it closes a connection that it shares.
        lines = [line.strip() for line in str(text or "").splitlines() if line.strip()]
        lines = [line for line in lines if not line.startswith("Shared connection to")]
        if lines:
            return lines[-1][max(0, lines[-1].find("ssh: ")) :]
    return ""


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


class ActionModule(ActionBase):
    """Returns the report of the hosts of the play."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(
            argument_spec={
                "expected": {"type": "dict", "required": True},
                "limits": {"type": "dict", "required": True},
                "page": {"type": "str", "default": ""},
                "json": {"type": "str", "default": ""},
            }
        )
        variables = task_vars or {}
        report = report_of(
            variables["hostvars"],
            variables["ansible_play_hosts_all"],
            arguments["expected"],
            arguments["limits"],
        )
        files = {
            arguments["page"]: lambda: page(report),
            arguments["json"]: lambda: json.dumps(report, indent=2, ensure_ascii=False) + "\n",
        }
        try:
            for path, text in files.items():
                if path:
                    Path(path).write_text(text(), encoding="utf-8")
        except OSError as error:
            return {**result, "failed": True, "msg": f"{error.filename} cannot be written: {error.strerror}"}
        return {**result, "changed": False, "report": report}
