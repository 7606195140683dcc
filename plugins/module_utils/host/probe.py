# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host_probe module reads: parsers of text, and the few functions that read files."""

from __future__ import annotations

import os
import platform
import re
import shlex
import socket
import sys
import time
from pathlib import Path
from typing import Any

from ansible_collections.airflowops.cluster.plugins.module_utils.host.authorities import authorities

TCP_LISTEN = "0A"
PYTHON_NAME = re.compile(r"python(3\.\d+)$")
UNIT_NAME = re.compile(r"[^/]+\.(?:service|scope|socket)$")
# The places in which distributions and administrators install interpreters.
PYTHON_DIRECTORIES = ("/usr/bin", "/usr/local/bin")
# Where the kernel shows a container its own memory limit: cgroup v2, then v1.
MEMORY_LIMIT_FILES = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def clock_offset(before: float, start: float, end: float, after: float) -> tuple[float, float]:
    """The offset of a remote clock in seconds (positive: it is ahead) and the uncertainty of that.

    ``before`` and ``after`` are local times around a remote command; ``start`` and ``end`` are remote
    times taken within it, so what the command itself took does not add to the uncertainty.
    """
    most = start - before
    least = end - after
    return (most + least) / 2, max(0.0, (most - least) / 2)


def parse_address(text: str, byteorder: str = sys.byteorder) -> tuple[str, int]:
    """``0100007F:1F90`` of /proc/net/tcp as ``("127.0.0.1", 8080)``; works for IPv6 as well."""
    address, _separator, port = text.partition(":")
    raw = bytes.fromhex(address)
    if byteorder == "little":
        # The kernel prints the address as 32-bit words in the byte order of the machine.
        raw = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    family = socket.AF_INET if len(raw) == 4 else socket.AF_INET6
    return socket.inet_ntop(family, raw), int(port, 16)


def parse_listening(text: str, byteorder: str = sys.byteorder) -> list[dict[str, Any]]:
    """The listening sockets in the text of /proc/net/tcp or /proc/net/tcp6, each with its inode."""
    sockets = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == TCP_LISTEN:
            address, port = parse_address(fields[1], byteorder)
            sockets.append({"address": address, "port": port, "inode": fields[9]})
    return sockets


def parse_meminfo(text: str) -> int | None:
    """MemTotal of /proc/meminfo in bytes."""
    for line in text.splitlines():
        name, _separator, rest = line.partition(":")
        if name == "MemTotal":
            return int(rest.split()[0]) * 1024
    return None


def parse_memory_limit(text: str) -> int | None:
    """The limit in a cgroup's file in bytes; none where the file says that there is none."""
    text = text.strip()
    # Without a limit cgroup v2 says "max" and v1 a number next to 2**63.
    return int(text) if text.isdigit() and int(text) < 2**60 else None


def parse_os_release(text: str) -> dict[str, str]:
    """Id, version and readable name of the distribution from the text of os-release."""
    values = {}
    for line in text.splitlines():
        name, separator, value = line.strip().partition("=")
        if separator and not name.startswith("#"):
            try:
                values[name] = " ".join(shlex.split(value))
            except ValueError:  # an unbalanced quote
                values[name] = value.strip("\"'")
    return {
        "id": values.get("ID", "linux"),
        "version": values.get("VERSION_ID", ""),
        "name": values.get("PRETTY_NAME") or values.get("NAME") or values.get("ID", "Linux"),
    }


DISTRIBUTIONS = {
    "debian": ("Debian", "Debian"),
    "ubuntu": ("Ubuntu", "Debian"),
    "almalinux": ("AlmaLinux", "RedHat"),
    "rocky": ("Rocky", "RedHat"),
    "rhel": ("RedHat", "RedHat"),
}


def distribution_facts(release: dict[str, str]) -> dict[str, str]:
    """The distribution under the names and values of Ansible's own facts, for those that roles here know."""
    distribution, family = DISTRIBUTIONS.get(release["id"], (release["id"], release["id"]))
    return {
        "distribution": distribution,
        "distribution_version": release["version"],
        "distribution_major_version": release["version"].partition(".")[0],
        "os_family": family,
    }


def parse_unit(text: str) -> str | None:
    """The systemd unit that a process belongs to, from the text of its /proc/PID/cgroup."""
    for line in text.splitlines():
        _number, _separator, rest = line.partition(":")
        controllers, _separator, path = rest.partition(":")
        if controllers not in ("", "name=systemd"):
            continue
        units = [part for part in path.split("/") if UNIT_NAME.match(part)]
        if units:
            return units[-1]
    return None


def python_versions(names: list[str]) -> list[str]:
    """The versions in a list of file names: ``python3.11`` is ``3.11``; ``python3.11-config`` is nothing."""
    versions = {match.group(1) for match in map(PYTHON_NAME.match, names) if match}
    return sorted(versions, key=lambda version: int(version.split(".")[1]))


def names_in(directory: str) -> list[str]:
    """The names in a directory; none where it cannot be read."""
    try:
        with os.scandir(directory) as entries:
            return [entry.name for entry in entries]
    except OSError:
        return []


def read_text(path: str | Path) -> str:
    """The text of a file; nothing where it cannot be read (the process has gone, or is not ours to see)."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def link_target(path: str) -> str | None:
    """What a symbolic link points to; none where there is no link."""
    try:
        return os.readlink(path)
    except OSError:
        return None


def socket_owners(inodes: set[str], proc: str = "/proc") -> dict[str, int]:
    """The process that holds each socket: the lowest process number other than init's, where there is one."""
    owners: dict[str, int] = {}
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    for pid in sorted((int(name) for name in names_in(proc) if name.isdigit()), reverse=True):
        directory = f"{proc}/{pid}/fd"
        for descriptor in names_in(directory):
            try:
                inode = wanted.get(os.readlink(f"{directory}/{descriptor}"))
            except OSError:
                continue
            # systemd holds the sockets of socket-activated services beside the service itself.
            if inode and (pid != 1 or inode not in owners):
                owners[inode] = pid
    return owners


def listening_ports(proc: str = "/proc") -> list[dict[str, Any]]:
    """What listens on TCP in this network namespace, with the process and the unit that it belongs to."""
    sockets = []
    for name in ("tcp", "tcp6"):
        sockets += parse_listening(read_text(f"{proc}/net/{name}"))
    owners = socket_owners({entry["inode"] for entry in sockets}, proc) if sockets else {}
    for entry in sockets:
        pid = owners.get(entry.pop("inode"))
        entry["pid"] = pid
        entry["process"] = read_text(f"{proc}/{pid}/comm").strip() or None if pid else None
        entry["unit"] = parse_unit(read_text(f"{proc}/{pid}/cgroup")) if pid else None
    return sorted(sockets, key=lambda entry: (entry["port"], entry["address"]))


def memory_limit() -> int | None:
    """The memory limit of the container that this host is, in bytes; none on a host that is a machine."""
    limits = [parse_memory_limit(read_text(path)) for path in MEMORY_LIMIT_FILES]
    return min((limit for limit in limits if limit is not None), default=None)


def installed_pythons() -> list[str]:
    """The versions of Python 3 with an interpreter in the usual directories; none of them is run."""
    return python_versions([name for directory in PYTHON_DIRECTORIES for name in names_in(directory)])


def disk_free(path: str = "/") -> int:
    """Bytes that an ordinary user may still write to the file system of the path."""
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


def parse_dpkg_status(text: str) -> list[str]:
    """The names of the installed packages, from the text of /var/lib/dpkg/status."""
    names = []
    for paragraph in text.split("\n\n"):
        if "\nStatus: install ok installed" in paragraph and paragraph.startswith("Package: "):
            names.append(paragraph[len("Package: ") : paragraph.index("\n")])
    return sorted(set(names))


def package_lists_age(directory: str = "/var/lib/apt/lists") -> int | None:
    """Seconds since apt's package lists were refreshed; none where there are none, or no apt."""
    kinds = ("_InRelease", "_Packages", "_Packages.lz4", "_Packages.xz")
    found = any(name.endswith(kinds) for name in names_in(directory))
    # apt keeps the mirror's time on the files; the directory's own says when it was last written to.
    return max(0, int(time.time() - Path(directory).stat().st_mtime)) if found else None


def ssh_connection(proc: str = "/proc", pid: int | None = None) -> dict[str, Any] | None:
    """From where this process was started by SSH, and at which port of the host; none if it was not.

    sudo takes the variable away, so it is looked for in the processes above this one.
    """
    number = os.getpid() if pid is None else pid
    while number > 1:
        for variable in read_text(f"{proc}/{number}/environ").split("\0"):
            name, _separator, value = variable.partition("=")
            fields = value.split()
            if name == "SSH_CONNECTION" and len(fields) == 4:
                return {"client": fields[0], "client_port": int(fields[1]), "server_port": int(fields[3])}
        parent = re.search(r"^PPid:\s*(\d+)$", read_text(f"{proc}/{number}/status"), re.MULTILINE)
        number = int(parent[1]) if parent else 0
    return None


def ssh_ports(listening: list[dict[str, Any]], connection: dict[str, Any] | None) -> list[int]:
    """The ports at which SSH lets other hosts in: those of sshd, and the one of the connection.

    The latter is known as well where systemd holds the socket for sshd. 22 where none is found.
    """
    ports = {
        entry["port"]
        for entry in listening
        if entry["process"] == "sshd"
        and not entry["address"].startswith("127.")
        and entry["address"] != "::1"
        and not (entry["unit"] or "").endswith(".scope")
    }
    if connection:
        ports.add(connection["server_port"])
    return sorted(ports) or [22]


def firewalls(root: str = "/") -> list[str]:
    """Which firewalls are active on the host: `ufw`, `firewalld`, and where rules of ours are.

    `airflowops` is our own table; in ufw and firewalld, active or not, they are `airflowops-ufw` and
    `airflowops-firewalld`.
    """
    base = Path(root)
    found = []
    if re.search(r"^ENABLED=[\"']?yes", read_text(base / "etc/ufw/ufw.conf"), re.MULTILINE | re.IGNORECASE):
        found.append("ufw")
    processes = (name for name in names_in(str(base / "proc")) if name.isdigit())
    if any(read_text(base / "proc" / pid / "comm").strip() == "firewalld" for pid in processes):
        found.append("firewalld")
    if (base / "etc/systemd/system/airflowops-firewall.service").exists():
        found.append("airflowops")
    # The beginning of a comment of ours, in hexadecimal numbers.
    rules = [read_text(base / "etc/ufw" / name) for name in ("user.rules", "user6.rules")]
    if any(f"comment={b'airflowops: '.hex()}" in text for text in rules):
        found.append("airflowops-ufw")
    if (base / "etc/firewalld/policies/airflowops.xml").exists():
        found.append("airflowops-firewalld")
    return found


def host_names(text: str) -> dict[str, str]:
    """{address: its first name} of /etc/hosts; of an address that stands there twice, what comes first."""
    names: dict[str, str] = {}
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if len(words) > 1:
            names.setdefault(words[0], words[1])
    return names


def python_of_distribution(root: str = "/") -> bool:
    """Whether the Python that runs this is Debian's, or one of its version that sees its packages."""
    own = Path(root, "usr/bin/python3")
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    return own.exists() and own.resolve().name == version and "/usr/lib/python3/dist-packages" in sys.path


def ipv6_sockets() -> bool:
    """Whether a socket of IPv6 can be opened: with ipv6.disable=1 the kernel has none."""
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_STREAM).close()
    except OSError:
        return False
    return True


def trusted_authorities(folder: str = "/etc/airflowops") -> dict[str, list[str]]:
    """Certificates of the collection's CA by which this host checks the others."""
    try:
        return authorities(folder, "*-ca.crt")
    except OSError:
        return {}


def probe() -> dict[str, Any]:
    """All that the module reports of the host, apart from the clock."""
    listening, connection = listening_ports(), ssh_connection()
    return {
        "architecture": platform.machine(),
        "authorities": trusted_authorities(),
        "disk_free": disk_free(),
        "firewalls": firewalls(),
        "listening": listening,
        "ssh_connection": connection,
        "ssh_ports": ssh_ports(listening, connection),
        "fqdn": socket.getfqdn(),
        "ipv6": ipv6_sockets(),
        "host_names": host_names(read_text("/etc/hosts")),
        "memory_limit": memory_limit(),
        "package_lists_age": package_lists_age(),
        "packages": parse_dpkg_status(read_text("/var/lib/dpkg/status")),
        "memory_total": parse_meminfo(read_text("/proc/meminfo")),
        "os": parse_os_release(read_text("/etc/os-release") or read_text("/usr/lib/os-release")),
        "privileged": os.geteuid() == 0,
        "python": ".".join(map(str, sys.version_info[:3])),
        "python_of_distribution": python_of_distribution(),
        "python_path": sys.executable,
        "pythons": installed_pythons(),
        "systemd": Path("/run/systemd/system").is_dir(),
    }
