# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real Redis and Valkey servers as processes on loopback, for tests and benchmarks.

127.0.0.1, 127.0.0.2 and 127.0.0.3 stand for three hosts. Every server is a child of the test, in a
directory of its own, and is ended by its process id.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import ansible
import pytest
import redis
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.model import BUS_OFFSET

ROOT = Path(__file__).resolve().parents[2]
TREE = ROOT / ".cache" / "servers" / "trixie"
# Ports and their bus ports below the range from which the kernel takes ports for clients.
PORTS = range(15000, 22500)


class Unavailable(Exception):
    """A server flavour cannot be had on this machine; the text says why."""


@dataclass(frozen=True)
class Flavor:
    """A server program and its command line client."""

    name: str
    server: tuple[str, ...]
    cli: tuple[str, ...]


def get_flavor(name: str) -> Flavor:
    if name == "system":
        return _system()
    programs = {"redis8": ("redis-server", "redis-cli"), "valkey8": ("valkey-server", "valkey-cli")}
    server, cli = programs[name]
    return Flavor(name, _from_tree(server), _from_tree(cli))


FLAVORS = ("system", "redis8", "valkey8")


def flavor_or_skip(name: str) -> Flavor:
    try:
        return get_flavor(name)
    except Unavailable as reason:
        pytest.skip(f"{name}: {reason}")


def _system() -> Flavor:
    for server, cli in (("redis-server", "redis-cli"), ("valkey-server", "valkey-cli")):
        if shutil.which(server) and shutil.which(cli):
            return Flavor("system", (server,), (cli,))
    raise Unavailable("neither redis-server nor valkey-server is installed")


def _from_tree(program: str) -> tuple[str, ...]:
    """Run a program of Debian 13 with the loader and libraries it came with."""
    tree = debian13_tree()
    (loader,) = (tree / "usr/lib").glob("*-linux-gnu*/ld-linux*.so*")
    return (str(loader), "--library-path", str(loader.parent), str(tree / "usr/bin" / program))


@functools.lru_cache(maxsize=1)
def debian13_tree() -> Path:
    """Debian 13's packages, unpacked and not installed. Made once, some 55 MB."""
    if TREE.exists():
        return TREE
    if os.geteuid() != 0:
        raise Unavailable("Debian 13's servers are unpacked by root only")
    if not shutil.which("mmdebstrap"):
        raise Unavailable("mmdebstrap, which unpacks Debian 13's servers, is not installed")
    TREE.parent.mkdir(parents=True, exist_ok=True)
    with (TREE.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Several test processes may want it at once.
        if TREE.exists():
            return TREE
        part = TREE.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        packages = "redis-server,redis-tools,valkey-server,valkey-tools"
        keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
        command = [
            "mmdebstrap",
            "--quiet",
            "--variant=extract",
            "--format=directory",
            f"--include={packages}",
        ]
        command += [f"--keyring={keyring}", "trixie", str(part)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            raise Unavailable(
                f"mmdebstrap could not unpack Debian 13's servers: {done.stderr.strip()[-300:]}"
            )
        part.rename(TREE)
    return TREE


@dataclass
class Server:
    """One server process."""

    flavor: Flavor
    host: str
    port: int
    directory: Path
    options: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        options = {
            "port": str(self.port),
            "bind": self.host,
            # A real host's connections come from its own address; on loopback that takes a word.
            "bind-source-addr": self.host,
            "dir": str(self.directory),
            "logfile": str(self.directory / "log"),
            # Protected mode lets 127.0.0.1 in, and takes 127.0.0.2 for a stranger.
            "protected-mode": "no",
            "cluster-enabled": "yes",
            "cluster-node-timeout": "2000",
            "save": "",
            **self.options,
        }
        if "tls-cert-file" in options:
            options.update({"port": "0", "tls-port": str(self.port)})
        # A file and not arguments, so that a password is not seen in the list of processes.
        config, empty = self.directory / "server.conf", '""'
        config.write_text("".join(f"{name} {value or empty}\n" for name, value in options.items()))
        self.process = subprocess.Popen(
            [*self.flavor.server, str(config)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )

    def wait_ready(self, seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection((self.host, self.port), 1).close()
                return
            if self.process is None or self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self} did not start: {(self.directory / 'log').read_text()}")
            time.sleep(0.02)

    def start(self) -> None:
        self.launch()
        self.wait_ready()

    def stop(self) -> None:
        """End it as a crash would: nothing is saved, nobody is reported."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def client(self, **options: object) -> redis.Redis:
        return redis.Redis(self.host, self.port, decode_responses=True, socket_timeout=5, **options)  # type: ignore[arg-type]

    def run(self, *command: object) -> object:
        with self.client() as client:
            return client.execute_command(*command)

    @property
    def node(self) -> dict[str, object]:
        return {"host": self.host, "port": self.port}

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Servers:
    """Starts servers, and stops all that it has started."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.all: list[Server] = []

    def start(self, flavor: Flavor, hosts: list[str], **options: str) -> list[Server]:
        """A server on each of the hosts, each on a port of its own."""
        names = {name.replace("_", "-"): value for name, value in options.items()}
        servers = []
        for host in hosts:
            port = free_port(host)
            server = Server(flavor, host, port, self._directory / f"{host}-{port}", names)
            server.launch()
            servers.append(server)
            self.all.append(server)
        for server in servers:
            server.wait_ready()
        return servers

    def stop(self) -> None:
        for server in self.all:
            server.stop()


_given: set[int] = set()


def free_port(host: str) -> int:
    """A port that is free together with its bus port, and was not given before."""
    for port in random.sample(PORTS, len(PORTS)):
        if port in _given:
            continue
        with contextlib.suppress(OSError), socket.socket() as client, socket.socket() as bus:
            client.bind((host, port))
            bus.bind((host, port + BUS_OFFSET))
            _given.add(port)
            return port
    raise RuntimeError("no free port")


def three_hosts(count: int = 6) -> list[str]:
    """Loopback addresses for `count` nodes, in the order of an inventory: all of the first host, then
    the next.
    """
    return [f"127.0.0.{1 + index * 3 // count}" for index in range(count)]


def list_nodes(servers: list[Server]) -> list[dict[str, object]]:
    return [server.node for server in servers]


def untouched(servers: list[Server]) -> bool:
    infos = [str(server.run("CLUSTER", "INFO")) for server in servers]
    return all("cluster_known_nodes:1" in info.replace("\r", "") for info in infos) and all(
        re.search(r"cluster_slots_assigned:0\b", info) for info in infos
    )


def nodes_text(server: Server) -> str:
    with server.client() as client:
        client.response_callbacks.clear()
        return str(client.execute_command("CLUSTER", "NODES"))


# --------------------------------------------------------------------- the modules
def module_command(name: str, python: str = sys.executable) -> list[str]:
    return [python, "-m", f"ansible_collections.airflowops.cluster.plugins.modules.{name}"]


def module_python() -> str:
    """The distribution's interpreter where it has redis-py, which is what a host has; else this one."""
    has = subprocess.run(["/usr/bin/python3", "-c", "import redis"], capture_output=True, check=False)
    return "/usr/bin/python3" if has.returncode == 0 else sys.executable


def module_environment() -> dict[str, str]:
    """Bytecode is kept, as it is on a host: without it half a run is compilation."""
    # Lends ansible, and nothing else, to another interpreter.
    ansible_only = ROOT / ".cache" / "ansible-only"
    ansible_only.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        (ansible_only / "ansible").symlink_to(Path(ansible.__file__).parent)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / '.collections'}:{ansible_only}"}
    environment["PYTHONPYCACHEPREFIX"] = str(ROOT / ".cache" / "pycache")
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


def module_input(params: dict[str, object], check: bool = False) -> bytes:
    return json.dumps({"ANSIBLE_MODULE_ARGS": {**params, "_ansible_check_mode": check}}).encode()


def run_module(name: str, check: bool = False, python: str = sys.executable, **params: object) -> dict:
    """Run a module as Ansible does: a process of its own, arguments on standard input, JSON on standard
    output.
    """
    done = subprocess.run(
        module_command(name, python),
        input=module_input(params, check),
        env=module_environment(),
        cwd=ROOT,
        capture_output=True,
        timeout=120,
        check=False,
    )
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise AssertionError(f"no JSON from {name}: {done.stdout!r} {done.stderr.decode()}") from None
