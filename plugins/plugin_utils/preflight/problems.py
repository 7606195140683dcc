# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks of an inventory share: how problems are collected and worded, whose hosts are whose."""

from __future__ import annotations

import difflib
import re
from typing import Any, Iterable

HIGHEST_PORT = 65535
# More are not named one by one where a problem is on all of them.
MOST_HOSTS_NAMED = 8


class Problems:
    """Collects problems. Those of the same words become one sentence that names all their hosts."""

    def __init__(self, hosts: Iterable[str] = ()) -> None:
        self._all = set(hosts)
        self._hosts: dict[str, set[str]] = {}

    def add(self, text: str, *hosts: str) -> None:
        """Notes a problem; the hosts are named where ``text`` has ``{hosts}``."""
        self._hosts.setdefault(text, set()).update(hosts)

    def sentences(self) -> list[str]:
        return sorted(text.replace("{hosts}", self._named(hosts)) for text, hosts in self._hosts.items())

    def _named(self, hosts: set[str]) -> str:
        many = len(hosts) > MOST_HOSTS_NAMED and hosts == self._all
        return f"all {len(hosts)} hosts" if many else listing(hosts)


# --- Words and numbers


def listing(items: Iterable[Any]) -> str:
    return ", ".join(sorted(str(item) for item in items))


def count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def nearest(name: str, names: Iterable[str]) -> str:
    """A question after the most similar of the names, or nothing where none is similar."""
    matches = difflib.get_close_matches(name, sorted(names), n=1)
    return f" (did you mean {matches[0]}?)" if matches else ""


def as_integer(value: Any) -> int | None:
    """The whole number that the value is, also where it was given as text on a command line."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
        return int(value)
    return None


# --- Hosts and groups


def hosts_of(cluster: dict[str, Any], *roles: str) -> list[str]:
    """The hosts that play one of the roles, whether or not they are in this run."""
    return sorted({host for role in roles for host in cluster["roles"].get(role, {}).get("hosts", [])})


def known_hosts(cluster: dict[str, Any], *roles: str) -> list[str]:
    return [host for host in hosts_of(cluster, *roles) if host in cluster["hosts"]]


def all_known(cluster: dict[str, Any], *roles: str) -> bool:
    return len(known_hosts(cluster, *roles)) == len(hosts_of(cluster, *roles))


def values_of(cluster: dict[str, Any], host: str) -> dict[str, Any]:
    return cluster["hosts"][host].get("values", {})


def setting(cluster: dict[str, Any], host: str, name: str, default: int) -> int:
    """One of our own limits on a host."""
    number = as_integer(values_of(cluster, host).get(name))
    return default if number is None else number
