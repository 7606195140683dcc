# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ufw and firewalld have in common: rules are added for good, and removed on trial."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from ansible_collections.airflowops.cluster.plugins.module_utils.firewall.rollback import (
    FOLDER,
    Rollback,
    RollbackError,
    write,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.host.probe import firewalls

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

EVERYWHERE = ("0.0.0.0/0", "::/0")


class BackEnd:
    name = ""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.check = module.check_mode
        self.rollback = Rollback(module, f"airflowops-firewall-rollback-{self.name}")
        self.folder = FOLDER / self.name
        self.running = self.name in firewalls()

    def run(self, *words: str) -> str:
        rc, out, err = self.module.run_command([*words])
        if rc != 0:
            raise RollbackError(f"`{' '.join(words)[:300]}` failed: {(err or out).strip()}")
        return out

    def set_rules(self) -> dict[str, Any]:
        if not self.running:
            raise RollbackError(f"{self.name} is not active, and is not switched on here: do it first.")
        if self.rollback.active() and not self.check:
            self.take_back()
        return self.apply(self.module.params["rules"], remove=not self.module.params["keep"])

    def allow(self) -> dict[str, Any]:
        if not self.running or not self.has_ours():
            return {"changed": False, "trial": False}
        return self.apply(self.module.params["rules"], remove=False)

    def commit(self) -> dict[str, Any]:
        if self.check:
            return {"changed": False}
        self.rollback.end()
        if (self.folder / "taken-back").exists():
            raise RollbackError("The rules were taken back at the last moment. Run again.")
        self.keep()
        shutil.rmtree(self.folder, ignore_errors=True)
        return {"changed": True}

    def remove_all(self) -> dict[str, Any]:
        if self.rollback.active() and not self.check:
            self.take_back()
        return self.apply([], remove=True) if self.has_ours() else {"changed": False, "trial": False}

    def take_back(self) -> None:
        """What a trial that nobody confirmed would do at its end."""
        self.rollback.cancel()
        self.run("sh", str(self.folder / "take-back"))

    def empty_folder(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(mode=0o700, parents=True)

    def begin_trial(self, script: str, rules: int) -> None:
        """Before rules are removed, of which each takes ufw a third of a second."""
        write(self.folder / "take-back", f"touch {self.folder}/taken-back\n{script}")
        seconds = self.module.params["rollback_timeout"] + rules
        self.rollback.begin(seconds, ["/bin/sh", str(self.folder / "take-back")])

    def has_ours(self) -> bool:
        raise NotImplementedError

    def apply(self, rules: list[dict[str, Any]], remove: bool) -> dict[str, Any]:
        raise NotImplementedError

    def keep(self) -> None:
        raise NotImplementedError
