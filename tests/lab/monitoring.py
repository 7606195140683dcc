# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus of a lab whose group `monitoring` has a host."""

from __future__ import annotations

import json
import shlex
import urllib.parse
from typing import Any

from lab import Lab


class Monitoring:
    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.host = lab.host(lab.group("monitoring")[0])

    def ask(self, path: str, port: int = 9090, **parameters: str) -> Any:
        url = f"http://127.0.0.1:{port}{path}?{urllib.parse.urlencode(parameters)}"
        program = "import sys, urllib.request as r; sys.stdout.write(r.urlopen(sys.argv[1]).read().decode())"
        return json.loads(self.host.check_output(shlex.join(["python3", "-c", program, url])))

    def empty(self, queries: list[str]) -> list[str]:
        """Those that find nothing. All are asked by one program: each way to the host takes half a second."""
        program = """if True:
            import json, sys, urllib.parse, urllib.request
            empty = []
            for query in json.load(sys.stdin):
                url = "http://127.0.0.1:9090/api/v1/query?" + urllib.parse.urlencode({"query": query})
                if not json.load(urllib.request.urlopen(url))["data"]["result"]:
                    empty.append(query)
            print(json.dumps(empty))"""
        asked = f"echo {shlex.quote(json.dumps(queries))} | python3 -c {shlex.quote(program)}"
        return json.loads(self.host.check_output("sh -c %s", asked))

    def firing(self) -> dict[str, list[dict[str, str]]]:
        found: dict[str, list[dict[str, str]]] = {}
        for alert in self.ask("/api/v1/alerts")["data"]["alerts"]:
            if alert["state"] == "firing":
                found.setdefault(alert["labels"]["alertname"], []).append(alert["labels"])
        return found
