# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials of systemd on a host: files that only its own key opens, under the name of the credential."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ansible.module_utils.common.text.converters import to_bytes, to_text

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


class CredentialError(Exception):
    """What systemd-creds cannot encrypt."""


def holds(module: AnsibleModule, name: str, path: str, content: bytes) -> bool:
    """Whether the file opens as the credential of that name, and holds the content."""
    rc, out, _ = module.run_command(["systemd-creds", "decrypt", f"--name={name}", path, "-"])
    return rc == 0 and to_bytes(out) == content


def encrypt(module: AnsibleModule, path: str, content: bytes) -> bytes:
    """What the file at `path` has to hold, whose name is that of the credential."""
    # The key of the host alone: one that is bound to its TPM as well is lost with a new firmware.
    command = ["systemd-creds", "encrypt", "--with-key=host", f"--name={Path(path).name}", "-", "-"]
    rc, out, err = module.run_command(command, data=to_text(content), binary_data=True)
    if rc != 0:
        raise CredentialError(f"{path} cannot be encrypted: systemd-creds reports: {err.strip()}")
    return to_bytes(out)
