# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Beside ufw and firewalld: what is needed is let in, the user's rules stay, SSH is never shut out."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from lab import Lab, changed, wait_until

pytestmark = [pytest.mark.topology("multi_node"), pytest.mark.usefixtures("long")]
PLAYBOOK = "playbooks/firewall.yml"
# Open to the hosts of Airflow; held by nobody while no release is handed on.
RELEASE = 18793
# The user's own, open to all; one more that is open to a host by firewall_extra; and one to nobody.
USERS, EXTRA, CLOSED = 4444, 9101, 4445


class Beside(NamedTuple):
    """A firewall that the user manages, as commands of a shell."""

    name: str
    begin: str
    stop: str
    # What says which rules are the user's.
    shown: str
    close_ssh: str
    open_ssh: str


BESIDE = [
    Beside(
        "ufw",
        f"ufw allow 22/tcp && ufw allow {USERS}/tcp && ufw deny from 192.0.2.9 && ufw --force enable",
        "ufw disable",
        "cat /etc/ufw/user.rules /etc/ufw/user6.rules",
        "ufw delete allow 22/tcp",
        "ufw allow 22/tcp",
    ),
    Beside(
        "firewalld",
        "systemctl enable --now firewalld && until firewall-cmd --state; do sleep 1; done"
        f" && firewall-cmd --permanent --add-port={USERS}/tcp && firewall-cmd --permanent"
        " --add-rich-rule='rule family=ipv4 source address=192.0.2.9 reject' && firewall-cmd --reload",
        "systemctl disable --now firewalld",
        "firewall-cmd --permanent --list-all-zones",
        "firewall-cmd --remove-service=ssh && firewall-cmd --permanent --remove-service=ssh",
        "firewall-cmd --add-service=ssh && firewall-cmd --permanent --add-service=ssh",
    ),
]


class Host:
    """The worker on which the user's firewall is, and who tries to get in."""

    def __init__(self, lab: Lab, beside: Beside, inventory: Path) -> None:
        self.lab = lab
        self.beside = beside
        self.inventory = inventory
        self.name = lab.group("airflow_worker")[0]
        self.airflow = next(one for one in lab.group("airflow_master") if one != self.name)
        self.other = lab.group("redis_cluster")[0]

    def run(self, command: str) -> str:
        return self.lab.host(self.name).run_expect([0], command).stdout

    def listen(self) -> None:
        for port in (RELEASE, USERS, EXTRA, CLOSED):
            unit = f"lab-listener-{port}"
            self.run(
                f"systemctl stop {unit}; "
                f"systemd-run --collect --unit={unit} python3 -m http.server -d /var/empty {port}"
            )

    def opens(self, host: str, port: int) -> bool:
        """Whether the host gets in at the port."""
        connect = f"import socket; socket.create_connection(('{self.lab.address(self.name)}', {port}), 1.5)"
        return self.lab.host(host).run(f"python3 -c {shlex.quote(connect)}").rc == 0

    def let_in(self) -> set[tuple[str, int]]:
        ports = (RELEASE, USERS, EXTRA, CLOSED, 22)
        return {
            (host, port) for host in (self.airflow, self.other) for port in ports if self.opens(host, port)
        }

    def playbook(self, *arguments: str, **variables: Any) -> str:
        given = ["-e", json.dumps(variables)] if variables else []
        return self.lab.playbook(PLAYBOOK, "-i", self.inventory, "--limit", self.name, *given, *arguments)

    @property
    def users(self) -> str:
        """The user's rules, without those of ours and what the back end notes of them."""
        lines = self.run(self.beside.shown).splitlines()
        for at, line in enumerate(lines):
            if "### tuple ###" in line and "comment=616972666c6f776f70733a20" in line:
                lines[at : at + 2] = [""] * 2
        return "\n".join(line for line in lines if line.strip())

    @property
    def left(self) -> str:
        """All that is of ours: a table, and lines in files."""
        return self.run(
            "nft list tables | grep airflowops; cat /etc/ufw/user*.rules | grep -o 616972666c6f776f70733a20;"
            " ls /etc/firewalld/policies | grep airflowops; true"
        )

    @property
    def everybody(self) -> set[tuple[str, int]]:
        return {(host, port) for host in (self.airflow, self.other) for port in (USERS, 22)}


@pytest.fixture(scope="module", params=BESIDE, ids=lambda one: one.name)
def host(
    lab: Lab, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    inventory = tmp_path_factory.mktemp("beside") / "inventory.json"
    host = Host(lab, request.param, inventory)
    settings = {"firewall_backend": request.param.name}
    inventory.write_text(json.dumps({"all": {"hosts": {host.name: settings}}}))
    install = "DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends netbase iptables"
    host.run(f"mkdir -p /var/empty; apt-get -q update; {install} {request.param.name}")
    host.listen()
    yield host
    host.run(
        f"{request.param.stop}; apt-get -qy purge {request.param.name}; rm -rf /etc/{request.param.name}"
    )
    host.run("systemctl stop 'lab-listener-*'; true")


def test_it_is_not_switched_on(host: Host) -> None:
    host.run(host.beside.stop)
    output = host.lab.playbook(PLAYBOOK, "-i", host.inventory, "--limit", host.name, check=False)
    assert f"{host.beside.name} is not active on {host.name}" in output
    assert "failed=1" in output
    host.run(host.beside.begin)


def test_what_is_needed_is_let_in(host: Host) -> None:
    before = host.users
    assert host.let_in() == host.everybody
    assert changed(host.playbook("--check", "--diff")) == 1
    assert host.let_in() == host.everybody
    host.playbook()
    assert host.let_in() == host.everybody | {(host.airflow, RELEASE)}
    assert changed(host.playbook()) == 0
    assert host.users == before


def test_what_is_needed_no_more_is_closed(host: Host) -> None:
    extra = [{"port": EXTRA, "sources": [host.other], "why": "the user's agent"}]
    needed = host.everybody | {(host.airflow, RELEASE)}
    host.playbook(firewall_extra=extra)
    assert host.let_in() == needed | {(host.other, EXTRA)}
    host.playbook()
    assert host.let_in() == needed
    assert changed(host.playbook()) == 0


def test_hosts_are_admitted_by_runs_for_them_alone(host: Host) -> None:
    rule = {"family": 4, "source": host.lab.address(host.other), "proto": "tcp", "ports": [str(RELEASE)]}
    rules = [{**rule, "why": "the release of Airflow, while it is handed on"}]
    done = host.lab.module(
        host.name,
        "airflowops.cluster.firewall_rules",
        backend=host.beside.name,
        state="allowed",
        rules=rules,
    )
    assert done["changed"]
    assert host.opens(host.other, RELEASE)
    host.playbook()
    assert not host.opens(host.other, RELEASE)


def test_a_reboot_changes_nothing(host: Host) -> None:
    host.lab.podman("restart", [host.name], "--time=60")
    wait_until("it is up", lambda: host.run("systemctl is-active ssh"), 60)
    wait_until("its firewall is up", lambda: not host.opens(host.other, CLOSED), 60)
    host.listen()
    wait_until("its listeners are up", lambda: host.opens(host.other, USERS), 20)
    assert host.let_in() == host.everybody | {(host.airflow, RELEASE)}
    assert changed(host.playbook()) == 0


def test_ssh_that_hangs_on_a_rule_of_ours_comes_back(host: Host) -> None:
    host.playbook(firewall_ssh_sources=[host.lab.variables(host.name)["lab_subnet"]])
    host.run(host.beside.close_ssh)
    assert host.opens(host.airflow, 22)
    done = host.lab.module(
        host.name,
        "airflowops.cluster.firewall_rules",
        backend=host.beside.name,
        state="absent",
        rollback_timeout=8,
    )
    assert done["trial"]
    assert not host.opens(host.airflow, 22)
    wait_until("SSH is let in again", lambda: host.opens(host.airflow, 22), 20)
    assert host.opens(host.airflow, RELEASE)
    host.run(host.beside.open_ssh)
    host.playbook()
    assert host.let_in() == host.everybody | {(host.airflow, RELEASE)}


def test_another_back_end_takes_over(host: Host) -> None:
    host.run(host.beside.begin)
    host.playbook()
    host.run(host.beside.stop)
    host.playbook(firewall_backend="nftables")
    assert host.left == "table inet airflowops\n"
    # The user's rules are out of force.
    assert host.let_in() == {(host.airflow, 22), (host.other, 22), (host.airflow, RELEASE)}
    host.run(host.beside.begin)
    host.playbook()
    assert "table" not in host.left
    assert host.let_in() == host.everybody | {(host.airflow, RELEASE)}


def test_none_takes_ours_away_and_leaves_the_users(host: Host) -> None:
    before = host.users
    host.playbook(firewall_backend="none")
    assert host.let_in() == host.everybody
    assert host.users == before
    assert changed(host.playbook(firewall_backend="none")) == 0
    assert host.left == ""
