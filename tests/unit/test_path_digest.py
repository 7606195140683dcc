# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One checksum for a file or a folder."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Callable

import pytest
from ansible_collections.airflowops.cluster.plugins.module_utils.host.checksums import path_digest


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "tree"
    (top / "a" / "__pycache__").mkdir(parents=True)
    (top / "a" / "one.py").write_text("1")
    (top / "a" / "__pycache__" / "one.pyc").write_text("compiled")
    (top / "empty").mkdir()
    (top / "link").symlink_to("a/one.py")
    return top


def test_file_has_its_sha256(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to("file")
    expected = hashlib.sha256(b"text").hexdigest()
    assert path_digest(str(tmp_path / "file")) == path_digest(str(tmp_path / "link")) == expected


def test_nothing_has_none(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to("nowhere")
    assert path_digest(str(tmp_path / "missing")) is None
    assert path_digest(str(tmp_path / "dangling")) is None


def test_copy_is_the_same_whatever_its_times_and_permissions(tree: Path, tmp_path: Path) -> None:
    shutil.copytree(tree, tmp_path / "copy", symlinks=True)
    (tmp_path / "copy" / "a" / "one.py").chmod(0o600)
    (tmp_path / "copy" / "a" / "one.py").touch()
    assert path_digest(str(tmp_path / "copy")) == path_digest(str(tree))


def test_ignored_names_do_not_count(tree: Path) -> None:
    before = path_digest(str(tree), ["__pycache__"])
    assert before != path_digest(str(tree))
    shutil.rmtree(tree / "a" / "__pycache__")
    assert path_digest(str(tree), ["__pycache__"]) == path_digest(str(tree)) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: (tree / "a" / "one.py").write_text("2"),
        lambda tree: (tree / "a" / "one.py").rename(tree / "one.py"),
        lambda tree: (tree / "empty").rmdir(),
        lambda tree: (tree / "a" / "two.py").touch(),
        lambda tree: (tree / "a" / "one.py").chmod(0o744),
        lambda tree: ((tree / "link").unlink(), (tree / "link").symlink_to("a/two.py")),
        lambda tree: ((tree / "link").unlink(), shutil.copy(tree / "a" / "one.py", tree / "link")),
    ],
    ids=["content", "place", "folder", "addition", "execute bit", "link", "link to file"],
)
def test_every_change_counts(tree: Path, change: Callable[[Path], object]) -> None:
    before = path_digest(str(tree))
    change(tree)
    assert path_digest(str(tree)) != before
