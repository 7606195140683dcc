# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Works on the controller alone; documented in the module of the same name."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleActionFail
from ansible.parsing.vault import AnsibleVaultError, VaultLib, is_encrypted
from ansible.plugins.action import ActionBase
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import (
    SECRETS,
    new_secret,
    secret_problem,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.secrets_rotation import (
    LEFT_ALONE,
    STEPS,
    stepped,
)


def variables_of(text: str, path: Path) -> dict[str, Any]:
    """What a file of variables holds. Fails where it is no such file, or a secret in it is unfit."""
    try:
        variables = yaml.safe_load(text) or {}
    except yaml.YAMLError:
        # What YAML says of it would quote it.
        raise AnsibleActionFail(f"{path} is not sound YAML: it was left as it is. Fix it.") from None
    if not isinstance(variables, dict):
        raise AnsibleActionFail(f"{path} does not map names to values: it was left as it is. Fix it.")
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
    return variables


def completed(text: str, path: Path, elsewhere: Collection[str]) -> tuple[str, list[str]]:
    """The text of a file of variables with the secrets that it lacks at its end, and their names.

    elsewhere: those that hosts have, from whatever file: two of a name would be one too many.
    """
    there = variables_of(text, path)
    lacking = [name for name in SECRETS if name not in there and name not in elsewhere]
    if text and not text.endswith("\n"):
        text += "\n"
    return text + "".join(f'{name}: "{new_secret(name)}"\n' for name in lacking), lacking


def rotated(text: str, path: Path, step: str, names: list[str]) -> tuple[str, list[str]]:
    """The text after a step of a rotation, and the names of the secrets that are being rotated."""
    there = variables_of(text, path)
    known = [name for name in SECRETS if name not in LEFT_ALONE]
    if unknown := [name for name in names if name not in known]:
        raise AnsibleActionFail(
            f"{', '.join(unknown)}: no such secret can be rotated. These can: {', '.join(known)}."
        )
    if missing := [name for name in names if name not in there]:
        raise AnsibleActionFail(f"{path} does not hold {', '.join(missing)}: rotate what it holds.")
    try:
        return stepped(text, step, names or [name for name in known if name in there])
    except yaml.YAMLError:
        raise AnsibleActionFail(
            f"{path} cannot be changed: it was left as it is. Write each secret on its own line, in quotes."
        ) from None


def have_elsewhere(hostvars: Mapping[str, Any]) -> list[str]:
    return [name for name in SECRETS if any(name in hostvars[host] for host in hostvars)]


def check_in_use(
    there: Mapping[str, Any], hostvars: Mapping[str, Any], hosts: Iterable[str], path: Path
) -> None:
    """Fails where hosts do not have their secrets from the file: they would be given others than they use."""
    strange: dict[str, list[str]] = {}
    for host in hosts:
        for name in set(SECRETS) & set(there) & set(hostvars[host]):
            if str(hostvars[host][name]) != str(there[name]):
                strange.setdefault(name, []).append(host)
    if strange:
        raise AnsibleActionFail(
            "; ".join(f"{name} of {', '.join(sorted(strange[name]))}" for name in sorted(strange))
            + f": the value in use is not that of {path}. Nothing was changed by this step. Keep each secret "
            "in that file alone, or name the file that holds them: -e secrets_file=PATH"
        )


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset(("path", "step", "names"))
    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            {
                "path": {"type": "path", "required": True},
                "step": {"type": "str", "choices": list(STEPS)},
                "names": {"type": "list", "elements": "str", "default": []},
            }
        )
        variables = task_vars or {}
        hostvars = variables["hostvars"]
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
        if arguments["step"] and not encrypted:
            raise AnsibleActionFail(
                f"{path} is not an encrypted file of secrets: make it with init_secrets.yml, or name "
                "the one that you have: -e secrets_file=PATH"
            )
        old = text
        added: list[str] = []
        rotating: list[str] = []
        if arguments["step"]:
            check_in_use(variables_of(text, path), hostvars, variables["ansible_play_hosts_all"], path)
            text, rotating = rotated(text, path, arguments["step"], arguments["names"])
        else:
            text, added = completed(text if before else "---\n", path, have_elsewhere(hostvars))
        changed = text != old or not encrypted
        if changed and not self._task.check_mode:
            self.write(path, vault.encrypt(text))
        return {**result, "changed": changed, "added": added, "rotating": rotating, "path": str(path)}

    def write(self, path: Path, content: bytes) -> None:
        """Whole or not at all, and readable by its owner alone."""
        for ending in (".yml", ".yaml", ".json"):
            other = path.parent.with_name(path.parent.name + ending)
            if other.is_file() and not path.parent.is_dir():
                raise AnsibleActionFail(
                    f"{other} is there, which Ansible reads no more beside a folder {path.parent}: move it "
                    f"to {path.parent}/main.yml, and run again. Nothing was changed."
                )
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.new")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        # With the folder, so that a power cut leaves the old file or the new one, never an empty one.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
