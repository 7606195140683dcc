# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One checksum for all that lies under a path: the same on two machines where the same lies there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path


def entries(top: Path, ignore: Collection[str]) -> Iterator[Path]:
    """All that lies under `top`, in an order that is the same everywhere; links are not followed."""
    for entry in sorted(os.scandir(top), key=lambda entry: entry.name):
        if entry.name in ignore:
            continue
        yield Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from entries(Path(entry.path), ignore)


def content(path: Path) -> bytes:
    """A checksum of what the entry itself is, without its name, owner, permissions and times.

    Of a file's permissions one counts: whether anybody may execute it.
    """
    if path.is_symlink():
        return hashlib.sha256(b"link " + os.fsencode(os.readlink(path))).digest()
    if path.is_dir():
        return hashlib.sha256(b"folder").digest()
    if path.is_file():
        kind = b"program " if path.stat().st_mode & 0o111 else b"file "
        return hashlib.sha256(kind + path.read_bytes()).digest()
    return hashlib.sha256(b"other").digest()


def path_digest(path: str, ignore: Collection[str] = ()) -> str | None:
    """The checksum in hexadecimal digits, of a file that of its content; None where nothing is.

    A link at `path` itself is followed.

    ignore: names, of files and folders alike, that are left out at every depth.
    """
    top = Path(path).expanduser().resolve()
    if not top.exists():
        return None
    if not top.is_dir():
        return hashlib.sha256(top.read_bytes()).hexdigest()
    digest = hashlib.sha256()
    for entry in entries(top, ignore):
        name = os.fsencode(entry.relative_to(top))
        digest.update(b"%d:" % len(name) + name + content(entry))
    return digest.hexdigest()
