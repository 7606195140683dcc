# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From one CA to the next on the controller, by the role's own tasks, whole and cut off."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).parents[2]
ANSIBLE = Path(sys.executable).parent / "ansible-playbook"


def take(*steps: tuple[str, Path]) -> None:
    """Steps, each on the CA of a folder, in one run. The step `make` is what site.yml does first."""
    tasks = [
        {
            "ansible.builtin.include_role": {
                "name": "airflowops.cluster.certificates",
                "tasks_from": "ca" if name == "make" else "rotate",
            },
            "vars": {"certificates_ca_directory": str(folder), "certificates_rotate_step": name},
        }
        for name, folder in steps
    ]
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
    book = steps[0][1].parent / "play.yml"
    book.write_text(yaml.safe_dump([play]))
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".collections")}
    own = f"ansible_python_interpreter={sys.executable}"
    done = subprocess.run(
        [ANSIBLE, "-i", "localhost,", "-e", own, book],
        cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def announced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("announced") / "pki"
    take(("make", folder), ("announce", folder), ("announce", folder))
    return folder


def files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.suffix != ".crl"}


def lists(folder: Path) -> set[Path]:
    return {*folder.glob("*.crl")}


def is_good(revoked: Path, ca: Path) -> bool:
    """Whether it is the list that the CA has signed, and good until the CA ends."""
    reported = subprocess.run(
        ["openssl", "crl", "-in", revoked, "-CAfile", ca, "-noout", "-nextupdate"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    end = subprocess.check_output(["openssl", "x509", "-in", ca, "-noout", "-enddate"], text=True)
    return "verify OK" in reported.stderr and reported.stdout.split("=")[1] == end.split("=")[1]


def fits(folder: Path) -> bool:
    """Whether ca.key is the key of ca.crt."""
    of_key = subprocess.check_output(["openssl", "pkey", "-pubout", "-in", folder / "ca.key"])
    return of_key == subprocess.check_output(
        ["openssl", "x509", "-noout", "-pubkey", "-in", folder / "ca.crt"]
    )


def test_one_takes_the_others_place(announced: Path, tmp_path: Path) -> None:
    assert {*files(announced)} == {"ca.crt", "ca.key", "ca-next.crt", "ca-next.key"}
    used, forgotten = tmp_path / "used", tmp_path / "forgotten"
    shutil.copytree(announced, used)
    take(("use", used))
    assert {*files(used)} == {"ca.crt", "ca.key", "ca-previous.crt"}
    assert files(used)["ca.crt"] == files(announced)["ca-next.crt"] != files(announced)["ca.crt"]
    assert files(used)["ca-previous.crt"] == files(announced)["ca.crt"]
    assert fits(used)
    assert oct((used / "ca.key").stat().st_mode & 0o777) == "0o600"
    shutil.copytree(used, forgotten)
    take(("forget", forgotten))
    assert files(forgotten) == {name: files(used)[name] for name in ("ca.crt", "ca.key")}


def test_the_list_of_what_is_revoked_is_there_for_each_ca(announced: Path, tmp_path: Path) -> None:
    """Named by its CA's key, so that none is asked for what another has signed."""
    (first,) = lists(announced)
    assert is_good(first, announced / "ca.crt")
    begun = first.read_bytes()
    folder = tmp_path / "pki"
    shutil.copytree(announced, folder)
    take(("use", folder), ("make", folder))
    assert len(lists(folder)) == 2
    assert is_good(folder / first.name, folder / "ca-previous.crt")
    (second,) = lists(folder) - {folder / first.name}
    assert is_good(second, folder / "ca.crt")
    made = second.read_bytes()
    take(("forget", folder), ("make", folder))
    assert lists(folder) == {second}
    assert second.read_bytes() == made != begun


def test_a_ca_of_an_earlier_version_gets_its_list(announced: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pki"
    shutil.copytree(announced, folder)
    for path in lists(folder):
        path.unlink()
    take(("make", folder))
    (made,) = lists(folder)
    assert is_good(made, folder / "ca.crt")


def test_cut_off_while_it_takes_the_place(announced: Path, tmp_path: Path) -> None:
    """Run again from its beginning, it ends as if it had never been cut off."""
    begun = files(announced)
    # As far as it had come.
    written = {
        "nothing": {},
        "previous": {"ca-previous.crt": begun["ca.crt"]},
        "key": {"ca-previous.crt": begun["ca.crt"], "ca.key": begun["ca-next.key"]},
    }
    written["all"] = {**written["key"], "ca.crt": begun["ca-next.crt"]}
    for name, changed in written.items():
        shutil.copytree(announced, tmp_path / name)
        for file, text in changed.items():
            (tmp_path / name / file).write_text(text)
    shutil.copytree(tmp_path / "all", tmp_path / "cleared")
    (tmp_path / "cleared/ca-next.crt").unlink()
    folders = [tmp_path / name for name in (*written, "cleared")]
    take(*((step, folder) for folder in folders for step in ("announce", "use")))
    for folder in folders:
        assert fits(folder), folder
        assert files(folder)["ca.crt"] == begun["ca-next.crt"], folder
        assert files(folder)["ca-previous.crt"] == begun["ca.crt"], folder


def test_a_key_without_certificate_is_made_anew(announced: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pki"
    shutil.copytree(announced, folder)
    (folder / "ca-next.crt").unlink()
    take(("announce", folder))
    assert files(folder)["ca-next.key"] != files(announced)["ca-next.key"]
