# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an inventory sets for all hosts does not reach tasks on the controller, by real runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
# None of it works here: who uses any of it fails.
HOSTS_ALONE = {
    "ansible_become": True,
    "ansible_become_method": "ansible.builtin.sudo",
    "ansible_become_exe": "/nonexistent/sudo",
    "ansible_connection": "ssh",
    "ansible_user": "nobody",
    "ansible_ssh_executable": "/nonexistent/ssh",
    "ansible_python_interpreter": "/nonexistent/python",
}
HERE = {
    "ansible_become": False,
    "ansible_connection": "local",
    "ansible_python_interpreter": sys.executable,
}


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """A host that is this machine, and a group `all` of which nothing works."""
    folder = tmp_path / "site"
    groups = {
        "postgres_metastore": {"hosts": {"db1": {**HERE, "cluster_address": "127.0.0.1"}}},
        "airflow_master": {"hosts": {"db1": None}},
    }
    (folder / "group_vars/all").mkdir(parents=True)
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"vars": HOSTS_ALONE, "children": groups}}))
    (tmp_path / "vault-password").write_text("only-for-this-test")
    return folder


def play(inventory: Path, playbook: str, *options: str) -> str:
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".collections"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_VAULT_PASSWORD_FILE": str(inventory.parent / "vault-password"),
    }
    done = subprocess.run(
        [BIN / "ansible-playbook", "-i", inventory, CHECKOUT / playbook, *options],
        cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_secrets_and_the_ca_need_neither_sudo_nor_the_hosts_python(inventory: Path) -> None:
    play(inventory, "playbooks/init_secrets.yml")
    assert (inventory / "group_vars/all/secrets.yml").read_text().startswith("$ANSIBLE_VAULT")
    play(inventory, "playbooks/internal/certificate_authority.yml")
    pki = inventory.parent / "site-pki"
    assert {"ca.crt", "ca.key"} <= {path.name for path in pki.iterdir()}
    assert pki.stat().st_mode & 0o777 == 0o700
    step = "certificates_rotate_step=announce"
    play(inventory, "playbooks/internal/rotate_certificates_step.yml", "-e", step)
    assert (pki / "ca-next.key").exists()


def test_a_checkout_that_everybody_may_write_works(inventory: Path, tmp_path: Path) -> None:
    """Ansible ignores its ansible.cfg, so that the playbooks have to find the collection by themselves."""
    listed = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=CHECKOUT, text=True
    )
    checkout = tmp_path / "checkout"
    for name in filter(None, listed.split("\0")):
        if (CHECKOUT / name).exists():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, checkout / name, follow_symlinks=False)
    checkout.chmod(0o777)
    names = {"ANSIBLE_CONFIG", "ANSIBLE_COLLECTIONS_PATH"}
    environment = {name: value for name, value in os.environ.items() if name not in names}
    for playbook in ("site.yml", "playbooks/health.yml"):
        done = subprocess.run(
            [BIN / "ansible-playbook", "-i", inventory, playbook, "--syntax-check"],
            cwd=checkout, env={**environment, "HOME": str(tmp_path)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "world writable" in done.stderr


def test_the_export_for_another_prometheus_too(inventory: Path, tmp_path: Path) -> None:
    play(inventory, "playbooks/observability_export.yml", "-e", f"export_to={tmp_path}/export")
    assert {path.name for path in (tmp_path / "export").iterdir()} == {"alerts.yml", "scrape_configs.yml"}
