#!/usr/bin/python
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nftables_table
short_description: Replace a table of nftables, with a rollback unless a new connection succeeds
version_added: 0.1.0
description:
  - Loads a table of nftables, all at once, and takes it back by itself after O(rollback_timeout) seconds. A
    second call with O(state=committed) ends the trial and writes the file from which it is loaded at boot. It
    has to come by another SSH connection than the first, so that rules which shut SSH out do not stay.
  - Compares what is loaded with what the file would load, in a network namespace of its own, so that a table
    that was changed or flushed by hand is found and fixed. What counters say and elements with a time limit
    are not compared.
  - Connections that are open live on. Where the table is new, the kernel knows of none yet, and the set
    O(settling_set) lets their packets in for a minute.
author:
  - The airflowops.cluster maintainers (@airflowops)
options:
  state:
    description:
      - V(trial) loads the table if it differs, and sets the time of its end.
      - V(committed) ends the trial.
      - V(allowed) adds O(elements) to sets that the loaded table has, and to the file.
      - V(absent) removes the table and the file.
    type: str
    choices: [trial, committed, allowed, absent]
    required: true
  table:
    description: Family and name of the table.
    type: str
    default: inet airflowops
  path:
    description: File from which the table is loaded at boot. Written when a trial is confirmed.
    type: path
    default: /etc/airflowops/firewall.nft
  content:
    description:
      - What the file has to hold, for O(state=trial). It has to remove the table before it makes it.
    type: str
  keep:
    description: Names of sets in which what the loaded table holds besides is kept.
    type: list
    elements: str
    default: []
  elements:
    description: For O(state=allowed). Of each set, by its name, the addresses that have to be in it.
    type: dict
    default: {}
  rollback_timeout:
    description:
      - Seconds after which a table that nobody confirms is replaced by the one before, or removed if there
        was none.
    type: int
    default: 60
  settling_set:
    description:
      - Name of a set of protocols with time limits, by which packets of connections that were open before are
        let in.
    type: str
    default: settling
attributes:
  check_mode:
    description: Validates and compares. Without nft on the host everything counts as changed.
    support: full
  diff_mode:
    description: Shows the change of the file.
    support: full
  platform:
    description: The systems it runs on.
    support: full
    platforms: linux
"""

EXAMPLES = r"""
- name: Try the rules
  airflowops.cluster.nftables_table:
    state: trial
    content: "{{ lookup('ansible.builtin.template', 'firewall.nft.j2') }}"
  register: rules

- name: Connect again
  ansible.builtin.meta: reset_connection

- name: Keep the rules
  airflowops.cluster.nftables_table:
    state: committed
"""

RETURN = r"""
trial:
  description: Whether a trial began, which has to be confirmed.
  type: bool
  returned: with O(state=trial)
"""

import shutil
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.airflowops.cluster.plugins.module_utils.firewall.nft_json import (
    add_lines,
    kept_elements,
    missing,
    same,
    table_of,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.firewall.rollback import (
    FOLDER,
    Rollback,
    RollbackError,
    write,
)

UNIT = "airflowops-firewall-rollback"
SETTLING_SECONDS = 60
# In a namespace of its own, what the file loads.
EXPECTED = 'nft -f "$1" && exec nft -j list table $2'


class Table:
    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.name = module.params["table"]
        self.path = Path(module.params["path"])
        self.passing = [module.params["settling_set"]]
        self.rollback = Rollback(module, UNIT)

    def nft(self, *arguments: str, data: str | None = None) -> str:
        rc, out, err = self.module.run_command(["nft", *arguments], data=data)
        if rc != 0:
            raise RollbackError(f"nft {' '.join(arguments)} failed: {(err or out).strip()}")
        return out

    def live(self) -> dict | None:
        """What is loaded; none where the table is not there."""
        rc, out, _err = self.module.run_command(["nft", "-j", "list", "table", *self.name.split()])
        return table_of(out, self.passing) if rc == 0 else None

    def expected(self, script: str) -> dict:
        """What a script loads."""
        with tempfile.NamedTemporaryFile("w", suffix=".nft") as candidate:
            candidate.write(script)
            candidate.flush()
            self.nft("-c", "-f", candidate.name)
            rc, out, err = self.module.run_command(
                ["unshare", "--net", "sh", "-c", EXPECTED, "sh", candidate.name, self.name]
            )
        if rc != 0:
            raise RollbackError(
                f"The rules cannot be looked at in a network namespace of their own: {err.strip()}"
            )
        return table_of(out, self.passing)

    def saved(self) -> str:
        return self.path.read_text(encoding="utf-8") if self.path.exists() else ""

    def take_back(self) -> None:
        """What a trial that nobody confirmed would do at its end."""
        self.rollback.cancel()
        self.nft("-f", str(FOLDER / "former.nft"))

    def begin_trial(self, script: str, live: dict | None) -> None:
        remove = f"table {self.name}\ndelete table {self.name}\n"
        former = self.nft("list", "table", *self.name.split()) if live else ""
        FOLDER.mkdir(mode=0o700, exist_ok=True)
        write(FOLDER / "former.nft", remove + former)
        write(FOLDER / "trial.nft", script)
        settle = f"add element {self.name} {self.passing[0]} {{ tcp timeout {SETTLING_SECONDS}s }}\n"
        nft = shutil.which("nft") or "/usr/sbin/nft"
        self.rollback.begin(self.module.params["rollback_timeout"], [nft, "-f", str(FOLDER / "former.nft")])
        self.nft("-f", "-", data=script + ("" if live else settle))

    def try_rules(self) -> dict:
        params = self.module.params
        if not shutil.which("nft"):
            if self.module.check_mode:
                return {"changed": True, "trial": False}
            raise RollbackError("There is no nft: install the distribution's package nftables.")
        if self.rollback.active() and not self.module.check_mode:
            self.take_back()
        live = self.live()
        wanted = self.expected(params["content"])
        script = params["content"]
        if live and params["keep"]:
            script += add_lines(self.name, kept_elements(live, wanted, params["keep"]))
        saved = self.saved()
        result = {"diff": {"before_header": str(self.path), "after_header": str(self.path), "before": saved,
                           "after": script}}  # fmt: skip
        if live and same(live, wanted, params["keep"]):
            # The file alone: of other words, or gone.
            words = saved != script and not (params["keep"] and saved)
            if words and not self.module.check_mode:
                self.save(script)
            return {"changed": words, "trial": False, **(result if words else {})}
        if not self.module.check_mode:
            self.begin_trial(script, live)
        return {"changed": True, "trial": not self.module.check_mode, **result}

    def commit(self) -> dict:
        if self.module.check_mode:
            return {"changed": False}
        self.rollback.end()
        script = (FOLDER / "trial.nft").read_text(encoding="utf-8")
        live = self.live()
        if not live or not same(live, self.expected(script)):
            raise RollbackError("The rules were taken back at the last moment. Run again.")
        self.save(script)
        for name in ("former.nft", "trial.nft"):
            (FOLDER / name).unlink()
        return {"changed": True}

    def allow(self) -> dict:
        live = self.live() if shutil.which("nft") else None
        lacking = missing(live, self.module.params["elements"]) if live else {}
        if lacking and not self.module.check_mode:
            lines = add_lines(self.name, lacking)
            self.nft("-f", "-", data=lines)
            self.save(self.saved() + lines)
        return {"changed": bool(lacking)}

    def remove(self) -> dict:
        live = self.live() if shutil.which("nft") else None
        there = bool(live) or self.path.exists()
        if there and not self.module.check_mode:
            if self.rollback.active():
                self.rollback.cancel()
            if live:
                self.nft("delete", "table", *self.name.split())
            self.path.unlink(missing_ok=True)
        return {"changed": there}

    def save(self, script: str) -> None:
        # A mode of mkdir is less what the umask takes, and services look into this folder.
        if not self.path.parent.is_dir():
            self.path.parent.mkdir()
            self.path.parent.chmod(0o755)
        write(self.path, script, 0o644)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {
                "type": "str",
                "choices": ["trial", "committed", "allowed", "absent"],
                "required": True,
            },
            "table": {"type": "str", "default": "inet airflowops"},
            "path": {"type": "path", "default": "/etc/airflowops/firewall.nft"},
            "content": {"type": "str"},
            "keep": {"type": "list", "elements": "str", "default": []},
            "elements": {"type": "dict", "default": {}},
            "rollback_timeout": {"type": "int", "default": 60},
            "settling_set": {"type": "str", "default": "settling"},
        },
        required_if=[("state", "trial", ["content"])],
        supports_check_mode=True,
    )
    try:
        table = Table(module)
        calls = {
            "trial": table.try_rules,
            "committed": table.commit,
            "allowed": table.allow,
            "absent": table.remove,
        }
        result = calls[module.params["state"]]()
    except (RollbackError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
