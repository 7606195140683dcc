# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines that are no fresh images: what their traits would break, before and after a reboot of all."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab import Lab, changed, recap
from test_2_verify import test_tasks_run_where_their_queue_is_served as tasks_run
from test_2_verify import test_the_log_of_each_task_comes_from_its_worker as logs_are_found
from test_4_faults import test_every_host_reboots as every_host_reboots
from test_4_health import health

pytestmark = pytest.mark.topology("rough")
HOSTS_FILE = "/etc/hosts"
CLOUD_INIT = "rough_2"


def lines_of(lab: Lab, host: str) -> list[str]:
    return lab.host(host).check_output(f"cat {HOSTS_FILE}").splitlines()


def test_the_hosts_are_as_rough_as_they_should_be(lab: Lab) -> None:
    """So that no test of this lab passes because a trait did not take hold."""
    assert "ansible_host" not in lab.variables("rough1")
    for name in lab.hosts:
        host = lab.host(name)
        assert any(line.startswith("127.0.1.1") for line in lines_of(lab, name)), name
        assert host.check_output("sh -c umask") == "0027"
        assert host.check_output("date +%Z") in ("CET", "CEST")
        assert host.check_output("printenv LANG") == "de_DE.UTF-8"
    no_socket = "python3 -c 'import socket; socket.socket(socket.AF_INET6)'"
    for name in ("rough3", "front.rough.example"):
        assert "Address family not supported" in lab.host(name).run(no_socket).stderr
    assert lab.host("rough_2").check_output("ip -6 address") == ""
    assert lab.host("rough1").check_output("hostname") == "ROUGH1"
    assert lab.host("rough1").run("/usr/local/bin/python3 -c 'import apt'").rc == 1


def test_the_cluster_is_well(lab: Lab, tmp_path: Path) -> None:
    report = health(lab, tmp_path)
    assert report["state"] == "ok", report["findings"]


def test_hosts_that_call_themselves_alike_are_refused(lab: Lab) -> None:
    """As three machines of one image do, which nobody has named."""
    names = {name: lab.host(name).check_output("hostname") for name in ("rough1", "rough3")}
    try:
        for name in names:
            lab.host(name).run_expect([0], f"cp {HOSTS_FILE} /root/hosts; hostname debian")
            lab.host(name).run_expect([0], f"sed -i 's/^127.0.1.1 .*/127.0.1.1 debian/' {HOSTS_FILE}")
        output = lab.playbook("site.yml", check=False)
    finally:
        for name, own in names.items():
            lab.host(name).run_expect([0], f"cat /root/hosts > {HOSTS_FILE}; hostname {own}")
    assert "`hostname -f` is debian on rough1, rough3, and by it" in output
    assert "hostnamectl set-hostname NAME" in output
    assert changed(output) == 0, recap(output)


def test_a_python_without_the_distributions_packages_is_refused(lab: Lab) -> None:
    output = lab.playbook("site.yml", "-e", "ansible_python_interpreter=auto_silent", check=False)
    reported = " ".join(output.split())
    assert "Ansible runs its modules on rough1 with /usr/local/lib/second-python/bin/python3" in reported
    assert "set ansible_python_interpreter to /usr/bin/python3 for these hosts" in reported
    assert changed(output) == 0, recap(output)


def test_an_address_of_ipv6_alone_is_refused(lab: Lab) -> None:
    output = lab.playbook("site.yml", "-e", "cluster_address=fd00::1", check=False)
    assert "fd00::1, the address of" in output
    assert "is an IPv6 address, where the services do not listen" in " ".join(output.split())
    assert changed(output) == 0, recap(output)


def test_health_misses_the_names_where_they_are_gone(lab: Lab, tmp_path: Path) -> None:
    host = lab.host("rough1")
    host.run_expect(
        [0], f"cp {HOSTS_FILE} /root/hosts && sed -i '/# BEGIN airflowops/,/# END/d' {HOSTS_FILE}"
    )
    try:
        report = health(lab, tmp_path)
    finally:
        host.run_expect([0], f"cat /root/hosts > {HOSTS_FILE}")
    (finding,) = report["findings"]
    assert (finding["component"], finding["host"]) == ("hosts", "rough1")
    assert "/etc/hosts has lost the names" in str(finding)


def test_the_hosts_reboot(lab: Lab) -> None:
    every_host_reboots(lab)


def test_cloud_init_has_written_the_names_again(lab: Lab) -> None:
    lines = lines_of(lab, CLOUD_INIT)
    assert any("manage_etc_hosts" in line for line in lines), "cloud-init did not run"
    assert "# BEGIN airflowops.cluster" in lines
    for name in lab.hosts:
        assert any(line.startswith(f"{lab.address(name)} ") for line in lines), (name, lines)


def test_tasks_run_and_their_logs_are_found_after_it(lab: Lab, tmp_path: Path) -> None:
    tasks_run(lab)
    logs_are_found(lab)
    report = health(lab, tmp_path)
    assert report["state"] == "ok", report["findings"]


def test_a_run_after_the_reboot_changes_nothing(lab: Lab) -> None:
    output = lab.playbook("site.yml")
    assert changed(output) == 0, recap(output)
