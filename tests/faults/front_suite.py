# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of what stands between a user and Airflow. Each makes one, and returns when all is back."""

from __future__ import annotations

import json
import time
from functools import partial

from airflow_suite import one_of
from lab import MASTER_UNITS, Lab, wait_until
from lab_visits import Visits
from results import VISITS_HEADER as HEADER
from suite import Fault

__all__ = ["HEADER"]
FLOATING = "10.123.7.60"
# One host of nginx more, and the address that the two share.
FRONTS = {
    "nginx_lb": {
        "hosts": {"front1": {}, "front2": {"ansible_host": "10.123.7.52"}},
        "vars": {"nginx_lb_floating_address": FLOATING},
    },
    "all": {"vars": {"airflow_base_url": f"https://{FLOATING}"}},
}
OFF_SECONDS = 10


def lab() -> Lab:
    plain = Lab("multi_node")
    plain.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = plain.directory / "fronts.yml"
    directory = {"lab_directory": str(plain.directory)}  # Which is worked out from where an inventory lies.
    FRONTS["nginx_lb"]["hosts"]["front2"].update(directory)
    path.write_text(json.dumps(FRONTS))
    made = Lab("multi_node")
    made.inventories.append(path)
    assert made.group("nginx_lb") == ["front1", "front2"]
    return made


def flow(lab: Lab) -> Visits:
    return Visits(lab)


def prepare(lab: Lab) -> None:
    """Nothing."""


def holders(lab: Lab) -> list[str]:
    """Hosts that have the floating address."""
    return [
        host
        for host in lab.group("nginx_lb")
        if f" {FLOATING}/32 " in lab.host(host).run("ip -4 -o address").stdout
    ]


def runs(lab: Lab, host: str, units: tuple[str, ...]) -> bool:
    return lab.host(host).run(f"systemctl is-active --quiet {' '.join(units)}").rc == 0


def whole(lab: Lab) -> None:
    for host in lab.group("airflow_master"):
        wait_until(f"{host} is back", partial(runs, lab, host, MASTER_UNITS), timeout=120)
    for host in lab.group("nginx_lb"):
        wait_until(
            f"{host} is back", partial(runs, lab, host, ("nginx", "haproxy", "keepalived")), timeout=60
        )
    wait_until("one host has the address", lambda: len(holders(lab)) == 1, timeout=30)
    wait_until("both masters serve", partial(all_serve, lab), timeout=60)


def all_serve(lab: Lab) -> bool:
    """HAProxy of each host of nginx sends requests to every master."""
    program = (
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/haproxy/admin.sock'); "
        "s.sendall(b'show stat' + bytes([10])); print(b''.join(iter(lambda: s.recv(65536), b'')).decode())"
    )
    for host in lab.group("nginx_lb"):
        lines = lab.host(host).check_output("python3 -c %s", program).splitlines()
        servers = [
            line
            for line in lines
            if line.startswith("api,") and line.split(",")[1] not in ("BACKEND", "FRONTEND")
        ]
        if len(servers) < 2 or any(line.split(",")[17] != "UP" for line in servers):
            return False
    return True


def off(lab: Lab, host: str) -> None:
    lab.podman("kill", [host], "--signal=KILL")
    try:
        time.sleep(OFF_SECONDS)
    finally:
        lab.podman("start", [host])
    wait_until("the host is back", lambda: lab.host(host).run("true").rc == 0, timeout=60)


def balancer_off(lab: Lab) -> None:
    (host,) = holders(lab)
    off(lab, host)


def master_off(lab: Lab) -> None:
    off(lab, one_of(lab, "airflow_master"))


def master_stopped(lab: Lab) -> None:
    host = one_of(lab, "airflow_master")
    lab.host(host).run_expect([0], f"systemctl stop {' '.join(MASTER_UNITS)}")
    try:
        time.sleep(5)
    finally:
        lab.host(host).run_expect([0], f"systemctl start {' '.join(MASTER_UNITS)}")


def master_killed(lab: Lab) -> None:
    lab.host(one_of(lab, "airflow_master")).run_expect(
        [0], "systemctl kill --kill-whom=all --signal=KILL airflow-api-server"
    )
    time.sleep(5)


FAULTS = [
    Fault(
        "balancer_off",
        f"the host of nginx that has the floating address: power off for {OFF_SECONDS} s",
        balancer_off,
        most_gap=3.0,
    ),
    Fault("master_stopped", "all of a master: `systemctl stop`", master_stopped, most_failed=0),
    Fault("master_killed", "a master's API server, all processes: SIGKILL", master_killed, most_failed=1),
    Fault("master_off", f"a master's host: power off for {OFF_SECONDS} s", master_off, most_failed=1),
]
