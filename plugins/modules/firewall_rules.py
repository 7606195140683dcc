#!/usr/bin/python
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: firewall_rules
short_description: Add rules to ufw or firewalld, and remove those that were added before
version_added: 0.1.0
description:
  - For a host whose firewall the user manages with ufw or firewalld. Only rules that this module has added
    are changed or removed, the user's stay. The firewall itself is never switched on or off.
  - In ufw ours are known by their comments, which begin with C(airflowops:). A rule that the user has as well
    is the user's.
  - In firewalld they are rich rules in a policy of their own, C(airflowops), which holds for all zones. It
    comes after what zones deny. firewalld takes in a new policy by a reload only. So the first call reloads
    it, once, and refuses to where that would lose what the user did not save.
  - What is added lets more in, and stays. What is removed is on trial. The host adds it again after
    O(rollback_timeout) seconds, or by a reboot, unless a call with O(state=confirmed) has come by another SSH
    connection.
author:
  - The airflowops.cluster maintainers (@airflowops)
options:
  backend:
    description: What manages the firewall of the host.
    type: str
    choices: [ufw, firewalld]
    required: true
  state:
    description:
      - V(present) adds what is missing of O(rules), and removes others that were added before.
      - V(confirmed) ends the trial of what was removed.
      - V(admitted) adds what is missing, on a host that has rules of this module already.
      - V(absent) removes all that was added.
    type: str
    choices: [present, confirmed, admitted, absent]
    default: present
  rules:
    description: What is let in, as the filter P(airflowops.cluster.firewall_allowed#filter) returns it.
    type: list
    elements: dict
    default: []
    suboptions:
      family:
        description: The version of IP.
        type: int
        choices: [4, 6]
        required: true
      source:
        description: An address or a network.
        type: str
        required: true
      proto:
        description: The protocol.
        type: str
        choices: [tcp, udp, vrrp]
        required: true
      ports:
        description: Ports, or ranges such as V(9100-9104). VRRP has none.
        type: list
        elements: str
        default: []
      why:
        description: What it is for.
        type: str
        required: true
  keep:
    description: Whether rules that are not among O(rules) stay, for O(state=present).
    type: bool
    default: false
  rollback_timeout:
    description:
      - Seconds after which rules come back whose removal nobody confirmed. For each of them there is one
        more, as ufw takes its time to remove it.
    type: int
    default: 60
attributes:
  check_mode:
    description: Compares, and changes nothing.
    support: full
  diff_mode:
    description: Shows which rules of this module come and go.
    support: full
  platform:
    description: The systems it runs on.
    support: full
    platforms: linux
"""

EXAMPLES = r"""
- name: Let a worker in
  airflowops.cluster.firewall_rules:
    backend: ufw
    rules:
      - {family: 4, source: 192.0.2.41, proto: tcp, ports: ["7000", "7001"], why: Redis}
  register: rules

- name: Connect anew
  ansible.builtin.meta: reset_connection
  when: rules.trial

- name: Do without the rules that were removed
  airflowops.cluster.firewall_rules:
    backend: ufw
    state: confirmed
  when: rules.trial
"""

RETURN = r"""
trial:
  description: Whether rules were removed, which has to be confirmed.
  type: bool
  returned: with O(state=present), O(state=admitted) and O(state=absent)
"""

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.airflowops.cluster.plugins.module_utils.firewall.rollback import (
    FOLDER,
    Trial,
    TrialError,
    write,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.firewall.ufw_firewalld import (
    POLICY,
    POLICY_FILE,
    UfwMatch,
    UfwRule,
    listed,
    rich_rules,
    ufw_lines,
    ufw_rules,
    ufw_wanted,
    ufw_words,
    unsaved,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.host.probe import firewalls, read_text

UFW = Path("/etc/ufw")
UFW_FILES = {4: "user.rules", 6: "user6.rules"}
FIREWALLD_FILE = Path(f"/etc/firewalld/policies/{POLICY}.xml")


class BackEnd:
    """What both have in common: rules are added for good, and removed on trial."""

    name = ""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.check = module.check_mode
        self.trial = Trial(module, f"airflowops-firewall-rollback-{self.name}")
        self.folder = FOLDER / self.name
        self.running = self.name in firewalls()

    def run(self, *words: str) -> str:
        rc, out, err = self.module.run_command([*words])
        if rc != 0:
            raise TrialError(f"`{' '.join(words)[:300]}` failed: {(err or out).strip()}")
        return out

    def present(self) -> dict[str, Any]:
        if not self.running:
            raise TrialError(f"{self.name} is not active, and is not switched on here: do it first.")
        if self.trial.active() and not self.check:
            self.take_back()
        return self.apply(self.module.params["rules"], remove=not self.module.params["keep"])

    def admitted(self) -> dict[str, Any]:
        if not self.running or not self.ours():
            return {"changed": False, "trial": False}
        return self.apply(self.module.params["rules"], remove=False)

    def confirmed(self) -> dict[str, Any]:
        if self.check:
            return {"changed": False}
        self.trial.end()
        if (self.folder / "taken-back").exists():
            raise TrialError("The rules were taken back at the last moment. Run again.")
        self.keep()
        shutil.rmtree(self.folder, ignore_errors=True)
        return {"changed": True}

    def absent(self) -> dict[str, Any]:
        if self.trial.active() and not self.check:
            self.take_back()
        return self.apply([], remove=True) if self.ours() else {"changed": False, "trial": False}

    def take_back(self) -> None:
        """What a trial that nobody confirmed would do at its end."""
        self.trial.cancel()
        self.run("sh", str(self.folder / "take-back"))

    def empty_folder(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(mode=0o700, parents=True)

    def begin_trial(self, script: str, rules: int) -> None:
        """Before rules are removed, of which each takes ufw a third of a second."""
        write(self.folder / "take-back", f"touch {self.folder}/taken-back\n{script}")
        seconds = self.module.params["rollback_timeout"] + rules
        self.trial.begin(seconds, ["/bin/sh", str(self.folder / "take-back")])

    def ours(self) -> bool:
        raise NotImplementedError

    def apply(self, rules: list[dict[str, Any]], remove: bool) -> dict[str, Any]:
        raise NotImplementedError

    def keep(self) -> None:
        raise NotImplementedError


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

    def ours(self) -> bool:
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
            write(self.folder / "tried", json.dumps(self.files()))
            # A reboot meanwhile loads them.
            self.put(former)

    def keep(self) -> None:
        tried = json.loads(read_text(self.folder / "tried"))
        for name, text in self.files().items():
            if text != read_text(self.folder / f"former-{name}"):
                self.run("ufw", "reload")
                raise TrialError(f"{UFW / name} was changed meanwhile. It was left as it is: run again.")
        self.put(tried)


class Firewalld(BackEnd):
    """A policy of our own. What is removed for now only is back after a reboot, or a reload."""

    name = "firewalld"

    def cmd(self, *words: str) -> str:
        return self.run("firewall-cmd", *words)

    def policy(self, *permanent: str) -> dict[str, list[str]] | None:
        if POLICY not in self.cmd(*permanent, "--get-policies").split():
            return None
        return listed(self.cmd(*permanent, f"--policy={POLICY}", "--list-all"))[POLICY]

    def ours(self) -> bool:
        now = self.policy() if self.running else None
        return FIREWALLD_FILE.exists() or bool(now and now.get("rich rules"))

    def absent(self) -> dict[str, Any]:
        if self.running:
            return super().absent()
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
            raise TrialError(
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
        tried = json.loads(read_text(self.folder / "gone"))
        if tried["end"]:
            self.forget()
        else:
            self.change("--permanent", remove=tried["gone"])


def lines(rules: list[str], whys: dict[str, str]) -> str:
    """For people: what changes."""
    return "".join(f"{rule}{f'  # {whys[rule]}' if rule in whys else ''}\n" for rule in sorted(rules))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "backend": {"type": "str", "choices": ["ufw", "firewalld"], "required": True},
            "state": {
                "type": "str",
                "choices": ["present", "confirmed", "admitted", "absent"],
                "default": "present",
            },
            "rules": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "family": {"type": "int", "choices": [4, 6], "required": True},
                    "source": {"type": "str", "required": True},
                    "proto": {"type": "str", "choices": ["tcp", "udp", "vrrp"], "required": True},
                    "ports": {"type": "list", "elements": "str", "default": []},
                    "why": {"type": "str", "required": True},
                },
            },
            "keep": {"type": "bool", "default": False},
            "rollback_timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    back_end = {"ufw": Ufw, "firewalld": Firewalld}[module.params["backend"]](module)
    try:
        result = getattr(back_end, module.params["state"])()
    except (TrialError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
