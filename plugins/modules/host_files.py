#!/usr/bin/python
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_files
short_description: Write all files, folders and links of a service in one round trip
version_added: 0.1.0
description:
  - Brings folders, files and symbolic links, in this order, to the wanted state.
  - M(ansible.builtin.template) costs two to six round trips a file, and these are most of the time of a run
    that changes nothing. This costs one for all files, 0.06 of their time for 20 files that are as they
    should be, on one machine without SSH (docs/benchmarks.md).
  - Files with O(files[].validate) come last, as they may name the others. All of them are validated before
    the first is replaced, so that a mistake leaves what runs as it was.
  - The content is rendered by the caller, for example with P(ansible.builtin.template#lookup).
author:
  - The airflowops.cluster maintainers (@airflowops)
options:
  files:
    description: What there has to be. A folder stands before those within it.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Where. Missing parent folders are an error.
        type: path
        required: true
      content:
        description: A file's whole content.
        type: str
      base64:
        description: Whether O(files[].content) is in base64, as that of a file which is no text.
        type: bool
        default: false
      secret_content:
        description: Likewise, of a file that holds secrets. Shown neither in logs nor in differences.
        type: str
      encrypted:
        description:
          - Whether the file holds its O(files[].secret_content) as an encrypted credential, as
            M(airflowops.cluster.systemd_credential) writes it. Here it costs no round trip of its own.
        type: bool
        default: false
      absent:
        description: Whether there has to be no such file. Folders are left alone.
        type: bool
        default: false
      block:
        description:
          - Lines that have to stand in a file with lines of others, between C(# BEGIN airflowops.cluster) and
            C(# END airflowops.cluster). All other lines stay as they are; a missing file is made.
          - Such a file is written in place where it cannot be replaced, as V(/etc/hosts) in a container.
        type: str
      existing:
        description: Whether to leave out a file that is not there. For O(files[].block).
        type: bool
        default: false
      target:
        description: What a symbolic link points to. Replaced in one step, nobody ever finds it missing.
        type: path
      directory:
        description: Whether it is a folder.
        type: bool
        default: false
      owner:
        description: Name of the owner. Not used for links.
        type: str
        default: root
      group:
        description: Name of the group. Not used for links.
        type: str
        default: root
      mode:
        description:
          - Permissions, in octal digits. Not used for links.
          - The default is V(0755) for folders, V(0600) for encrypted files and V(0644) for all others.
        type: str
      validate:
        description: Command that reports whether the content is sound, with V(%s) for the file to look at.
        type: str
      backup:
        description: Whether to keep a copy, dated, of a file whose content is replaced.
        type: bool
        default: false
      part:
        description: The part it belongs to, where that is not O(part).
        type: str
  part:
    description:
      - The part that the files belong to. What they held before is kept where O(keep_previous) asks for it,
        until M(airflowops.cluster.previous_files) puts it back or drops it.
      - Concerns files with O(files[].content), O(files[].secret_content) and O(files[].absent).
    type: str
  keep_previous:
    description:
      - Whether to keep what the files of O(part) held before, meant for C(module_defaults) of a play.
      - Nothing is kept on a host on which no run has ended well yet.
      - Without it, what was kept of a file that is written now is dropped.
    type: bool
    default: false
  previous_directory:
    description: Where to keep it.
    type: path
    default: /var/lib/airflowops/previous
attributes:
  check_mode:
    description: Reports what would change. Contents are not validated.
    support: full
  diff_mode:
    description: Shows each file's change, except of those with O(files[].secret_content).
    support: full
"""

EXAMPLES = r"""
- name: Write a service's files
  airflowops.cluster.host_files:
    files:
      - path: /etc/example
        directory: true
        mode: "0750"
      - path: /etc/example/example.conf
        content: "{{ lookup('ansible.builtin.template', 'example.conf.j2') }}"
      - path: /etc/example/secrets.env
        secret_content: "{{ lookup('ansible.builtin.template', 'secrets.env.j2') }}"
        mode: "0600"
      - path: /etc/example/database_password
        secret_content: "{{ example_database_password }}"
        encrypted: true
      - path: /etc/example/password.txt
        absent: true
      - path: /opt/example/current
        target: /opt/example/versions/2
      - path: /etc/hosts
        block: 192.0.2.1 example
"""

RETURN = r"""
changed_paths:
  description: Paths that were changed, or in check mode would be.
  type: list
  elements: str
  returned: always
"""

from ansible_collections.airflowops.cluster.plugins.module_utils.host.credentials import CredentialError
from ansible_collections.airflowops.cluster.plugins.module_utils.host.files import (
    ENTRY,
    KEEPING,
    FilesError,
    write_files,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.unlogged_module import QuietModule


def main() -> None:
    module = QuietModule(
        argument_spec={
            "files": {"type": "list", "elements": "dict", "required": True, "options": ENTRY},
            **KEEPING,
        },
        supports_check_mode=True,
    )
    try:
        result = write_files(module, module.params["files"])
    except (CredentialError, FilesError, OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
