# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What files of services held before a run wrote them, until the services run healthy with the new ones.

A folder of root's on the host, with an index, a copy of each file, and what each unit reads. A run that was
cut off leaves them: the next one keeps the oldest, as nothing newer has been proven.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

DIRECTORY = "/var/lib/airflowops/previous"
INDEX = "index.json"
UNITS = "units.json"


def read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    descriptor, staged = tempfile.mkstemp(dir=path.parent, prefix=".")
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    Path(staged).rename(path)


def make_directory(path: Path) -> None:
    # The upper one holds more than this. A mode of mkdir is less what the umask takes.
    if not path.parent.is_dir():
        path.parent.mkdir()
        path.parent.chmod(0o755)
    path.mkdir(0o700, exist_ok=True)


def changed_at(path: str) -> float:
    """When it was changed last, in seconds since the epoch; 0 where it does not exist."""
    return os.lstat(path).st_ctime if os.path.lexists(path) else 0.0


class PreviousFiles:
    """The files' previous contents on this host.

    files: of those whose new content is not proven yet, {path: {part, copy, owner, group, mode, mtime,
        changed_at, replaced_at}}. copy is None where there was no file.
    returned: of those that hold their previous content again, {path: {changed_at, replaced_at, returned_at}}.
    settled: whether a run has ended well on this host before; without one there is nothing to go back to.
    """

    def __init__(self, directory: str = DIRECTORY) -> None:
        self.directory = Path(directory)
        index = read_json(self.directory / INDEX)
        self.files: dict[str, dict[str, Any]] = index.get("files", {})
        self.returned: dict[str, dict[str, Any]] = index.get("returned", {})
        self.settled = bool(index.get("settled", False))

    @property
    def facts(self) -> dict[str, bool]:
        """For the rest of the run: whether something is kept, and whether the run's end has to be noted."""
        return {
            "airflowops_kept": bool(self.files),
            "airflowops_unsettled": bool(self.files) or not self.settled,
        }

    def save(self) -> None:
        make_directory(self.directory)
        write_json(
            self.directory / INDEX,
            {"files": self.files, "returned": self.returned, "settled": self.settled},
        )

    def copy_of(self, path: str) -> Path | None:
        """Its previous content; None where there was no such file."""
        copy = self.files[path]["copy"]
        return None if copy is None else self.directory / copy

    def keep(self, path: str, part: str) -> None:
        """Notes what the file holds, before it is replaced or removed."""
        if not self.settled:
            return
        if path not in self.files:
            entry: dict[str, Any] = {
                "part": part,
                "copy": None,
                "changed_at": 0.0,
                "replaced_at": time.time(),
            }
            if os.path.lexists(path):
                state = os.lstat(path)
                entry.update(
                    copy=hashlib.sha256(path.encode()).hexdigest()[:24],
                    owner=state.st_uid,
                    group=state.st_gid,
                    mode=state.st_mode & 0o7777,
                    mtime=state.st_mtime_ns,
                    # Of one that was put back, the time that counts for what ran all along.
                    changed_at=self.change_that_counts(path, 0.0),
                )
                copy = self.directory / entry["copy"]
                shutil.copyfile(path, copy)
                copy.chmod(0o600)
            self.files[path] = entry
        self.returned.pop(path, None)
        self.save()

    def drop(self, paths: Iterable[str]) -> None:
        """Forgets the previous contents: what is there now is proven."""
        for path in list(paths):
            copy = self.copy_of(path)
            del self.files[path]
            if copy is not None:
                copy.unlink(missing_ok=True)

    def put_back(self, path: str) -> None:
        """Gives the file its previous content, owner, permissions and time of change, in one step."""
        entry, copy = self.files[path], self.copy_of(path)
        if copy is None:
            Path(path).unlink(missing_ok=True)
        else:
            descriptor, staged = tempfile.mkstemp(prefix=f".{Path(path).name}.", dir=Path(path).parent)
            with os.fdopen(descriptor, "wb") as file:
                file.write(copy.read_bytes())
            os.chown(staged, entry["owner"], entry["group"])
            Path(staged).chmod(entry["mode"])
            os.utime(staged, ns=(entry["mtime"], entry["mtime"]))
            Path(staged).rename(path)
        self.returned[path] = {
            "changed_at": entry["changed_at"],
            "replaced_at": entry["replaced_at"],
            "returned_at": changed_at(path),
        }
        self.drop([path])

    def change_that_counts(self, path: str, started_at: float) -> float:
        """When the file was changed last, for a process that was started then.

        One that was started before a file was replaced, and runs on after that was put back, has read what
        it holds.
        """
        changed = changed_at(path)
        returned = self.returned.get(path)
        if returned is None or returned["returned_at"] != changed or started_at >= returned["replaced_at"]:
            return changed
        return float(returned["changed_at"])


def note_units(units: Mapping[str, Mapping[str, list[str]]], directory: str = DIRECTORY) -> None:
    """Notes which files the units read: {unit: {files, reload_files}}."""
    path = Path(directory) / UNITS
    before = read_json(path)
    after = {**before, **units}
    if after != before:
        make_directory(path.parent)
        write_json(path, after)


def noted_units(directory: str = DIRECTORY) -> dict[str, dict[str, list[str]]]:
    return read_json(Path(directory) / UNITS)
