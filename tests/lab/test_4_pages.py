# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of the pages work as they stand there: each is run, or listed with the reason."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

import pytest
from lab import BIN, ROOT, Lab

pytestmark = pytest.mark.topology("single_node")

PAGES = ["README.md", *sorted(str(page.relative_to(ROOT)) for page in ROOT.glob("docs/*.md"))]
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`(redis-cli [^`]*)`")
ON_CONTROLLER = ("ansible", "make", "cp", "molecule", "ssh", "LAB=", "$EDITOR", "python3 -m venv")
# {how a command begins: the test that runs it otherwise, or why no test does}.
ELSEWHERE = {
    "make demo": "test_1_lifecycle.py",
    "make test": "this is it",
    "make lab": "a lab of its own",
    "LAB_SUITE=": "a lab of its own",
    "make faults": "tests/faults/run.py",
    "python3 -m venv": "takes minutes and the network",
    "$EDITOR": "an editor",
    "ansible-vault edit": "an editor",
    "ansible-playbook playbooks/init_secrets.yml": "tests/integration/test_vault_secrets.py",
    "ansible-playbook site.yml -i inventories/prod --ask-vault-pass": "test_1_lifecycle.py",
    "ansible-playbook airflowops.cluster.worker_": "test_4_workers.py",
    "ansible-playbook airflowops.cluster.dags_deploy": "test_4_switches.py",
    "ansible-playbook airflowops.cluster.backup": "test_4_backup.py",
    "ansible-playbook airflowops.cluster.airflow_": "test_4_version.py",
    "ansible-playbook site.yml -i inventories/prod --tags redis_cluster": "test_4_switches.py",
    "ansible-playbook playbooks/firewall.yml": "test_4_firewall.py",
    "sudo ufw status": "test_4_firewall_beside.py",
    "sudo nft list": "test_4_firewall.py",
    "ansible-playbook playbooks/health_timer.yml": "test_4_health.py",
    "jq ": "jq is the reader's own",
    "LAB=": "any test of the lab",
    "ssh ": "any test of the lab",
    "molecule/shared/lab/podman": "any test of the lab",
    "ansible-playbook playbooks/restore.yml": "test_4_backup.py",
    "ansible-playbook playbooks/rotate_secrets.yml": "test_6_rotation.py",
    "sudo apt install certbot": "test_4_front_ways.py",
    "ansible-playbook playbooks/logs.yml": "test_4_logs.py",
    "sudo patronictl": "test_5_takeover.py",
    "sudo systemctl disable --now airflow-worker@heavy": "an example of a worker that the lab has not",
    "cp roles/airflow_common/files/locks": "writes into the checkout",
    "echo ": "writes into the checkout",
    "uv pip compile": "writes into the checkout",
    "sudo rm /etc/systemd": "an example of a worker that the lab has not",
    "sudo systemctl daemon-reload": "after the line before",
    "sudo certbot": "test_4_front_ways.py",
    "sudo firewall-cmd": "test_4_firewall_beside.py",
    "ansible-playbook site.yml -i inventories/prod --limit": "test_4_dead_hosts.py",
    "ansible-playbook site.yml $LAB": "test_1_lifecycle.py",
    "ansible airflow_worker $LAB": "any test of the lab",
}


class Command(NamedTuple):
    page: str
    text: str
    setup: str = ""  # what its block sets before, such as a password in the environment

    @property
    def on_controller(self) -> bool:
        return self.text.startswith(ON_CONTROLLER)


def commands() -> list[Command]:
    """Each command of the pages' blocks of shell, a continued one as a whole, comments left out."""
    found = []
    for page in PAGES:
        for block in BLOCK.findall((ROOT / page).read_text(encoding="utf-8")):
            setup = ""
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("export "):
                    setup = line + "\n"
                elif line.strip() and not line.startswith("#"):
                    found.append(Command(page, line.strip(), setup))
    return found


def elsewhere(command: Command) -> str | None:
    return next((why for start, why in ELSEWHERE.items() if command.text.startswith(start)), None)


def redis_login() -> str:
    """The line of the page that reads the password where Redis has it."""
    page = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    return next(line for line in page.splitlines() if line.startswith("export REDISCLI_AUTH=")) + "\n"


def on_the_host(lab: Lab, script: str) -> str:
    """Run as a user with sudo; its output."""
    done = lab.host(lab.hosts[0]).run(f"runuser -u admin -- bash -eo pipefail -c {shlex.quote(script)}")
    assert done.rc == 0, f"{script}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout + done.stderr


RUN = [command for command in commands() if not elsewhere(command)]
INLINE_REDIS = sorted({*INLINE.findall((ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8"))})


@pytest.mark.parametrize("command", RUN, ids=lambda command: f"{command.page}: {command.text[:60]}")
def test_a_command_of_a_page_succeeds(lab: Lab, command: Command, tmp_path: Path) -> None:
    if command.on_controller:
        inventories = " ".join(f"-i {shlex.quote(str(path))}" for path in lab.inventories)
        script = command.text.replace("-i inventories/prod", inventories).replace(" --ask-vault-pass", "")
        script = re.sub(r"\bworker1\b", lab.group("airflow_worker")[0], script)
        script = script.replace("=/tmp/", f"={tmp_path}/").replace("=health.html", f"={tmp_path}/health.html")
        lab.run("bash", "-ec", script, env={"PATH": f"{BIN}:/usr/bin:/bin"})
    else:
        setup = redis_login() if command.text.startswith("redis-cli") else command.setup
        assert not re.search("NOAUTH|WRONGPASS", on_the_host(lab, setup + command.text))


@pytest.mark.parametrize("command", INLINE_REDIS)
def test_a_redis_command_within_the_text_is_answered(lab: Lab, command: str) -> None:
    assert not re.search("NOAUTH|WRONGPASS|ERR", on_the_host(lab, redis_login() + command))


@pytest.mark.parametrize("start", sorted(ELSEWHERE))
def test_what_is_run_elsewhere_is_in_a_page_and_in_that_test(start: str) -> None:
    assert any(command.text.startswith(start) for command in commands()), f"no page says {start}"
    where = ELSEWHERE[start]
    if where.endswith(".py"):
        path = ROOT / where if "/" in where else ROOT / "tests/lab" / where
        playbook = re.search(r"(?:playbooks/|airflowops\.cluster\.)(\w+)", start)
        assert path.is_file()
        assert not playbook or playbook[1].rstrip("_") in path.read_text(), (
            f"{path} does not run {playbook[1]}"
        )
