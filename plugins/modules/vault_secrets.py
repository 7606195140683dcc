# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_secrets
short_description: Complete the encrypted file of the cluster's secrets on the controller
version_added: 0.1.0
description:
  - Writes a file of variables, encrypted by ansible-vault with the password of this run, that has a strong
    random value for each secret of the collection that no host of the inventory has from elsewhere. What the
    file already holds stays as it is, comments included; an unencrypted file is encrypted.
  - No value is ever shown.
author:
  - The airflowops.cluster maintainers (@airflowops)
options:
  path:
    description: The file, usually C(group_vars/all/secrets.yml) beside the inventory. Its folder is made.
    type: path
    required: true
  step:
    description:
      - Instead of adding what is missing, take a step in giving the secrets new values. V(announce) makes the
        new values and writes them beside the ones in use, V(use) puts them in their place and keeps the old
        ones, V(forget) drops these, and V(end) notes that nothing is under way any more.
      - Fails where hosts of the play have a secret with another value than the file's.
      - What is under way stands in the file's variable C(secrets_in_rotation). A step that was taken
        already changes nothing.
    type: str
    choices: [announce, use, forget, end]
  names:
    description:
      - Secrets that V(announce) makes new values for; all that the file holds, if none is named, but for
        C(airflow_admin_password), which its owner changes in the UI.
      - While a rotation is under way it is that one which goes on, whatever is named.
    type: list
    elements: str
    default: []
attributes:
  action:
    description: Runs on the controller alone.
    support: full
  check_mode:
    description: Reports what would be added.
    support: full
  diff_mode:
    description: There is nothing that might be shown.
    support: none
notes:
  - Fails where a secret in the file is a placeholder or too short, naming it and not its value, and leaves
    the file as it is.
"""

EXAMPLES = r"""
- name: Have all secrets
  airflowops.cluster.vault_secrets:
    path: inventories/prod/group_vars/all/secrets.yml
"""

RETURN = r"""
rotating:
  description: Names of the secrets that are being rotated, after the step.
  type: list
  elements: str
  returned: success
  sample: [airflow_fernet_key]
added:
  description: Names of the secrets that were added.
  type: list
  elements: str
  returned: success
  sample: [airflow_fernet_key]
path:
  description: The file.
  type: str
  returned: success
"""
