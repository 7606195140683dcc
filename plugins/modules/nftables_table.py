#!/usr/bin/python
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nftables_table
short_description: Replace a table of nftables on trial, until a new connection has got through
version_added: 0.1.0
description:
  - Loads a table of nftables, all at once, and takes it back by itself after O(rollback_timeout) seconds. A
    second call with O(state=confirmed) ends the trial and writes the file from which it is loaded at boot. It
    has to come by another SSH connection than the first, so that rules which shut SSH out do not stay.
  - Compares what is loaded with what the file would load, in a network namespace of its own, so that a table
    that was changed or flushed by hand is found and mended. What counters say and elements with a time limit
    are not compared.
  - Connections that are open live on. Where the table is new, the kernel knows of none yet, and the set
    O(settling_set) lets their packets in for a minute.
author:
  - The airflowops.cluster maintainers (@airflowops)
options:
  state:
    description:
      - V(tried) loads the table if it differs, and sets the time of its end.
      - V(confirmed) ends the trial.
      - V(admitted) adds O(elements) to sets that the loaded table has, and to the file.
      - V(absent) removes the table and the file.
    type: str
    choices: [tried, confirmed, admitted, absent]
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
      - What the file has to hold, for O(state=tried). It has to remove the table before it makes it.
    type: str
  keep:
    description: Names of sets in which what the loaded table holds besides is kept.
    type: list
    elements: str
    default: []
  elements:
    description: For O(state=admitted). Of each set, by its name, the addresses that have to be in it.
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
    state: tried
    content: "{{ lookup('ansible.builtin.template', 'firewall.nft.j2') }}"
  register: tried

- name: Connect anew
  ansible.builtin.meta: reset_connection

- name: Keep the rules
  airflowops.cluster.nftables_table:
    state: confirmed
"""

RETURN = r"""
trial:
  description: Whether a trial began, which has to be confirmed.
  type: bool
  returned: with O(state=tried)
"""

import json
import os
import shutil
import tempfile
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.airflowops.cluster.plugins.module_utils.host_probe import ssh_connection
from ansible_collections.airflowops.cluster.plugins.module_utils.nftables_table import (
    add_lines,
    kept_elements,
    missing,
    same,
    table_of,
)

# On a file system in memory, as what is on trial is: a reboot ends both.
TRIAL = Path("/run/airflowops-firewall")
UNIT = "airflowops-firewall-rollback"
SETTLING_SECONDS = 60
# In a namespace of its own, what the file loads.
EXPECTED = 'nft -f "$1" && exec nft -j list table $2'


class TableError(Exception):
    """What cannot be loaded, or must not be kept."""


class Table:
    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.name = module.params["table"]
        self.path = Path(module.params["path"])
        self.passing = [module.params["settling_set"]]

    def nft(self, *arguments: str, data: str | None = None) -> str:
        rc, out, err = self.module.run_command(["nft", *arguments], data=data)
        if rc != 0:
            raise TableError(f"nft {' '.join(arguments)} failed: {(err or out).strip()}")
        return out

    def systemd(self, *command: str) -> int:
        return self.module.run_command([*command])[0]

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
            raise TableError(
                f"The rules cannot be looked at in a network namespace of their own: {err.strip()}"
            )
        return table_of(out, self.passing)

    def saved(self) -> str:
        return self.path.read_text(encoding="utf-8") if self.path.exists() else ""

    def on_trial(self) -> bool:
        return self.systemd("systemctl", "is-active", "--quiet", f"{UNIT}.timer") == 0

    def take_back(self) -> None:
        """What a trial that nobody confirmed would do at its end."""
        self.systemd("systemctl", "stop", f"{UNIT}.timer")
        self.nft("-f", str(TRIAL / "former.nft"))

    def begin_trial(self, script: str, live: dict | None) -> None:
        timeout = self.module.params["rollback_timeout"]
        remove = f"table {self.name}\ndelete table {self.name}\n"
        former = self.nft("list", "table", *self.name.split()) if live else ""
        TRIAL.mkdir(mode=0o700, exist_ok=True)
        write(TRIAL / "former.nft", remove + former)
        write(TRIAL / "tried.nft", script)
        write(TRIAL / "connection", json.dumps(ssh_connection()))
        settle = f"add element {self.name} {self.passing[0]} {{ tcp timeout {SETTLING_SECONDS}s }}\n"
        rc, _out, err = self.module.run_command(
            ["systemd-run", f"--unit={UNIT}", "--collect", f"--on-active={timeout}",
             "--timer-property=AccuracySec=100ms",
             "--description=Takes back rules of the firewall that nobody confirmed",
             shutil.which("nft") or "/usr/sbin/nft", "-f", str(TRIAL / "former.nft")]
        )  # fmt: skip
        if rc != 0:
            raise TableError(f"The end of the trial cannot be set, so nothing was loaded: {err.strip()}")
        self.nft("-f", "-", data=script + ("" if live else settle))

    def tried(self) -> dict:
        params = self.module.params
        if not shutil.which("nft"):
            if self.module.check_mode:
                return {"changed": True, "trial": False}
            raise TableError("There is no nft: install the distribution's package nftables.")
        if self.on_trial() and not self.module.check_mode:
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

    def confirmed(self) -> dict:
        if self.module.check_mode:
            return {"changed": False}
        if not self.on_trial():
            raise TableError(
                f"The rules were taken back already, as nobody confirmed them in time: see "
                f"`journalctl -u {UNIT}`, or raise firewall_rollback_timeout."
            )
        before, now = json.loads((TRIAL / "connection").read_text(encoding="utf-8")), ssh_connection()
        if before and before == now:
            raise TableError(
                "This is the SSH connection by which the rules were loaded: it does not show that a new one "
                "is let in. They are taken back in time."
            )
        if self.systemd("systemctl", "stop", f"{UNIT}.timer") != 0:
            raise TableError(f"{UNIT}.timer could not be stopped: the rules are taken back.")
        # It may have run out at the last moment.
        self.systemd("systemctl", "stop", f"{UNIT}.service")
        script = (TRIAL / "tried.nft").read_text(encoding="utf-8")
        live = self.live()
        if not live or not same(live, self.expected(script)):
            raise TableError("The rules were taken back at the last moment. Run again.")
        self.save(script)
        for name in ("former.nft", "tried.nft", "connection"):
            (TRIAL / name).unlink()
        return {"changed": True}

    def admitted(self) -> dict:
        live = self.live() if shutil.which("nft") else None
        lacking = missing(live, self.module.params["elements"]) if live else {}
        if lacking and not self.module.check_mode:
            lines = add_lines(self.name, lacking)
            self.nft("-f", "-", data=lines)
            self.save(self.saved() + lines)
        return {"changed": bool(lacking)}

    def absent(self) -> dict:
        live = self.live() if shutil.which("nft") else None
        there = bool(live) or self.path.exists()
        if there and not self.module.check_mode:
            self.systemd("systemctl", "stop", f"{UNIT}.timer")
            if live:
                self.nft("delete", "table", *self.name.split())
            self.path.unlink(missing_ok=True)
        return {"changed": there}

    def save(self, script: str) -> None:
        self.path.parent.mkdir(mode=0o755, exist_ok=True)
        write(self.path, script, 0o644)


def write(path: Path, text: str, mode: int = 0o600) -> None:
    """At once, or not at all."""
    new = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.chmod(mode)
    new.replace(path)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {
                "type": "str",
                "choices": ["tried", "confirmed", "admitted", "absent"],
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
        required_if=[("state", "tried", ["content"])],
        supports_check_mode=True,
    )
    try:
        result = getattr(Table(module), module.params["state"])()
    except (TableError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
