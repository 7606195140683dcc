# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A user without sudo on the controller follows the README's steps, word for word, to a working host."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from lab import PODMAN, ROOT, Lab, recap

USER = "airflowops-reader"
HOME = Path("/home") / USER
VAULT_PASSWORD = "only for this test"
# What a reader does in an editor: the address, and who may log in. The rest is as it is shipped.
EDITOR = """\
#!/bin/sh
exec sed -i 's/192\\.0\\.2\\.10/{address}/; s/^ansible_user: .*/ansible_user: admin/' "$@"
"""


def readme_steps(inventory: str) -> str:
    """The shell commands under `Run it on your own machines`, for the inventory of one machine."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split("## Run it on your own machines", 1)[1].split("\n## ", 1)[0]
    (steps,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return steps.replace("inventories/prod", inventory)


def answered(command: list[str], timeout: float) -> tuple[int, str]:
    """Runs a command at a terminal and types the vault's password wherever it is asked for."""
    child, terminal = pty.fork()
    if child == 0:
        os.execvp(command[0], command)
    shown, new, deadline = b"", b"", time.monotonic() + timeout
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            read = os.read(terminal, 65536)
        except OSError:  # Its end.
            break
        shown, new = shown + read, new + read
        if re.search(rb"[Pp]assword[^\n]*: ?$", new):
            os.write(terminal, VAULT_PASSWORD.encode() + b"\n")
            new = b""
    else:
        os.kill(child, 9)
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown.decode(errors="replace")


@dataclass
class Reader:
    address: str
    script: Path

    def run(self, steps: str, timeout: float) -> str:
        """As in a login shell of the user, in the checkout."""
        self.script.write_text(f"set -e\ncd ~/checkout\nexport EDITOR=~/editor ANSIBLE_NOCOLOR=1\n{steps}")
        self.script.chmod(0o644)
        code, output = answered(["su", "-", USER, "-c", f"bash {self.script}"], timeout)
        assert code == 0, output[-6000:]
        return output


@pytest.fixture
def reader(lab: Lab, tmp_path: Path) -> Iterator[Reader]:
    """A new host, and a user of this machine who has its key, a copy of the checkout, and nothing else."""
    first, second, third, last = lab.address(lab.hosts[0]).split(".")
    network = f"{first}.{second}.{(int(third) + 100) % 256}"
    host, directory = f"{network}.{last}", ROOT / ".lab" / "readme"
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(
        yaml.safe_dump(
            {"all": {"vars": {"lab_name": f"{lab.name}-readme", "lab_subnet": f"{network}.0/24"},
                     "hosts": {"node1": {"ansible_host": host}}}}
        )
    )  # fmt: skip
    ours = ("-i", ROOT / "molecule/shared/inventory", "-i", inventory, "-e", f"lab_directory={directory}")
    try:
        lab.run("ansible-playbook", *ours, "molecule/shared/create.yml")
        lab.run("useradd", "--create-home", "--home-dir", HOME, "--shell", "/bin/bash", USER)
        listed = lab.run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
        for name in filter(None, listed):
            if (ROOT / name).is_file():
                (HOME / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, HOME / "checkout" / name)
        link = HOME / "checkout/.collections/ansible_collections/airflowops/cluster"
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to("../../..")
        (HOME / ".ssh").mkdir(mode=0o700)
        for name in ("id_ed25519", "known_hosts"):
            shutil.copy2(directory / name, HOME / ".ssh" / name)
        (HOME / "editor").write_text(EDITOR.format(address=host))
        (HOME / "editor").chmod(0o755)
        lab.run("chown", "-R", "--no-dereference", f"{USER}:", HOME)
        yield Reader(host, HOME / "steps.sh")
    finally:
        subprocess.run(["userdel", "--remove", "--force", USER], check=False, capture_output=True)
        lab.run("ansible-playbook", *ours, "molecule/shared/destroy.yml")
        assert f"{lab.name}-readme" not in lab.run(PODMAN, "ps", "--all", "--format", "{{.Names}}")


@pytest.mark.topology("single_node")
@pytest.mark.usefixtures("long")
def test_a_user_without_sudo_follows_the_readme(reader: Reader) -> None:
    assert "sudo" not in subprocess.check_output(["id", "--name", "--groups", USER], text=True)
    steps = readme_steps("inventories/single_node")
    assert [word in steps for word in ("init_secrets.yml", "site.yml", "-m venv")] == [True] * 3
    first = reader.run(steps, timeout=2400)
    assert recap(first)["node1"]["failed"] == 0
    with urllib.request.urlopen(f"http://{reader.address}/api/v2/monitor/health", timeout=10) as answer:
        health = json.load(answer)
    assert {part["status"] for part in health.values() if part["status"]} == {"healthy"}

    # All that was made on the controller is the user's.
    inventories = HOME / "checkout/inventories"
    assert {path.owner() for path in inventories.rglob("*")} == {USER}
    assert (inventories / "single_node-pki").stat().st_mode & 0o777 == 0o700
    assert (inventories / "single_node/group_vars/all/secrets.yml").read_text().startswith("$ANSIBLE_VAULT")

    # Whatever the inventory sets for all hosts: neither sudo nor the hosts' Python is used here.
    more = "inventories/single_node/group_vars/all/site.yml"
    wanted = "ansible_become: true\nansible_become_method: sudo\nansible_connection: ssh\n"
    wanted += "ansible_python_interpreter: /usr/bin/python3\n"
    again = reader.run(
        'export PATH="$PWD/.venv/bin:$PATH"\n'
        f"printf '{wanted.encode('unicode_escape').decode()}' > {more}\n"
        "ansible-playbook site.yml -i inventories/single_node --ask-vault-pass\n"
        f"rm {more}\n",
        timeout=1200,
    )
    assert recap(again)["node1"]["changed"] == 0, again

    # A second controller, without the folder of the CA: nothing is changed.
    code = reader.run(
        'export PATH="$PWD/.venv/bin:$PATH"\nmv inventories/single_node-pki ~/away\n'
        "ansible-playbook site.yml -i inventories/single_node --ask-vault-pass && exit 1\n"
        "mv ~/away inventories/single_node-pki\n",
        timeout=600,
    )
    assert "has no CA, but there is one that node1 trusts" in " ".join(code.split())
    assert recap(code)["node1"]["changed"] == 0
