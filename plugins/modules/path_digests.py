#!/usr/bin/python
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: path_digests
short_description: One checksum for each file or folder, with all that lies in it
version_added: 0.1.0
description:
  - Tells whether a file or a whole folder is what it should be, in one round trip for all of them. The filter
    P(airflowops.cluster.path_digest#filter) gives the same for a path on the controller.
  - Names and contents count, and in a folder whether a file may be executed by anybody; owners, other
    permissions and times do not.
author:
  - The airflowops.cluster maintainers (@airflowops)
extends_documentation_fragment:
  - airflowops.cluster.attributes.read_only
options:
  paths:
    description: Files and folders. A link among them is followed; links within a folder are not.
    type: list
    elements: path
    required: true
  ignore:
    description: Names of files and folders that are left out at every depth.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Look at what is there
  airflowops.cluster.path_digests:
    paths: [/opt/example/current/manifest, /opt/example/data]
    ignore: [__pycache__]
  register: found

- name: Copy the data
  ansible.posix.synchronize:
    src: data/
    dest: /opt/example/data
  when: found.digests['/opt/example/data'] != 'data' | airflowops.cluster.path_digest(['__pycache__'])
"""

RETURN = r"""
digests:
  description: Of each path the checksum in 64 hexadecimal digits, or null where nothing is.
  type: dict
  returned: always
  sample: {/opt/example/data: null}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.airflowops.cluster.plugins.module_utils.host.checksums import path_digest


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "paths": {"type": "list", "elements": "path", "required": True},
            "ignore": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    try:
        digests = {path: path_digest(path, module.params["ignore"]) for path in module.params["paths"]}
    except OSError as error:
        module.fail_json(msg=f"{error.filename} cannot be read: {error.strerror}")
    module.exit_json(changed=False, digests=digests)


if __name__ == "__main__":
    main()
