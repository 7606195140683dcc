# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules on trial: the host takes them back by itself unless a new SSH connection gets through in time."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.airflowops.cluster.plugins.module_utils.host.probe import ssh_connection

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

# On a file system in memory, as what is on trial is: a reboot ends both.
FOLDER = Path("/run/airflowops-firewall")


class RollbackError(Exception):
    """What cannot be tried, or must not be kept."""


class Rollback:
    def __init__(self, module: AnsibleModule, unit: str) -> None:
        self.module = module
        self.unit = unit
        self.connection = FOLDER / f"{unit}.connection"

    def systemctl(self, *words: str) -> int:
        return self.module.run_command(["systemctl", *words])[0]

    def active(self) -> bool:
        return self.systemctl("is-active", "--quiet", f"{self.unit}.timer") == 0

    def begin(self, seconds: int, command: list[str]) -> None:
        """Has the command run at the end of the time. What it needs has to be there before."""
        FOLDER.mkdir(mode=0o700, exist_ok=True)
        write(self.connection, json.dumps(ssh_connection()))
        rc, _out, err = self.module.run_command(
            ["systemd-run", f"--unit={self.unit}", "--collect", f"--on-active={seconds}",
             "--timer-property=AccuracySec=100ms",
             "--description=Takes back rules of the firewall that nobody confirmed", *command]
        )  # fmt: skip
        if rc != 0:
            raise RollbackError(f"The end of the trial cannot be set, so nothing was changed: {err.strip()}")

    def cancel(self) -> None:
        if self.systemctl("stop", f"{self.unit}.timer") != 0:
            raise RollbackError(f"{self.unit}.timer could not be stopped: the rules are taken back.")
        # It may have run out at the last moment.
        self.systemctl("stop", f"{self.unit}.service")

    def end(self) -> None:
        """The rules stay, if this is another connection than that by which they came."""
        if not self.active():
            raise RollbackError(
                "The rules were taken back already, as nobody confirmed them in time: see "
                f"`journalctl -u {self.unit}`, or raise firewall_rollback_timeout."
            )
        before, now = json.loads(self.connection.read_text(encoding="utf-8")), ssh_connection()
        if before and before == now:
            raise RollbackError(
                "This is the SSH connection by which the rules were changed: it does not show that a new one "
                "is let in. They are taken back in time."
            )
        self.cancel()
        self.connection.unlink()


def write(path: Path, text: str, mode: int = 0o600) -> None:
    """At once, or not at all."""
    new = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.chmod(mode)
    new.replace(path)
