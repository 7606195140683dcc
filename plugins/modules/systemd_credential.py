#!/usr/bin/python
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: systemd_credential
short_description: Write an encrypted credential of systemd
version_added: 0.1.0
description:
  - Encrypts a secret with the key of the host, for C(LoadCredentialEncrypted=) of a unit. The name of the
    file is the name of the credential, and it opens under no other.
  - Written again only where the secret is another one, or where the file cannot be decrypted, as on a copy
    of the host that got a key of its own.
  - Where a service has other files as well, M(airflowops.cluster.host_files) writes all of them, credentials
    among them, in one round trip.
author:
  - The airflowops.cluster maintainers (@airflowops)
requirements:
  - systemd 250 or later
options:
  path:
    description: The file. Its folder has to be there.
    type: path
    required: true
  content:
    description: The secret, for O(state=present). Never shown.
    type: str
  state:
    description: Whether there has to be such a file.
    type: str
    choices: [present, absent]
    default: present
  owner:
    description: Name of the owner.
    type: str
    default: root
  group:
    description: Name of the group.
    type: str
    default: root
  mode:
    description: Permissions, in octal digits.
    type: str
    default: "0600"
attributes:
  check_mode:
    description: Reports whether it would be written.
    support: full
  diff_mode:
    description: Shows that the secret differs, and not the secret.
    support: full
"""

EXAMPLES = r"""
- name: Encrypt the password of the database
  airflowops.cluster.systemd_credential:
    path: /etc/example/database_password
    content: "{{ example_database_password }}"
"""

RETURN = r"""
changed_paths:
  description: The path, if it was changed, or in check mode would be.
  type: list
  elements: str
  returned: always
"""

from ansible_collections.airflowops.cluster.plugins.module_utils.host.credentials import CredentialError
from ansible_collections.airflowops.cluster.plugins.module_utils.host.files import (
    ENTRY,
    FilesError,
    write_files,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.unlogged_module import QuietModule


def main() -> None:
    module = QuietModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "content": {"type": "str", "no_log": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "owner": {"type": "str", "default": "root"},
            "group": {"type": "str", "default": "root"},
            "mode": {"type": "str", "default": "0600"},
        },
        required_if=[("state", "present", ["content"])],
        supports_check_mode=True,
    )
    params = module.params
    present = params["state"] == "present"
    entry = {
        **{name: option.get("default") for name, option in ENTRY.items()},
        **{name: params[name] for name in ("path", "owner", "group", "mode")},
        **({"secret_content": params["content"], "encrypted": True} if present else {"absent": True}),
    }
    try:
        result = write_files(module, [entry])
    except (CredentialError, FilesError, OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
