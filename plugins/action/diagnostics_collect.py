# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of diagnostics_collect: takes the secrets out, and writes what is left."""

from __future__ import annotations

import base64
import io
import tarfile
from pathlib import Path
from typing import Any, Mapping

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.airflowops.cluster.plugins.filter.preflight import (
    NOT_EVALUATED,
    evaluated,
    known_variables,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.host.diagnostics import (
    SECRET_NAME,
    scrubbed,
    scrubber,
    secrets_in,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import SECRETS
from jinja2 import TemplateError

# Named like secrets, and are none.
PATHS = {"ansible_ssh_private_key_file", "ansible_private_key_file"}


def inventory_secrets(hostvars: Mapping[str, Any]) -> set[str]:
    """Of all hosts: what is secret in our variables, and in those of the user that are named like secrets."""
    options = known_variables()
    # Of those that are dictionaries, what is named like a secret.
    always = {*SECRETS}
    always |= {
        name for name, option in options.items() if option.get("no_log") and option.get("type") != "dict"
    }
    found: set[str] = set()
    for host in hostvars:
        variables = hostvars[host]
        # Ours, and any whose name says what it is, such as vault_*: not what Ansible adds.
        names = {name for name in variables if name in options or name in always or SECRET_NAME.search(name)}
        values = {name: evaluated(variables, name) for name in names - PATHS}
        found |= secrets_in(
            {name: value for name, value in values.items() if value is not NOT_EVALUATED}, always
        )
    return found


class ActionModule(ActionBase):
    """Runs the module and unpacks what it brought, without secrets, into a folder named like the host."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        result.update(
            self._execute_module(
                module_name="airflowops.cluster.diagnostics_collect",
                module_args=self._task.args,
                task_vars=task_vars,
            )
        )
        archive = result.pop("archive", None)
        if result.get("failed") or archive is None:
            return result
        try:
            out = scrubber(inventory_secrets(variables["hostvars"]))
        except (AnsibleError, TemplateError) as error:
            raise AnsibleError(
                f"The secrets of the inventory cannot be read, so nothing was kept: {error}"
            ) from error
        base = Path(self._task.args["dest"]) / str(variables["inventory_hostname"])
        with tarfile.open(fileobj=io.BytesIO(base64.b64decode(archive))) as tar:
            for member in tar:
                file = tar.extractfile(member)
                path = (base / member.name).resolve()
                # A host says how its files are called: none of them leaves its folder.
                if file is None or not path.is_relative_to(base.resolve()):
                    continue
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                path.write_bytes(scrubbed(file.read(), out))
                path.chmod(0o600)
        for entry in result["contents"]:
            entry["source"] = scrubbed(entry["source"].encode(), out).decode()
        return result
