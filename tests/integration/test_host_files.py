# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module host_files on real files, run as Ansible runs it."""

from __future__ import annotations

import grp
import json
import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from redis_servers import run_module

OWNER = {"owner": pwd.getpwuid(os.getuid()).pw_name, "group": grp.getgrgid(os.getgid()).gr_name}


def write(*files: dict[str, Any], **options: Any) -> dict[str, Any]:
    return run_module("host_files", files=[{**OWNER, **file} for file in files], **options)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def wish(tmp_path: Path) -> list[dict[str, Any]]:
    """One of each kind, the link and the file before the folder they lie in."""
    folder = tmp_path / "folder"
    return [
        {"path": str(folder / "current"), "target": str(folder / "a")},
        {"path": str(folder / "a"), "content": "one\n", "mode": "0640"},
        {"path": str(folder / "b"), "secret_content": "hunter2\n", "mode": "0600"},
        {"path": str(folder), "directory": True, "mode": "0750"},
    ]


def test_makes_all_and_then_finds_nothing_to_do(wish: list[dict[str, Any]], tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    planned = write(*wish, check=True)
    assert not folder.exists()
    result = write(*wish)
    assert (
        set(result["changed_paths"]) == set(planned["changed_paths"]) == {str(file["path"]) for file in wish}
    )
    assert (folder / "a").read_text() == "one\n"
    assert (folder / "b").read_text() == "hunter2\n"
    assert (folder / "current").readlink() == folder / "a"
    assert [mode(folder), mode(folder / "a"), mode(folder / "b")] == [0o750, 0o640, 0o600]
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b", "current"]
    changed_at = (folder / "a").stat().st_mtime_ns
    again = write(*wish)
    assert again["changed"] is False
    assert again["changed_paths"] == again["diff"] == []
    assert (folder / "a").stat().st_mtime_ns == changed_at


def test_permissions_alone_are_set_right_without_touching_the_content(
    wish: list[dict[str, Any]], tmp_path: Path
) -> None:
    write(*wish)
    path = tmp_path / "folder" / "a"
    changed_at = path.stat().st_mtime_ns
    path.chmod(0o777)
    assert write(*wish, check=True)["changed_paths"] == [str(path)]
    assert mode(path) == 0o777
    assert write(*wish)["changed_paths"] == [str(path)]
    assert mode(path) == 0o640
    assert path.stat().st_mtime_ns == changed_at


def test_link_is_turned(wish: list[dict[str, Any]], tmp_path: Path) -> None:
    write(*wish)
    link = tmp_path / "folder" / "current"
    assert write({"path": str(link), "target": "elsewhere"})["changed_paths"] == [str(link)]
    assert os.readlink(link) == "elsewhere"


def test_secrets_are_never_shown(wish: list[dict[str, Any]]) -> None:
    for options in ({"check": True}, {}, {}):
        assert "hunter2" not in json.dumps(write(*wish, **options))
    wish[2]["secret_content"] = "correct horse\n"
    for options in ({"check": True}, {}):
        text = json.dumps(write(*wish, **options))
        assert "hunter2" not in text
        assert "correct horse" not in text


def test_difference_of_a_file_that_may_be_shown(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("one\n")
    (shown,) = write({"path": str(path), "content": "two\n"}, check=True)["diff"]
    assert (shown["before"], shown["after"]) == ("one\n", "two\n")


def test_unsound_content_leaves_every_validated_file_as_it_was(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("old\n")
    result = write(
        {"path": str(first), "content": "new\n", "validate": "true %s"},
        {"path": str(second), "content": "unsound\n", "validate": "grep -q sound-as-a-bell %s"},
    )
    assert result["failed"]
    assert str(second) in result["msg"]
    assert first.read_text() == "old\n"
    assert [path.name for path in tmp_path.iterdir()] == ["first"]


def test_what_a_validated_file_names_is_there_when_it_is_validated(tmp_path: Path) -> None:
    named = tmp_path / "named"
    write(
        {"path": str(tmp_path / "naming"), "content": "x\n", "validate": f"grep -q there {named} %s"},
        {"path": str(named), "content": "there\n"},
    )
    assert (tmp_path / "naming").read_text() == "x\n"


def test_validated_content_and_a_copy_of_the_old(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old\n")
    write({"path": str(path), "content": "new\n", "validate": "grep -q new %s", "backup": True})
    assert path.read_text() == "new\n"
    (copy,) = [other for other in tmp_path.iterdir() if other != path]
    assert copy.read_text() == "old\n"


def test_what_is_not_ours_to_replace_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("file")
    for entry, reason in (
        ({"path": str(tmp_path / "folder"), "content": ""}, "not a regular file"),
        ({"path": str(tmp_path / "link"), "content": ""}, "not a regular file"),
        ({"path": str(tmp_path / "file"), "directory": True}, "not a folder"),
        ({"path": str(tmp_path / "file"), "target": "x"}, "not a link"),
        ({"path": str(tmp_path / "a")}, "give one of"),
        ({"path": str(tmp_path / "a"), "content": "", "directory": True}, "give one of"),
        ({"path": str(tmp_path / "none" / "a"), "content": ""}, "none"),
    ):
        result = write(entry)
        assert result["failed"], entry
        assert entry["path"] in result["msg"] or "none" in result["msg"]
        assert reason in result["msg"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "link"]


def test_block_stands_among_the_lines_of_others(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 localhost\n# theirs")
    block = {"path": str(path), "block": "192.0.2.1 one\n192.0.2.2 two\n"}
    assert write(block)["changed_paths"] == [str(path)]
    marked = "# BEGIN airflowops.cluster\n192.0.2.1 one\n192.0.2.2 two\n# END airflowops.cluster\n"
    assert path.read_text() == "127.0.0.1 localhost\n# theirs\n" + marked
    assert write(block)["changed"] is False
    with path.open("a") as file:
        file.write("# after\n")
    assert write({"path": str(path), "block": "192.0.2.3 three"})["changed_paths"] == [str(path)]
    assert path.read_text() == (
        "127.0.0.1 localhost\n# theirs\n"
        "# BEGIN airflowops.cluster\n192.0.2.3 three\n# END airflowops.cluster\n# after\n"
    )


def test_block_of_an_existing_file_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "folder/hosts.debian.tmpl"
    wish = {"path": str(path), "block": "192.0.2.1 one", "existing": True}
    assert write(wish)["changed"] is False
    assert not path.exists()
    path.parent.mkdir()
    path.write_text("127.0.0.1 localhost\n")
    assert write(wish)["changed_paths"] == [str(path)]
    assert write(wish)["changed"] is False
    assert "192.0.2.1 one\n" in path.read_text()
    assert "goes with block alone" in write({"path": str(path), "content": "x", "existing": True})["msg"]


def test_block_makes_the_file_and_names_a_folder_in_its_place(tmp_path: Path) -> None:
    write({"path": str(tmp_path / "hosts"), "block": "192.0.2.1 one"})
    assert (tmp_path / "hosts").read_text().splitlines()[1] == "192.0.2.1 one"
    (tmp_path / "folder").mkdir()
    assert "not a regular file" in write({"path": str(tmp_path / "folder"), "block": "x"})["msg"]


@pytest.fixture
def host_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In place of this machine's own: systemd-creds makes it when it first needs it."""
    if not shutil.which("systemd-creds"):
        pytest.skip("this machine has no systemd-creds")
    key = tmp_path / "credential.secret"
    monkeypatch.setenv("SYSTEMD_CREDENTIAL_SECRET", str(key))
    return key


@pytest.mark.usefixtures("host_key")
def test_sealed_file_opens_under_its_name_alone(tmp_path: Path) -> None:
    path = tmp_path / "password"
    wish = {"path": str(path), "secret_content": "hunter2 \u00e9", "encrypted": True}
    assert write(wish, check=True)["changed_paths"] == [str(path)]
    assert not path.exists()
    result = write(wish)
    assert result["changed_paths"] == [str(path)]
    assert "hunter2" not in json.dumps(result)
    assert mode(path) == 0o600
    assert b"hunter2" not in path.read_bytes()
    opened = subprocess.run(["systemd-creds", "decrypt", path, "-"], capture_output=True, check=True)
    assert opened.stdout.decode() == "hunter2 \u00e9"
    assert subprocess.run(["systemd-creds", "decrypt", "--name=other", path, "-"]).returncode != 0


def test_sealed_file_is_written_when_its_secret_or_the_key_is_another(tmp_path: Path, host_key: Path) -> None:
    path = tmp_path / "password"
    wish = {"path": str(path), "secret_content": "one", "encrypted": True}
    write(wish)
    encrypted = path.read_bytes()
    assert write(wish)["changed"] is False
    assert path.read_bytes() == encrypted
    assert write({**wish, "secret_content": "two"})["changed_paths"] == [str(path)]
    assert write({**wish, "secret_content": "two"})["changed"] is False
    # A copy of the machine, with a key of its own.
    host_key.unlink()
    assert write({**wish, "secret_content": "two"})["changed_paths"] == [str(path)]
    assert write({**wish, "secret_content": "two"})["changed"] is False


def test_only_secrets_are_sealed(tmp_path: Path) -> None:
    result = write({"path": str(tmp_path / "a"), "content": "x", "encrypted": True})
    assert result["failed"]
    assert "secret_content" in result["msg"]
    assert not (tmp_path / "a").exists()


def test_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a"
    wish = {"path": str(path), "content": "MIL/AAo=", "base64": True}
    assert write(wish)["changed"]
    assert path.read_bytes() == b"0\x82\xff\x00\n"
    assert not write(wish)["changed"]
    for wrong in ({**wish, "content": "no base64!"}, {"path": str(path), "block": "MIL/", "base64": True}):
        assert write(wrong)["failed"]
    assert path.read_bytes() == b"0\x82\xff\x00\n"


def test_file_that_must_not_be(tmp_path: Path) -> None:
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("x")
    folder.mkdir()
    wish = [{"path": str(path), "absent": True} for path in (file, folder, tmp_path / "none")]
    assert write(*wish, check=True)["changed_paths"] == [str(file)]
    assert file.exists()
    assert write(*wish)["changed_paths"] == [str(file)]
    assert not file.exists() and folder.exists()
    assert write(*wish)["changed"] is False


@pytest.fixture
def settled(tmp_path: Path) -> dict[str, Any]:
    """Options for a host on which a run has ended well."""
    folder = tmp_path / "kept" / "previous"
    folder.mkdir(parents=True)
    (folder / "index.json").write_text('{"settled": true}')
    return {"part": "example", "keep_previous": True, "previous_directory": str(folder)}


def test_what_a_file_held_comes_back_when_it_is_wanted_again(tmp_path: Path, settled: dict[str, Any]) -> None:
    good = {"path": str(tmp_path / "example.conf"), "content": "good\n"}
    write(good, **settled)
    changed_at = (tmp_path / "example.conf").stat().st_mtime_ns
    # The first writing is proven, as at the end of a run.
    index = Path(settled["previous_directory"]) / "index.json"
    index.write_text('{"settled": true}')
    assert "ansible_facts" not in write(good, **settled)
    bad = write({**good, "content": "bad\n"}, **settled)
    assert bad["ansible_facts"] == {"airflowops_kept": True, "airflowops_unsettled": True}
    assert json.loads(index.read_text())["files"][good["path"]]["part"] == "example"
    again = write(good, **settled)
    assert again["changed_paths"] == [good["path"]]
    assert "ansible_facts" not in again
    assert (tmp_path / "example.conf").read_text() == "good\n"
    assert (tmp_path / "example.conf").stat().st_mtime_ns == changed_at
    assert write(good, **settled)["changed"] is False


def test_without_the_option_nothing_is_kept_and_what_was_kept_is_dropped(
    tmp_path: Path, settled: dict[str, Any]
) -> None:
    file = {"path": str(tmp_path / "example.conf"), "content": "one\n"}
    index = Path(settled["previous_directory"]) / "index.json"
    write(file, **{**settled, "keep_previous": False})
    assert "files" not in json.loads(index.read_text())
    write({**file, "content": "two\n"}, **settled)
    assert json.loads(index.read_text())["files"]
    write({**file, "content": "three\n"}, **{**settled, "keep_previous": False})
    assert json.loads(index.read_text())["files"] == {}
    assert [path.name for path in index.parent.iterdir()] == ["index.json"]


def test_a_file_that_is_not_wanted_any_more_is_kept_too(tmp_path: Path, settled: dict[str, Any]) -> None:
    file = {"path": str(tmp_path / "example.conf"), "content": "one\n"}
    write(file)
    write({"path": file["path"], "absent": True}, **settled)
    assert not (tmp_path / "example.conf").exists()
    write(file, **settled)
    index = json.loads((Path(settled["previous_directory"]) / "index.json").read_text())
    assert index["files"] == {}
    assert list(index["returned"]) == [file["path"]]


@pytest.mark.usefixtures("host_key")
def test_a_credential_of_its_own_module_opens_under_its_name_and_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "password"
    wish = {**OWNER, "path": str(path), "content": "hunter2"}
    assert run_module("systemd_credential", check=True, **wish)["changed"]
    assert not path.exists()
    result = run_module("systemd_credential", **wish)
    assert result["changed_paths"] == [str(path)]
    assert "hunter2" not in json.dumps(result)
    assert mode(path) == 0o600
    opened = subprocess.run(["systemd-creds", "decrypt", path, "-"], capture_output=True, check=True)
    assert opened.stdout == b"hunter2"
    assert not run_module("systemd_credential", **wish)["changed"]
    # host_files takes it for the same.
    assert not write({"path": str(path), "secret_content": "hunter2", "encrypted": True})["changed"]
    assert run_module("systemd_credential", path=str(path), state="absent")["changed_paths"] == [str(path)]
    assert not run_module("systemd_credential", path=str(path), state="absent")["changed"]
    assert "content" in run_module("systemd_credential", path=str(path))["msg"]
