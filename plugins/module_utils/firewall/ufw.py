# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our rules among those of a user's ufw.

community.general.ufw sets one rule a call, and neither lists rules nor removes those that are not wanted any
more: it would replace the one line that runs `ufw allow`. Where 40 rules are there already, its 40 calls
took about ten times as long as one of ours (in place of ufw a program that answers at once).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Iterable, Mapping, NamedTuple

from ansible_collections.airflowops.cluster.plugins.module_utils.firewall.backend import EVERYWHERE, BackEnd
from ansible_collections.airflowops.cluster.plugins.module_utils.firewall.rollback import RollbackError, write
from ansible_collections.airflowops.cluster.plugins.module_utils.host.probe import read_text

UFW = Path("/etc/ufw")
UFW_FILES = {4: "user.rules", 6: "user6.rules"}
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


class Ufw(BackEnd):
    """What its command changes is for good at once. So for a trial its files are put back as they were."""

    name = "ufw"

    def files(self) -> dict[str, str]:
        return {name: read_text(UFW / name) for name in UFW_FILES.values()}

    def live(self) -> dict[UfwMatch, UfwRule]:
        found: dict[UfwMatch, UfwRule] = {}
        for family, name in UFW_FILES.items():
            found.update(ufw_rules(read_text(UFW / name), family))
        return found

    def has_ours(self) -> bool:
        """Rules that a package which is gone has left do nothing."""
        installed = self.module.get_bin_path("ufw")
        return bool(installed) and any(rule.ours for rule in self.live().values())

    def put(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            write(UFW / name, text, 0o640)

    def apply(self, rules: list[dict[str, Any]], remove: bool) -> dict[str, Any]:
        ipv6 = bool(
            re.search(r"^IPV6=[\"']?yes", read_text("/etc/default/ufw"), re.MULTILINE | re.IGNORECASE)
        )
        live, wanted = self.live(), ufw_wanted(rules, ipv6)
        add = {}
        for match, rule in wanted.items():
            there = live.get(match)
            if there is None or (there.ours and there != rule):
                add[match] = rule
            elif not there.ours and not there.action.startswith("allow"):
                self.module.warn(
                    f"The user's rule `ufw {there.action} {' '.join(ufw_words(match))}` stays, and is in the "
                    f"way of {rule.comment.partition(' ')[2]}."
                )
        gone = {match: rule for match, rule in live.items() if remove and rule.ours and match not in wanted}
        result: dict[str, Any] = {"changed": bool(add or gone), "trial": False}
        if not result["changed"]:
            return result
        after = {match: rule for match, rule in {**live, **add}.items() if match not in gone}
        result["diff"] = {"before_header": "ufw", "after_header": "ufw", "before": ufw_lines(live),
                          "after": ufw_lines(after)}  # fmt: skip
        if self.check:
            return result
        for match, rule in add.items():
            self.run("ufw", "allow", *ufw_words(match), "comment", rule.comment)
        if gone:
            result["trial"] = self.running
            self.remove(gone)
        return result

    def remove(self, gone: dict[UfwMatch, UfwRule]) -> None:
        """What is off is not tried: nothing depends on its rules."""
        former = self.files()
        if self.running:
            self.empty_folder()
            for name, text in former.items():
                write(self.folder / f"former-{name}", text)
            put_back = "".join(f"cat {self.folder}/former-{name} > {UFW}/{name}\n" for name in former)
            self.begin_trial(f"{put_back}exec ufw reload\n", len(gone))
        for match, rule in gone.items():
            self.run("ufw", "delete", *rule.action.split("_"), *ufw_words(match))
        if self.running:
            write(self.folder / "trial", json.dumps(self.files()))
            # A reboot meanwhile loads them.
            self.put(former)

    def keep(self) -> None:
        trial = json.loads(read_text(self.folder / "trial"))
        for name, text in self.files().items():
            if text != read_text(self.folder / f"former-{name}"):
                self.run("ufw", "reload")
                raise RollbackError(f"{UFW / name} was changed meanwhile. It was left as it is: run again.")
        self.put(trial)
