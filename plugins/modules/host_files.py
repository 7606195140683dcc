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
    that changes nothing. This costs one for all files.
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
      sealed:
        description:
          - Whether the file holds its O(files[].secret_content) encrypted with the key of the host, for
            C(LoadCredentialEncrypted=) of a unit. The name of the file is the name of the credential.
          - Written anew where it cannot be decrypted, as on a copy of the host that got a key of its own.
          - systemd 250 or later.
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
          - The default is V(0755) for folders, V(0600) for sealed files and V(0644) for all others.
        type: str
      validate:
        description: Command that tells whether the content is sound, with V(%s) for the file to look at.
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
    description: Tells what would change. Contents are not validated.
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
        sealed: true
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

import os
import shlex
import tempfile
from base64 import b64decode
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.converters import to_bytes, to_text
from ansible_collections.airflowops.cluster.plugins.module_utils.host.previous import (
    DIRECTORY,
    PreviousFiles,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.unlogged_module import QuietModule

BEGIN = "# BEGIN airflowops.cluster"
END = "# END airflowops.cluster"
# What an entry that is a file is given by.
CONTENTS = ("content", "secret_content", "block")


class FilesError(Exception):
    """A wish that cannot be met; nothing was written on its behalf."""


def with_block(text: str, block: str) -> str:
    """The text with the block between its marks, at its old place or at the end."""
    lines = text.splitlines()
    marked = [BEGIN, *block.splitlines(), END]
    if BEGIN in lines and END in lines[lines.index(BEGIN) :]:
        first = lines.index(BEGIN)
        last = lines.index(END, first)
        lines[first : last + 1] = marked
    else:
        lines += marked
    return "\n".join(lines) + "\n"


def wanted_content(entry: dict, before: bytes | None) -> bytes:
    """The whole content that the file has to have, given what it holds."""
    if entry["block"] is not None:
        return to_bytes(with_block(to_text(before or b""), entry["block"]))
    if entry["base64"]:
        return b64decode(entry["content"], validate=True)
    return to_bytes(entry["content"] if entry["content"] is not None else entry["secret_content"])


def read(path: str) -> bytes | None:
    """A regular file's content; None where there is none. Other kinds of files are not ours to replace."""
    if not os.path.lexists(path):
        return None
    if Path(path).is_symlink() or not Path(path).is_file():
        raise FilesError(f"{path} is not a regular file: it was left as it is. Move it away.")
    return Path(path).read_bytes()


def check_form(entry: dict) -> None:
    kinds = [name for name in (*CONTENTS, "target") if entry[name] is not None]
    kinds += [name for name in ("directory", "absent") if entry[name]]
    if len(kinds) != 1:
        raise FilesError(
            f"{entry['path']}: give one of content, secret_content, block, target, directory and absent, "
            f"not {len(kinds)}."
        )
    if entry["existing"] and kinds != ["block"]:
        raise FilesError(f"{entry['path']}: existing goes with block alone.")
    if entry["sealed"] and kinds != ["secret_content"]:
        raise FilesError(f"{entry['path']}: what is to be sealed is given as secret_content.")
    if entry["base64"] and kinds != ["content"]:
        raise FilesError(f"{entry['path']}: what is in base64 is given as content.")


def attributes(module: AnsibleModule, entry: dict, path: str) -> bool:
    """Gives `path` the entry's owner and permissions; tells whether that was needed."""
    wanted = {
        "owner": entry["owner"],
        "group": entry["group"],
        "mode": entry["mode"] or ("0755" if entry["directory"] else "0600" if entry["sealed"] else "0644"),
    }
    # The security context is that of the place where it will lie.
    wanted = {**module.load_file_common_arguments(wanted, path=entry["path"]), "path": path}
    return module.set_fs_attributes_if_different(wanted, False)


def make_directory(module: AnsibleModule, entry: dict) -> bool:
    path = entry["path"]
    if Path(path).is_dir():
        return attributes(module, entry, path)
    if os.path.lexists(path):
        raise FilesError(f"{path} is not a folder: it was left as it is. Move it away.")
    if not module.check_mode:
        Path(path).mkdir(0o700)
        attributes(module, entry, path)
    return True


def make_link(module: AnsibleModule, entry: dict) -> bool:
    path, target = entry["path"], entry["target"]
    if Path(path).is_symlink() and os.readlink(path) == target:
        return False
    if os.path.lexists(path) and not Path(path).is_symlink():
        raise FilesError(f"{path} is not a link: it was left as it is. Move it away.")
    if not module.check_mode:
        beside = Path(f"{path}.new")
        beside.unlink(missing_ok=True)
        beside.symlink_to(target)
        beside.rename(path)
    return True


def opens_to(module: AnsibleModule, entry: dict, content: bytes, path: str = "") -> bool:
    """Whether the sealed file, or its copy at `path`, holds that."""
    path, name = path or entry["path"], Path(entry["path"]).name
    rc, out, _ = module.run_command(["systemd-creds", "decrypt", f"--name={name}", path, "-"])
    return rc == 0 and to_bytes(out) == content


def sealed(module: AnsibleModule, entry: dict, content: bytes) -> bytes:
    # The key of the host alone: one that is bound to its TPM as well is lost with a new firmware.
    command = ["systemd-creds", "encrypt", "--with-key=host", f"--name={Path(entry['path']).name}", "-", "-"]
    rc, out, err = module.run_command(command, data=to_text(content), binary_data=True)
    if rc != 0:
        raise FilesError(f"{entry['path']} cannot be sealed: systemd-creds says: {err.strip()}")
    return to_bytes(out)


def remove(module: AnsibleModule, entry: dict, previous: PreviousFiles) -> bool:
    path = Path(entry["path"])
    if path.is_dir() or not os.path.lexists(path):
        return False
    if not module.check_mode and not returned(module, entry, None, previous):
        keep(module, entry, previous)
        path.unlink()
    return True


def part_of(module: AnsibleModule, entry: dict) -> str:
    return entry["part"] or module.params["part"] or ""


def keep(module: AnsibleModule, entry: dict, previous: PreviousFiles) -> None:
    """Keeps what the file holds until what replaces it is proven."""
    part = part_of(module, entry)
    if entry["block"] is not None or not part:
        return
    if module.params["keep_previous"]:
        previous.keep(entry["path"], part)
    elif entry["path"] in previous.files:
        previous.drop([entry["path"]])
        previous.save()


def returned(module: AnsibleModule, entry: dict, content: bytes | None, previous: PreviousFiles) -> bool:
    """Puts the previous content back where that is the wanted one: what runs with it needs no restart."""
    path = entry["path"]
    if path not in previous.files or not module.params["keep_previous"]:
        return False
    copy = previous.copy_of(path)
    if copy is None or content is None:
        same = copy is None and content is None
    elif entry["sealed"]:
        same = opens_to(module, entry, content, str(copy))
    else:
        same = copy.read_bytes() == content
    if same:
        previous.put_back(path)
        previous.save()
        if content is not None:
            attributes(module, entry, path)
    return same


def stage(module: AnsibleModule, entry: dict, content: bytes) -> str:
    """Writes the content beside its place, readable by its owner alone, and validates it."""
    folder, name = os.path.split(entry["path"])
    descriptor, path = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
    # Removed when the module ends, unless it was moved by then.
    module.add_cleanup_file(path)
    with os.fdopen(descriptor, "wb") as file:
        file.write(sealed(module, entry, content) if entry["sealed"] else content)
    if entry["validate"]:
        rc, out, err = module.run_command(entry["validate"].replace("%s", shlex.quote(path)))
        if rc != 0:
            raise FilesError(
                f"{entry['path']} would not be sound and was left as it is. `{entry['validate']}` says: "
                f"{(err or out).strip()}"
            )
    return path


def put(module: AnsibleModule, entry: dict, staged: str) -> None:
    path = entry["path"]
    # Before it is moved: its readers never find it with other permissions.
    attributes(module, entry, staged)
    if entry["backup"] and os.path.lexists(path):
        module.backup_local(path)
    if entry["block"] is not None:
        module.atomic_move(staged, path, unsafe_writes=True)
    else:
        Path(staged).rename(path)


def differs(module: AnsibleModule, entry: dict, before: bytes | None, after: bytes) -> bool:
    if entry["sealed"] and before is not None:
        return not opens_to(module, entry, after)
    return before != after


def difference(entry: dict, before: bytes | None, after: bytes) -> dict:
    secret = entry["secret_content"] is not None
    return {
        "before_header": entry["path"],
        "after_header": entry["path"],
        "before": "" if before is None else "(secret)\n" if secret else to_text(before, errors="replace"),
        "after": "(secret, changed)\n" if secret else to_text(after, errors="replace"),
    }


def run(module: AnsibleModule) -> dict:
    entries = module.params["files"]
    for entry in entries:
        check_form(entry)
    folders = [entry for entry in entries if entry["directory"]]
    links = [entry for entry in entries if entry["target"] is not None]
    files = [
        entry
        for entry in entries
        if any(entry[name] is not None for name in CONTENTS)
        and not (entry["existing"] and not os.path.lexists(entry["path"]))
    ]

    previous = PreviousFiles(module.params["previous_directory"])

    changed = [entry["path"] for entry in folders if make_directory(module, entry)]
    before = {entry["path"]: read(entry["path"]) for entry in files}
    after = {entry["path"]: wanted_content(entry, before[entry["path"]]) for entry in files}
    to_write = [
        entry for entry in files if differs(module, entry, before[entry["path"]], after[entry["path"]])
    ]
    if not module.check_mode:
        to_put = [entry for entry in to_write if not returned(module, entry, after[entry["path"]], previous)]
        # Those that are validated last: what they name has to be in its place.
        for group in (
            [entry for entry in to_put if not entry["validate"]],
            [entry for entry in to_put if entry["validate"]],
        ):
            for entry, staged in [(entry, stage(module, entry, after[entry["path"]])) for entry in group]:
                keep(module, entry, previous)
                put(module, entry, staged)
    changed += [entry["path"] for entry in to_write]
    changed += [
        entry["path"] for entry in files if entry not in to_write and attributes(module, entry, entry["path"])
    ]
    changed += [entry["path"] for entry in links if make_link(module, entry)]
    changed += [entry["path"] for entry in entries if entry["absent"] and remove(module, entry, previous)]
    noted = module.params["keep_previous"] and module.params["part"] and not module.check_mode
    return {
        **({"ansible_facts": previous.facts} if noted and any(previous.facts.values()) else {}),
        "changed": bool(changed),
        "changed_paths": changed,
        "diff": [difference(entry, before[entry["path"]], after[entry["path"]]) for entry in to_write],
    }


def main() -> None:
    module = QuietModule(
        argument_spec={
            "files": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "path": {"type": "path", "required": True},
                    "content": {"type": "str"},
                    "base64": {"type": "bool", "default": False},
                    "secret_content": {"type": "str", "no_log": True},
                    "sealed": {"type": "bool", "default": False},
                    "absent": {"type": "bool", "default": False},
                    "block": {"type": "str"},
                    "existing": {"type": "bool", "default": False},
                    "target": {"type": "path"},
                    "directory": {"type": "bool", "default": False},
                    "owner": {"type": "str", "default": "root"},
                    "group": {"type": "str", "default": "root"},
                    "mode": {"type": "str"},
                    "validate": {"type": "str"},
                    "backup": {"type": "bool", "default": False},
                    "part": {"type": "str"},
                },
            },
            "part": {"type": "str"},
            "keep_previous": {"type": "bool", "default": False},
            "previous_directory": {"type": "path", "default": DIRECTORY},
        },
        supports_check_mode=True,
    )
    try:
        result = run(module)
    except (FilesError, OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
