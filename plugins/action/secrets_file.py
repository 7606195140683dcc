# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Works on the controller alone; documented in the module of the same name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleActionFail
from ansible.parsing.vault import AnsibleVaultError, VaultLib, is_encrypted
from ansible.plugins.action import ActionBase
from ansible_collections.airflowops.cluster.plugins.module_utils.preflight_secrets import (
    SECRETS,
    new_secret,
    secret_problem,
)


def completed(text: str, path: Path) -> tuple[str, list[str]]:
    """The text of a file of variables with the secrets that it lacks at its end, and their names."""
    try:
        variables = yaml.safe_load(text) or {}
    except yaml.YAMLError:
        # What YAML says of it would quote it.
        raise AnsibleActionFail(f"{path} is not sound YAML: it was left as it is. Mend it.") from None
    if not isinstance(variables, dict):
        raise AnsibleActionFail(f"{path} does not map names to values: it was left as it is. Mend it.")
    unfit = {
        name: secret_problem(name, variables[name])
        for name in SECRETS
        if name in variables and secret_problem(name, variables[name])
    }
    if unfit:
        raise AnsibleActionFail(
            "; ".join(f"{name} in {path} {problem}" for name, problem in unfit.items())
            + ". Remove these lines, and run again to get good values. The file was left as it is."
        )
    lacking = [name for name in SECRETS if name not in variables]
    if text and not text.endswith("\n"):
        text += "\n"
    return text + "".join(f'{name}: "{new_secret(name)}"\n' for name in lacking), lacking


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset(("path",))
    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec({"path": {"type": "path", "required": True}})
        path = Path(arguments["path"])
        vault: VaultLib = self._loader._vault
        if not vault.secrets:
            raise AnsibleActionFail(
                "There is no password to encrypt the secrets with: add --ask-vault-pass or "
                "--vault-password-file."
            )
        before = path.read_bytes() if path.exists() else b""
        encrypted = is_encrypted(before)
        try:
            text = vault.decrypt(before).decode() if encrypted else before.decode()
        except AnsibleVaultError:
            raise AnsibleActionFail(f"{path} is encrypted with another password than this one.") from None
        text, added = completed(text if before else "---\n", path)
        changed = bool(added) or not encrypted
        if changed and not self._task.check_mode:
            self.write(path, vault.encrypt(text))
        return {**result, "changed": changed, "added": added, "path": str(path)}

    def write(self, path: Path, content: bytes) -> None:
        """Whole or not at all, and readable by its owner alone."""
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.new")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
        beside.replace(path)
