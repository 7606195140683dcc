# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parsers behind host_probe, and what it reads of a made-up /proc."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from ansible_collections.airflowops.cluster.plugins.module_utils.host import probe as host_probe
from hypothesis import given
from hypothesis import strategies as st

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 0:0 00:0 0     0        0 1001 1 0 100 0 0 10 0
   1: 00000000:1B58 00000000:0000 0A 0:0 00:0 0   999        0 1002 1 0 100 0 0 10 0
   2: 0100007F:1F90 0100007F:C000 01 0:0 00:0 0     0        0 1003 1 0 20 4 30 10 -1
"""
TCP6 = """\
  sl  local_address                         remote_address                st tx rx tr tm uid timeout inode
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 1004 1 0
   1: 00000000000000000000000001000000:1538 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 1005 1 0
"""


def test_listening_sockets_are_found_and_connections_left_out() -> None:
    assert host_probe.parse_listening(TCP, "little") == [
        {"address": "127.0.0.1", "port": 8080, "inode": "1001"},
        {"address": "0.0.0.0", "port": 7000, "inode": "1002"},
    ]


def test_listening_sockets_of_ipv6() -> None:
    assert host_probe.parse_listening(TCP6, "little") == [
        {"address": "::", "port": 80, "inode": "1004"},
        {"address": "::1", "port": 5432, "inode": "1005"},
    ]


@pytest.mark.parametrize(("text", "byteorder"), [("0100007F:0016", "little"), ("7F000001:0016", "big")])
def test_addresses_follow_the_byte_order_of_the_machine(text: str, byteorder: str) -> None:
    assert host_probe.parse_address(text, byteorder) == ("127.0.0.1", 22)


@pytest.mark.parametrize("text", ["", "  sl  local_address\n", "head\n garbage\n"])
def test_no_sockets_in_text_without_any(text: str) -> None:
    assert host_probe.parse_listening(text) == []


def test_memory_total() -> None:
    assert host_probe.parse_meminfo("MemTotal:        2048000 kB\nMemFree: 1 kB\n") == 2048000 * 1024
    assert host_probe.parse_meminfo("") is None


@pytest.mark.parametrize(
    ("text", "limit"),
    [("max\n", None), ("2147483648\n", 2147483648), ("9223372036854771712\n", None), ("", None)],
)
def test_memory_limit_of_a_container(text: str, limit: int | None) -> None:
    assert host_probe.parse_memory_limit(text) == limit


def test_the_lower_of_the_memory_limits_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "v2").write_text("max\n")
    (tmp_path / "v1").write_text("1048576\n")
    monkeypatch.setattr(
        host_probe, "MEMORY_LIMIT_FILES", [tmp_path / "v2", tmp_path / "v1", tmp_path / "none"]
    )
    assert host_probe.memory_limit() == 1048576


def test_os_release() -> None:
    text = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\n# ID=no\n\nID=debian\n'
    assert host_probe.parse_os_release(text) == {
        "id": "debian",
        "version": "12",
        "name": "Debian GNU/Linux 12 (bookworm)",
    }


def test_os_release_of_a_rolling_distribution_and_of_none() -> None:
    assert host_probe.parse_os_release("ID=arch\nNAME='Arch Linux'") == {
        "id": "arch",
        "version": "",
        "name": "Arch Linux",
    }
    assert host_probe.parse_os_release('NAME="broken')["name"] == "broken"
    assert host_probe.parse_os_release("") == {"id": "linux", "version": "", "name": "Linux"}


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("0::/system.slice/redis-cluster@7000.service\n", "redis-cluster@7000.service"),
        ("0::/libpod-1a2b.scope/system.slice/nginx.service\n", "nginx.service"),
        ("0::/system.slice/airflow-worker@q1.service/payload\n", "airflow-worker@q1.service"),
        ("0::/user.slice/user-0.slice/session-3.scope\n", "session-3.scope"),
        ("12:memory:/x.service\n1:name=systemd:/system.slice/cron.service\n0::/\n", "cron.service"),
        ("0::/\n", None),
        ("", None),
    ],
)
def test_unit_of_a_process(text: str, unit: str | None) -> None:
    assert host_probe.parse_unit(text) == unit


def test_python_versions_are_sorted_as_versions() -> None:
    names = [
        "python3",
        "python3.9",
        "python3.11",
        "python3.11-config",
        "python3.13",
        "python2.7",
        "xpython3.8",
    ]
    assert host_probe.python_versions(names) == ["3.9", "3.11", "3.13"]


def make_process(proc: Path, pid: int, name: str, cgroup: str, inodes: list[int]) -> None:
    (proc / str(pid) / "fd").mkdir(parents=True)
    (proc / str(pid) / "comm").write_text(f"{name}\n")
    (proc / str(pid) / "cgroup").write_text(f"0::{cgroup}\n")
    for number, inode in enumerate(inodes):
        (proc / str(pid) / "fd" / str(number)).symlink_to(f"socket:[{inode}]")


def test_owners_of_the_sockets_of_a_host(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text(TCP)
    (tmp_path / "net" / "tcp6").write_text(TCP6)
    make_process(tmp_path, 1, "systemd", "/init.scope", [1002, 1005])
    make_process(tmp_path, 40, "nginx", "/system.slice/nginx.service", [1004, 1003])
    make_process(tmp_path, 41, "nginx", "/system.slice/nginx.service", [1004])
    make_process(tmp_path, 50, "redis-server", "/system.slice/redis-cluster@7000.service", [1002])
    (tmp_path / "60").mkdir()  # a process that has gone

    found = {entry["port"]: entry for entry in host_probe.listening_ports(str(tmp_path))}

    assert list(found) == [80, 5432, 7000, 8080]
    assert (found[80]["pid"], found[80]["unit"]) == (40, "nginx.service")
    assert (found[7000]["pid"], found[7000]["process"]) == (50, "redis-server")
    assert (found[5432]["pid"], found[5432]["unit"]) == (1, "init.scope")
    assert found[8080] == {"address": "127.0.0.1", "port": 8080, "pid": None, "process": None, "unit": None}


def test_no_processes_are_read_where_nothing_listens(tmp_path: Path) -> None:
    assert host_probe.listening_ports(str(tmp_path)) == []


def test_the_real_host_can_be_probed_cheaply() -> None:
    before = time.process_time()
    result = host_probe.probe()
    assert time.process_time() - before < 0.3
    assert result["memory_total"] > 0
    assert result["disk_free"] > 0
    assert result["os"]["id"]


def test_a_right_clock_seen_over_a_slow_way() -> None:
    assert host_probe.clock_offset(100.0, 101.5, 102.0, 102.5) == (0.5, 1.0)


SECONDS = st.floats(min_value=0, max_value=600)


@given(
    offset=st.floats(min_value=-1e5, max_value=1e5),
    there=SECONDS,
    run=SECONDS,
    back=SECONDS,
    before=st.floats(min_value=1.6e9, max_value=2e9),
)
def test_the_true_offset_is_never_further_off_than_the_uncertainty(
    offset: float, there: float, run: float, back: float, before: float
) -> None:
    start = before + there + offset
    end = start + run
    after = before + there + run + back
    measured, uncertainty = host_probe.clock_offset(before, start, end, after)
    assert abs(measured - offset) <= uncertainty + 1e-4
    assert uncertainty <= (there + back) / 2 + 1e-4


def made_up(proc: Path, pid: int, parent: int, environ: str = "", comm: str = "sh") -> None:
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    (folder / "status").write_text(f"Name:\t{comm}\nPPid:\t{parent}\n")
    (folder / "environ").write_text(environ)
    (folder / "comm").write_text(comm + "\n")


def test_the_ssh_connection_is_found_above_sudo(tmp_path: Path) -> None:
    made_up(tmp_path, 30, 20, "PATH=/bin\0SUDO_USER=admin\0")
    made_up(tmp_path, 20, 10, "HOME=/home/admin\0SSH_CONNECTION=192.0.2.7 50312 192.0.2.1 2222\0")
    made_up(tmp_path, 10, 1)
    found = host_probe.ssh_connection(str(tmp_path), 30)
    assert found == {"client": "192.0.2.7", "client_port": 50312, "server_port": 2222}
    assert host_probe.ssh_connection(str(tmp_path), 10) is None


def test_ports_of_ssh() -> None:
    sshd = {"process": "sshd", "unit": "ssh.service"}
    listening = [
        {"port": 22, "address": "0.0.0.0", **sshd},
        {"port": 2022, "address": "::", **sshd},
        # What a session forwards.
        {"port": 6010, "address": "127.0.0.1", **sshd},
        {"port": 9000, "address": "0.0.0.0", "process": "sshd", "unit": "session-3.scope"},
        {"port": 80, "address": "0.0.0.0", "process": "nginx", "unit": "nginx.service"},
    ]
    assert host_probe.ssh_ports(listening, None) == [22, 2022]
    # systemd holds the socket.
    assert host_probe.ssh_ports([], {"client": "192.0.2.7", "client_port": 1, "server_port": 2222}) == [2222]
    assert host_probe.ssh_ports([], None) == [22]


def test_other_firewalls_are_seen(tmp_path: Path) -> None:
    assert host_probe.firewalls(str(tmp_path)) == []
    (tmp_path / "etc/ufw").mkdir(parents=True)
    (tmp_path / "etc/ufw/ufw.conf").write_text("# ENABLED=yes\nENABLED=no\n")
    made_up(tmp_path / "proc", 7, 1, comm="firewalld")
    assert host_probe.firewalls(str(tmp_path)) == ["firewalld"]
    (tmp_path / "etc/ufw/ufw.conf").write_text("ENABLED=yes\n")
    assert host_probe.firewalls(str(tmp_path)) == ["ufw", "firewalld"]


def test_our_own_rules_are_seen_wherever_they_are(tmp_path: Path) -> None:
    for folder in ("etc/ufw", "etc/firewalld/policies", "etc/systemd/system"):
        (tmp_path / folder).mkdir(parents=True)
    tuples = "### tuple ### allow tcp 22 ::/0 any ::/0 in comment=6d79206f776e\n"
    (tmp_path / "etc/ufw/user6.rules").write_text(tuples)
    assert host_probe.firewalls(str(tmp_path)) == []
    ours = f"### tuple ### allow tcp 80 ::/0 any ::/0 in comment={b'airflowops: nginx'.hex()}\n"
    (tmp_path / "etc/ufw/user6.rules").write_text(tuples + ours)
    assert host_probe.firewalls(str(tmp_path)) == ["airflowops-ufw"]
    (tmp_path / "etc/firewalld/policies/airflowops.xml").touch()
    (tmp_path / "etc/systemd/system/airflowops-firewall.service").touch()
    assert host_probe.firewalls(str(tmp_path)) == ["airflowops", "airflowops-ufw", "airflowops-firewalld"]


def test_names_of_hosts() -> None:
    text = "127.0.0.1 localhost\n# 192.0.2.1 no\n192.0.2.41\tworker1.example.org w # a\n192.0.2.41 w1\n::1\n"
    assert host_probe.host_names(text) == {"127.0.0.1": "localhost", "192.0.2.41": "worker1.example.org"}


# --- The Python that runs it


def test_the_python_of_debian_is_known_by_version_and_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    own = tmp_path / "usr/bin/python3"
    own.parent.mkdir(parents=True)
    assert not host_probe.python_of_distribution(str(tmp_path)), "there is none"
    (own.parent / version).touch()
    own.symlink_to(version)
    monkeypatch.setattr(sys, "path", ["/usr/lib/python3/dist-packages"])
    assert host_probe.python_of_distribution(str(tmp_path))
    monkeypatch.setattr(sys, "path", ["/usr/local/lib/python3/site-packages"])
    assert not host_probe.python_of_distribution(str(tmp_path)), "as one in /usr/local"
    monkeypatch.setattr(sys, "path", ["/usr/lib/python3/dist-packages"])
    own.unlink()
    (own.parent / "python3.6").touch()
    own.symlink_to("python3.6")
    assert not host_probe.python_of_distribution(str(tmp_path)), (
        "extension modules are those of another version"
    )
