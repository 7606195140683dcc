# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Members of an etcd cluster: which to add and remove, and etcd's JSON gateway to do so.

A member is a dictionary as etcd gives it: ID (a decimal number as text), name (missing until it has
started for the first time), peerURLs (missing if none).
"""

from __future__ import annotations

import json
import time
import urllib.error
from typing import Any, Sequence

from ansible.module_utils.urls import open_url

Member = dict[str, Any]


# etcd takes a change only when all its members have been in touch for five seconds (strict-reconfig-check):
# one that has just joined has not.
NOT_YET = ("unhealthy cluster", "not enough started members")
NOT_YET_SECONDS = 60


class EtcdError(Exception):
    """What cannot be done, with the fix."""


def plan_join(members: Sequence[Member], name: str, peer_url: str) -> list[dict[str, str]]:
    """The steps by which a machine without data becomes a member.

    Members of its name or address that have started are its predecessors, whose data are gone. One at its
    address that has not started is what an interrupted run announced.
    """
    steps = []
    announced = False
    for member in members:
        if peer_url in member.get("peerURLs", []) and not member.get("name"):
            announced = True
        elif peer_url in member.get("peerURLs", []) or member.get("name") == name:
            steps.append({"action": "remove", "id": member["ID"], "name": member.get("name", "")})
    if not announced:
        steps.append({"action": "add", "peer_url": peer_url})
    return steps


def plan_prune(members: Sequence[Member], keep: Sequence[str]) -> list[dict[str, str]]:
    """The steps by which nobody is left whose peer URL is not in `keep`."""
    gone = [member for member in members if not {*member.get("peerURLs", [])} & {*keep}]
    if len(gone) == len(members):
        raise EtcdError("No member of etcd would be left: the inventory lists none of those that there are")
    return [{"action": "remove", "id": member["ID"], "name": member.get("name", "")} for member in gone]


def initial_cluster(members: Sequence[Member], name: str, peer_url: str) -> str:
    """What ETCD_INITIAL_CLUSTER of the new member has to say: all members by name and peer URL."""
    entries = []
    for member in members:
        for url in member.get("peerURLs", []):
            entries.append(f"{name if url == peer_url else member.get('name', '')}={url}")
    return ",".join(sorted(entries))


class Gateway:
    """etcd's members, asked over HTTPS of the first endpoint that answers."""

    def __init__(self, endpoints: Sequence[str], tls: dict[str, str], timeout: float) -> None:
        self.endpoints = list(endpoints)
        self.timeout = timeout
        self.tls = {
            "ca_path": tls["ca_cert"],
            "client_cert": tls["client_cert"],
            "client_key": tls["client_key"],
        }

    def call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        failures = []
        for endpoint in self.endpoints:
            try:
                answer = open_url(
                    endpoint + path, data=json.dumps(body), method="POST", timeout=self.timeout,
                    headers={"Content-Type": "application/json"}, use_proxy=False, **self.tls,
                )  # fmt: skip
                return dict(json.load(answer))
            except urllib.error.HTTPError as error:
                failures.append(f"{endpoint}: {error.read().decode(errors='replace').strip()}")
            except OSError as error:
                failures.append(f"{endpoint}: {error}")
        raise EtcdError(
            "No member of etcd did what was asked: see `journalctl -u etcd` there. " + "; ".join(failures)
        )

    def members(self) -> list[Member]:
        return list(self.call("/v3/cluster/member/list", {})["members"])

    def apply(self, step: dict[str, str]) -> None:
        """Takes one step, and waits for members that are not in touch yet."""
        deadline = time.monotonic() + NOT_YET_SECONDS
        while True:
            try:
                if step["action"] == "add":
                    self.call("/v3/cluster/member/add", {"peerURLs": [step["peer_url"]]})
                else:
                    self.call("/v3/cluster/member/remove", {"ID": step["id"]})
                return
            except EtcdError as error:
                if time.monotonic() > deadline or not any(words in str(error) for words in NOT_YET):
                    raise
                time.sleep(1)
