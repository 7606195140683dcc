# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our policy among what a user has in firewalld.

ansible.posix.firewalld sets one rich rule of a zone a call, and knows no policies: ours hold for all
zones, and their removal is on trial. It would replace the one line that runs `firewall-cmd --add-rich-rule`.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any, Iterable, Mapping

from ansible_collections.airflowops.cluster.plugins.module_utils.firewall.backend import EVERYWHERE, BackEnd
from ansible_collections.airflowops.cluster.plugins.module_utils.firewall.rollback import RollbackError, write
from ansible_collections.airflowops.cluster.plugins.module_utils.host.probe import read_text

POLICY = "airflowops"
FIREWALLD_FILE = Path(f"/etc/firewalld/policies/{POLICY}.xml")
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


def lines(rules: list[str], whys: dict[str, str]) -> str:
    """For people: what changes."""
    return "".join(f"{rule}{f'  # {whys[rule]}' if rule in whys else ''}\n" for rule in sorted(rules))


class Firewalld(BackEnd):
    """A policy of our own. What is removed for now only is back after a reboot, or a reload."""

    name = "firewalld"

    def cmd(self, *words: str) -> str:
        return self.run("firewall-cmd", *words)

    def policy(self, *permanent: str) -> dict[str, list[str]] | None:
        if POLICY not in self.cmd(*permanent, "--get-policies").split():
            return None
        return listed(self.cmd(*permanent, f"--policy={POLICY}", "--list-all"))[POLICY]

    def has_ours(self) -> bool:
        now = self.policy() if self.running else None
        return FIREWALLD_FILE.exists() or bool(now and now.get("rich rules"))

    def remove_all(self) -> dict[str, Any]:
        if self.running:
            return super().remove_all()
        # It is off: there is only the file.
        there = FIREWALLD_FILE.exists()
        if there and not self.check:
            self.forget()
        return {"changed": there, "trial": False}

    def forget(self) -> None:
        if self.running and self.policy("--permanent") is not None:
            self.cmd("--permanent", f"--delete-policy={POLICY}")
        FIREWALLD_FILE.unlink(missing_ok=True)
        # A copy that firewalld leaves.
        FIREWALLD_FILE.with_name(f"{FIREWALLD_FILE.name}.old").unlink(missing_ok=True)

    def make(self, active: bool, saved: bool) -> None:
        """The policy itself, which firewalld takes in by a reload only."""
        if not saved:
            self.empty_folder()
            write(self.folder / "policy.xml", POLICY_FILE)
            self.cmd(
                "--permanent", f"--new-policy-from-file={self.folder / 'policy.xml'}", f"--name={POLICY}"
            )
        if not active:
            self.cmd("--reload")

    def refuse_to_lose(self) -> None:
        """What the user did not save is not ours to drop."""
        lost = []
        for what in ("--list-all-zones", "--list-all-policies"):
            lost += unsaved(self.cmd(what), self.cmd("--permanent", what))
        lists = [["--direct", f"--get-all-{what}"] for what in ("chains", "rules", "passthroughs")]
        lists += [[f"--ipset={name}", "--get-entries"] for name in self.cmd("--get-ipsets").split()]
        for words in lists:
            saved = self.cmd("--permanent", *words).splitlines()
            lost += [line for line in self.cmd(*words).splitlines() if line not in saved]
        if lost:
            raise RollbackError(
                "firewalld holds what is not saved, and would lose it by the reload that it needs once to "
                f"take in a policy: {'; '.join(lost)[:500]}. Save it with `firewall-cmd "
                "--runtime-to-permanent`, or drop it with `firewall-cmd --reload`, and run again."
            )

    def apply(self, rules: list[dict[str, Any]], remove: bool) -> dict[str, Any]:
        wanted = rich_rules(rules)
        now, saved = self.policy(), self.policy("--permanent")
        have_now, have_saved = ((one or {}).get("rich rules", []) for one in (now, saved))
        make = bool(wanted) and (now is None or saved is None)
        gone_now, gone_saved = (
            [rule for rule in have if rule not in wanted] if remove else [] for have in (have_now, have_saved)
        )
        add_now, add_saved = (
            [rule for rule in wanted if rule not in have] for have in (have_now, have_saved)
        )
        end = remove and not wanted and saved is not None
        changed = make or gone_now or gone_saved or add_now or add_saved or end
        result: dict[str, Any] = {"changed": bool(changed), "trial": False}
        if not result["changed"]:
            return result
        if make and now is None:
            self.refuse_to_lose()
        after = [rule for rule in {**dict.fromkeys(have_now), **wanted} if rule not in gone_now]
        result["diff"] = {"before_header": f"policy {POLICY}", "after_header": f"policy {POLICY}",
                          "before": lines(have_now, wanted), "after": lines(after, wanted)}  # fmt: skip
        if self.check:
            return result
        if make:
            self.make(now is not None, saved is not None)
        self.change(add=add_now)
        self.change("--permanent", add=add_saved)
        if gone_now:
            result["trial"] = True
            self.empty_folder()
            write(self.folder / "gone", json.dumps({"gone": gone_saved, "end": end}))
            back = shlex.join(f"--add-rich-rule={rule}" for rule in gone_now)
            self.begin_trial(f"exec firewall-cmd --policy={POLICY} {back}\n", len(gone_now))
            self.change(remove=gone_now)
        elif end:
            self.forget()
        else:
            self.change("--permanent", remove=gone_saved)
        return result

    def change(self, *permanent: str, add: list[str] | None = None, remove: list[str] | None = None) -> None:
        options = [f"--add-rich-rule={rule}" for rule in add or []]
        options += [f"--remove-rich-rule={rule}" for rule in remove or []]
        if options:
            self.cmd(*permanent, f"--policy={POLICY}", *options)

    def keep(self) -> None:
        trial = json.loads(read_text(self.folder / "gone"))
        if trial["end"]:
            self.forget()
        else:
            self.change("--permanent", remove=trial["gone"])
