# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `firewall.allowed` returns, as ufw and firewalld write it: pure functions."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, NamedTuple

EVERYWHERE = ("0.0.0.0/0", "::/0")
# --- ufw

# By which ours are known among the user's.
MARK = "airflowops: "
# iptables takes no more in one rule.
MULTIPORT = 15


class UfwMatch(NamedTuple):
    """What ufw takes for the same rule, whatever it does with the packet."""

    family: int
    proto: str
    ports: str
    source: str


class UfwRule(NamedTuple):
    action: str
    comment: str

    @property
    def ours(self) -> bool:
        return self.comment.startswith(MARK)


def ufw_rules(text: str, family: int) -> dict[UfwMatch, UfwRule]:
    """Those of a file of rules, user.rules or user6.rules, that are of the kind of ours.

    Each rule follows a line `### tuple ### ACTION PROTO PORTS TO PORTS FROM DIRECTION comment=HEX`; those of
    application profiles have two words more.
    """
    found = {}
    for line in text.splitlines():
        if not line.startswith("### tuple ###"):
            continue
        words = line.split()[3:]
        comment = ""
        if words[-1].startswith("comment="):
            comment = bytes.fromhex(words.pop().partition("=")[2]).decode("utf-8", "replace")
        if len(words) != 7 or words[6] != "in" or words[3] not in EVERYWHERE or words[4] != "any":
            continue
        action, proto, ports, source = words[0], words[1], words[2], words[5]
        found[UfwMatch(family, proto, ports, source)] = UfwRule(action, comment)
    return found


def ufw_wanted(rules: Iterable[Mapping[str, Any]], ipv6: bool = True) -> dict[UfwMatch, UfwRule]:
    found: dict[UfwMatch, UfwRule] = {}
    for rule in rules:
        if rule["family"] == 6 and not ipv6:
            continue
        # Their quotes end a word in ufw's own files.
        comment = MARK + rule["why"].replace("'", '"')
        ports = [port.replace("-", ":") for port in rule["ports"]]
        parts = [ports[at : at + MULTIPORT] for at in range(0, len(ports), MULTIPORT)] or [["any"]]
        for part in parts:
            match = UfwMatch(rule["family"], rule["proto"], ",".join(part), rule["source"])
            found.setdefault(match, UfwRule("allow", comment))
    return found


def ufw_words(match: UfwMatch) -> list[str]:
    """What comes after `ufw allow`."""
    words = ["proto", match.proto, "from", match.source]
    return words if match.ports == "any" else [*words, "to", "any", "port", match.ports]


def ufw_lines(rules: Mapping[UfwMatch, UfwRule]) -> str:
    """For people: what changes."""
    return "".join(
        f"ufw {rule.action} {' '.join(ufw_words(match))} comment '{rule.comment}'\n"
        for match, rule in sorted(rules.items())
        if rule.ours
    )


# --- firewalld

POLICY = "airflowops"
# What the file of our policy holds besides rules. Its place is after the rules of zones, so that what the
# user denies there stays denied, and before what a zone does with all the rest.
POLICY_FILE = """<?xml version="1.0" encoding="utf-8"?>
<policy priority="100" target="CONTINUE">
  <short>airflowops</short>
  <description>What the hosts of Airflow need, whatever the zone. Set by the collection airflowops.cluster.\
</description>
  <ingress-zone name="ANY"/>
  <egress-zone name="HOST"/>
</policy>
"""


def rich_rules(rules: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """{rich rule, as firewalld prints it: what it is for}"""
    found: dict[str, str] = {}
    for rule in rules:
        begin = f'rule family="ipv{rule["family"]}"'
        if rule["source"] not in EVERYWHERE:
            begin += f' source address="{rule["source"]}"'
        whats = [f'port port="{port}" protocol="{rule["proto"]}"' for port in rule["ports"]]
        for what in whats or [f'protocol value="{rule["proto"]}"']:
            found.setdefault(f"{begin} {what} accept", rule["why"])
    return found


def listed(text: str) -> dict[str, dict[str, list[str]]]:
    """{name: {what: values}} of the zones or policies that `firewall-cmd --list-all…` prints."""
    found: dict[str, dict[str, list[str]]] = {}
    entry: dict[str, list[str]] = {}
    values: list[str] = []
    for line in text.splitlines():
        if not line.strip():
            continue
        if not line.startswith((" ", "\t")):
            entry = found.setdefault(line.split()[0], {})
        elif line.startswith("\t"):
            # One of several lines, as of rich rules.
            values.append(line.strip())
        else:
            name, _colon, rest = line.strip().partition(":")
            values = entry.setdefault(name, [])
            values += rest.split()
    return {name: {what: sorted(ones) for what, ones in whats.items()} for name, whats in found.items()}


def unsaved(runtime: str, permanent: str) -> list[str]:
    """What would be gone after a reload, `NAME: WHAT VALUE`.

    Interfaces are not: firewalld keeps in which zone they are.
    """
    now, then = listed(runtime), listed(permanent)
    found = []
    for name, whats in now.items():
        for what, values in whats.items():
            if what != "interfaces" and name != POLICY:
                kept = then.get(name, {}).get(what, [])
                found += [f"{name}: {what} {value}" for value in values if value not in kept]
    return found
