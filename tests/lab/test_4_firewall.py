# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""With the firewall on, nobody else gets in, all that is needed does, and a mistake does not shut SSH out."""

from __future__ import annotations

import json
import re
import shlex
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from lab import Lab, changed, wait_until
from test_2_verify import run_dag

pytestmark = pytest.mark.topology("multi_node")
ON = ("playbooks/firewall.yml", "-e", "firewall_backend=nftables")
OFF = ("playbooks/firewall.yml", "-e", "firewall_backend=none")
# Which of the addresses that it is given, `HOST PORT` a line, let it in.
TRY = """
import socket, sys
from concurrent.futures import ThreadPoolExecutor
def opens(line):
    host, port = line.split()
    try:
        socket.create_connection((host, int(port)), 1.5).close()
    except OSError:
        return ""
    return line
print("".join(ThreadPoolExecutor(200).map(opens, sys.stdin)), end="")
"""


@pytest.fixture(scope="module", autouse=True)
def closed(lab: Lab) -> Iterator[None]:
    lab.playbook(*ON)
    yield
    lab.playbook(*OFF)
    for host in lab.hosts:
        state = lab.host(host).run(
            "nft list tables; systemctl list-unit-files 'airflowops-firewall*'; ls /etc/airflowops"
        )
        assert "airflowops-firewall" not in state.stdout, host
        assert "inet airflowops" not in state.stdout, host
        assert "firewall.nft" not in state.stdout, host


def listening(lab: Lab) -> dict[str, set[int]]:
    """What a scan of all ports could find, from the hosts themselves."""

    def ports(host: str) -> set[int]:
        lines = lab.host(host).check_output("ss -Hltn").splitlines()
        found = {line.split()[3] for line in lines}
        return {int(one.rpartition(":")[2]) for one in found if not one.startswith(("127.", "[::1]"))}

    with ThreadPoolExecutor() as pool:
        return dict(zip(lab.hosts, pool.map(ports, lab.hosts)))


def front_ports(lab: Lab) -> list[tuple[str, int]]:
    ports = (80, 443) if lab.ca else (80,)
    return [(host, port) for host in lab.group("nginx_lb") for port in ports]


def opens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 1.5).close()
    except OSError:
        return False
    return True


def test_from_outside_only_ssh_and_nginx_are_found(lab: Lab) -> None:
    wanted = [(host, port) for host, ports in listening(lab).items() for port in ports]
    assert {7000, 5432, 8080, 8081, 5555, 8793} <= {port for _host, port in wanted}
    with ThreadPoolExecutor(100) as pool:
        answers = [*pool.map(lambda one: opens(lab.address(one[0]), one[1]), wanted)]
    found = {one for one, answered in zip(wanted, answers) if answered}
    assert found == {(host, 22) for host in lab.hosts} | {*front_ports(lab)}


def test_a_worker_gets_to_what_it_needs_and_to_nothing_else(lab: Lab) -> None:
    lines = [f"{lab.address(host)} {port}" for host, ports in listening(lab).items() for port in ports]
    text = "\n".join(lines) + "\n"
    answer = lab.host("worker1").check_output(
        f"printf %s {shlex.quote(text)} | python3 -c {shlex.quote(TRY)}"
    )
    found = {
        (host, int(port))
        for host, port in map(str.split, answer.splitlines())
        if host != lab.address("worker1")
    }
    needed = {(lab.address(host), port) for host in lab.group("redis_cluster") for port in (7000, 7001)}
    metastores = [lab.address(host) for host in lab.group("postgres_metastore")]
    needed |= {(address, 5432) for address in metastores}
    # Of several, Patroni reports who leads.
    needed |= {(address, 8008) for address in metastores if len(metastores) > 1}
    needed |= {(lab.address(host), 8081) for host in lab.group("airflow_master")}
    needed |= {(lab.address(host), port) for host, port in front_ports(lab)}
    needed |= {(lab.address(host), 22) for host in lab.hosts if host != "worker1"}
    assert found == needed


def test_tasks_run_and_their_logs_are_fetched(lab: Lab) -> None:
    run = run_dag(lab, "test_ha_celery_workers")
    assert run["state"] == "success"
    task = run["tasks"][0]
    path = f"dags/test_ha_celery_workers/dagRuns/{run['run_id']}/taskInstances/{task['task_id']}/logs/1"
    content = wait_until("its log", lambda: json.dumps(lab.airflow.get(path)), 20)
    assert "Could not read served logs" not in content


def test_a_second_run_changes_nothing_and_what_was_flushed_comes_back(lab: Lab) -> None:
    worker = lab.host("worker1")
    worker.run_expect([0], "nft delete table inet airflowops")
    output = lab.playbook(*ON, "--limit", "worker1")
    assert changed(output) == 2, output
    assert "policy drop" in worker.check_output("nft list table inet airflowops")
    output = lab.playbook(*ON)
    assert changed(output) == 0, output


def test_the_unit_loads_the_rules_and_may_do_nothing_else(lab: Lab) -> None:
    worker = lab.host("worker1")
    worker.run_expect([0], "nft delete table inet airflowops && systemctl restart airflowops-firewall")
    assert "policy drop" in worker.check_output("nft list table inet airflowops")
    worker.run_expect([0], "systemctl reload airflowops-firewall")
    assert worker.check_output("systemctl show -P User airflowops-firewall") == "daemon"
    exposed = worker.check_output("systemd-analyze security --no-pager airflowops-firewall | tail -1")
    assert float(re.search(r"exposure level for \S+: ([0-9.]+)", exposed)[1]) <= 3.0, exposed


def test_rules_that_shut_ssh_out_are_taken_back(lab: Lab) -> None:
    worker, address = lab.host("worker1"), lab.address("worker1")
    rules = worker.check_output("cat /etc/airflowops/firewall.nft")
    broken = "\n".join(line for line in rules.splitlines() if 'comment "SSH"' not in line) + "\n"
    tried = lab.module(
        "worker1", "airflowops.cluster.nftables_table", state="trial", content=broken, rollback_timeout=8
    )
    assert tried["trial"]
    assert not opens(address, 22)
    wait_until("SSH is let in again", lambda: opens(address, 22), 20)
    assert 'comment "SSH"' in worker.check_output("nft list table inet airflowops")
    assert worker.check_output("cat /etc/airflowops/firewall.nft") == rules
