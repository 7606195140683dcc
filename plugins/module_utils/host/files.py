# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files, folders and links of a service, brought to the wanted state in one call.

What host_files and systemd_credential share.
"""

from __future__ import annotations

import os
import shlex
import tempfile
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.common.text.converters import to_bytes, to_text
from ansible_collections.airflowops.cluster.plugins.module_utils.host.credentials import encrypt, holds
from ansible_collections.airflowops.cluster.plugins.module_utils.host.previous import (
    DIRECTORY,
    PreviousFiles,
)

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

BEGIN = "# BEGIN airflowops.cluster"
END = "# END airflowops.cluster"
# What an entry that is a file is given by.
CONTENTS = ("content", "secret_content", "block")
# Options of an entry.
ENTRY: dict[str, dict[str, Any]] = {
    "path": {"type": "path", "required": True},
    "content": {"type": "str"},
    "base64": {"type": "bool", "default": False},
    "secret_content": {"type": "str", "no_log": True},
    "encrypted": {"type": "bool", "default": False},
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
}
# Options of a module that writes them: what the files held before is kept.
KEEPING: dict[str, dict[str, Any]] = {
    "part": {"type": "str"},
    "keep_previous": {"type": "bool", "default": False},
    "previous_directory": {"type": "path", "default": DIRECTORY},
}


class FilesError(Exception):
    """An entry that cannot be brought to its state; nothing was written for it."""


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
    if entry["encrypted"] and kinds != ["secret_content"]:
        raise FilesError(f"{entry['path']}: what is to be encrypted is given as secret_content.")
    if entry["base64"] and kinds != ["content"]:
        raise FilesError(f"{entry['path']}: what is in base64 is given as content.")


def attributes(module: AnsibleModule, entry: dict, path: str) -> bool:
    """Gives `path` the entry's owner and permissions; reports whether that was needed."""
    wanted = {
        "owner": entry["owner"],
        "group": entry["group"],
        "mode": entry["mode"] or ("0755" if entry["directory"] else "0600" if entry["encrypted"] else "0644"),
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


def remove(module: AnsibleModule, entry: dict, previous: PreviousFiles) -> bool:
    path = Path(entry["path"])
    if path.is_dir() or not os.path.lexists(path):
        return False
    if not module.check_mode and not returned(module, entry, None, previous):
        keep(module, entry, previous)
        path.unlink()
    return True


def part_of(module: AnsibleModule, entry: dict) -> str:
    return entry["part"] or module.params.get("part") or ""


def keep(module: AnsibleModule, entry: dict, previous: PreviousFiles) -> None:
    """Keeps what the file holds until what replaces it is proven."""
    part = part_of(module, entry)
    if entry["block"] is not None or not part:
        return
    if module.params.get("keep_previous"):
        previous.keep(entry["path"], part)
    elif entry["path"] in previous.files:
        previous.drop([entry["path"]])
        previous.save()


def returned(module: AnsibleModule, entry: dict, content: bytes | None, previous: PreviousFiles) -> bool:
    """Puts the previous content back where that is the wanted one: what runs with it needs no restart."""
    path = entry["path"]
    if path not in previous.files or not module.params.get("keep_previous"):
        return False
    copy = previous.copy_of(path)
    if copy is None or content is None:
        same = copy is None and content is None
    elif entry["encrypted"]:
        same = holds(module, Path(path).name, str(copy), content)
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
        file.write(encrypt(module, entry["path"], content) if entry["encrypted"] else content)
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
    if entry["encrypted"] and before is not None:
        return not holds(module, Path(entry["path"]).name, entry["path"], after)
    return before != after


def difference(entry: dict, before: bytes | None, after: bytes) -> dict:
    secret = entry["secret_content"] is not None
    return {
        "before_header": entry["path"],
        "after_header": entry["path"],
        "before": "" if before is None else "(secret)\n" if secret else to_text(before, errors="replace"),
        "after": "(secret, changed)\n" if secret else to_text(after, errors="replace"),
    }


def write_files(module: AnsibleModule, entries: list[dict]) -> dict:
    """Brings the entries to the wanted state. What files held before is kept where the module has KEEPING."""
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

    previous = PreviousFiles(module.params.get("previous_directory", DIRECTORY))

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
    noted = module.params.get("keep_previous") and module.params.get("part") and not module.check_mode
    return {
        **({"ansible_facts": previous.facts} if noted and any(previous.facts.values()) else {}),
        "changed": bool(changed),
        "changed_paths": changed,
        "diff": [difference(entry, before[entry["path"]], after[entry["path"]]) for entry in to_write],
    }
