# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of secrets as users have it: with a vault password, on an inventory of their own."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import (
    SECRETS,
    secret_problem,
)

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


class Inventory:
    def __init__(self, folder: Path) -> None:
        (folder / "inventory").mkdir()
        self.hosts = folder / "inventory/hosts.yml"
        self.hosts.write_text("all: {hosts: {somewhere: }}\n")
        self.file = folder / "inventory/group_vars/all/secrets.yml"
        self.password = folder / "password"
        self.password.write_text("correct horse battery staple")

    def init(self, *arguments: str, password: Path | None = None) -> subprocess.CompletedProcess[str]:
        command = [BIN / "ansible-playbook", ROOT / "playbooks/init_secrets.yml", "-i", self.hosts, "-vvv"]
        command += ["--vault-password-file", password or self.password] if password != Path() else []
        return subprocess.run(
            [*command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
        )

    def step(self, step: str, *names: str, hosts: str = "localhost") -> subprocess.CompletedProcess[str]:
        arguments = {"path": str(self.file), "step": step, "names": list(names)}
        command = [
            BIN / "ansible",
            hosts,
            "-i",
            self.hosts,
            "-m",
            "airflowops.cluster.vault_secrets",
            "-a",
            json.dumps(arguments),
        ]
        return subprocess.run(
            [*command, "--vault-password-file", self.password, "-vvv"],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def text(self) -> str:
        return subprocess.run(
            [BIN / "ansible-vault", "view", "--vault-password-file", self.password, self.file],
            cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
        ).stdout  # fmt: skip


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    return Inventory(tmp_path)


def test_makes_every_secret_once_and_shows_none(inventory: Inventory) -> None:
    foreseen = inventory.init("--check")
    assert foreseen.returncode == 0, foreseen.stdout[-3000:]
    assert not inventory.file.exists()
    first = inventory.init()
    assert first.returncode == 0, first.stdout[-3000:]
    assert inventory.file.read_text().startswith("$ANSIBLE_VAULT")
    assert stat.S_IMODE(inventory.file.stat().st_mode) == 0o600
    values = yaml.safe_load(inventory.text())
    assert values.keys() == SECRETS.keys()
    assert {name: secret_problem(name, value) for name, value in values.items()} == dict.fromkeys(SECRETS, "")
    assert len(set(values.values())) == len(values)
    content = inventory.file.read_bytes()
    second = inventory.init()
    assert re.search(r"changed=0 .*failed=0", second.stdout), second.stdout[-3000:]
    assert inventory.file.read_bytes() == content
    for value in values.values():
        assert value not in first.stdout + first.stderr + second.stdout + second.stderr


def test_adds_what_an_older_file_lacks_and_keeps_the_rest(inventory: Inventory) -> None:
    inventory.file.parent.mkdir(parents=True)
    mine = '# Mine.\nflower_password: "an-old-and-good-one"  # do not touch\nsmtp_password: x'
    inventory.file.write_text(mine)
    done = inventory.init()
    assert done.returncode == 0, done.stdout[-3000:]
    text = inventory.text()
    assert text.startswith(mine + "\n")
    assert yaml.safe_load(text).keys() == {*SECRETS, "smtp_password"}
    assert "an-old-and-good-one" not in inventory.file.read_text()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("flower_password: changeme\n", "flower_password in "),
        ("- a list\n", "does not map names to values"),
        ("flower_password: [unclosed-secret\n", "is not sound YAML"),
    ],
)
def test_a_file_that_is_not_fit_is_left_as_it_is(inventory: Inventory, content: str, words: str) -> None:
    # Not where Ansible itself reads it first.
    file = inventory.file.parents[2] / "elsewhere.yml"
    file.write_text(content)
    done = inventory.init("-e", f"secrets_file={file}")
    assert done.returncode != 0
    assert words in " ".join((done.stdout + done.stderr).split())
    assert "changeme" not in done.stdout
    assert "unclosed-secret" not in done.stdout + done.stderr
    assert file.read_text() == content


def test_without_a_password_and_with_the_wrong_one(inventory: Inventory, tmp_path: Path) -> None:
    done = inventory.init(password=Path())
    assert "--ask-vault-pass" in done.stdout + done.stderr
    assert not inventory.file.exists()
    assert inventory.init().returncode == 0
    other = tmp_path / "other"
    other.write_text("wrong")
    file = tmp_path / "copy.yml"
    file.write_bytes(inventory.file.read_bytes())
    inventory.file.unlink()
    done = inventory.init("-e", f"secrets_file={file}", password=other)
    assert "is encrypted with another password" in " ".join((done.stdout + done.stderr).split())


def test_a_rotation_shows_no_value_and_stays_encrypted(inventory: Inventory) -> None:
    assert inventory.init().returncode == 0
    before = yaml.safe_load(inventory.text())
    output = ""
    for step in ("announce", "use", "forget", "end"):
        done = inventory.step(step)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr
        output += done.stdout + done.stderr
        assert inventory.file.read_text().startswith("$ANSIBLE_VAULT")
    after = yaml.safe_load(inventory.text())
    assert {name for name in SECRETS if after[name] == before[name]} == {"airflow_admin_password"}
    for value in {**before, **after}.values():
        assert str(value) not in output or value == {}


def test_what_hosts_have_from_another_file_is_not_made_again(inventory: Inventory) -> None:
    inventory.file.parent.mkdir(parents=True)
    mine = inventory.file.with_name("vault.yml")
    mine.write_text('flower_password: "mine-from-another-file"\n')
    assert inventory.init().returncode == 0
    assert yaml.safe_load(inventory.text()).keys() == {*SECRETS} - {"flower_password"}


def test_a_file_that_a_new_folder_would_hide_is_named(inventory: Inventory) -> None:
    inventory.file.parents[1].mkdir()
    hidden = inventory.file.parents[1] / "all.yml"
    hidden.write_text("airflow_base_url: http://here\n")
    done = inventory.init()
    assert f"{hidden} is there, which Ansible reads no more" in " ".join((done.stdout + done.stderr).split())
    assert not inventory.file.parent.exists()


def test_a_secret_in_use_that_is_not_the_files_is_not_rotated(inventory: Inventory) -> None:
    assert inventory.init().returncode == 0
    content = inventory.file.read_bytes()
    inventory.file.with_name("vault.yml").write_text('flower_password: "another-one-in-use"\n')
    done = inventory.step("announce", hosts="somewhere")
    words = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0
    assert "flower_password of somewhere: the value in use is not that of" in words
    assert "another-one-in-use" not in words
    assert inventory.file.read_bytes() == content


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["airflow_admin_password"], "no such secret can be rotated. These can: redis_cluster_password"),
        (["flower_pasword"], "flower_pasword: no such secret can be rotated"),
    ],
)
def test_what_cannot_be_rotated_is_named(inventory: Inventory, names: list[str], words: str) -> None:
    assert inventory.init().returncode == 0
    content = inventory.file.read_bytes()
    done = inventory.step("announce", *names)
    assert done.returncode != 0
    assert words in " ".join((done.stdout + done.stderr).split())
    assert inventory.file.read_bytes() == content
