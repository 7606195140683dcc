#!/usr/bin/env python3
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forms clusters with our module and with `redis-cli --cluster create`, in turn, on fresh local processes.

Two times are taken of each: until the program ends, and until the cluster serves, which is when every node
says cluster_state:ok and every replica is in step. Our module ends when the cluster serves; redis-cli does
not wait for that. Exits with 1 if ours takes longer until it ends.

The module runs as a process of its own, under the interpreter that --python names: the distribution's where
it has redis-py, as on a host, else the one that runs this script.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

Form = Callable[["list[Server]", "Flavor", str], None]
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))

from redis_servers import (
    FLAVORS,
    Flavor,
    Server,
    Servers,
    get_flavor,
    module_command,
    module_environment,
    module_input,
    module_python,
    three_hosts,
)

# A server that has just started does not serve for its first two seconds, whatever is done. Not measured.
SETTLE = 2.5


def ours(servers: list[Server], _flavor: Flavor, python: str) -> None:
    params: dict[str, object] = {"nodes": [server.node for server in servers]}
    run([python, *module_command("redis_cluster")[1:]], module_environment(), module_input(params))


def theirs(servers: list[Server], flavor: Flavor, _python: str) -> None:
    nodes = [str(server) for server in servers]
    options = ["--cluster-replicas", "1", "--cluster-yes"]
    run([*flavor.cli, "--cluster", "create", *nodes, *options], dict(os.environ), b"")


def run(command: list[str], environment: dict[str, str], data: bytes) -> None:
    subprocess.run(
        command, env=environment, input=data, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, timeout=120
    )


def serves(server: Server) -> bool:
    if "cluster_state:ok" not in str(server.run("CLUSTER", "INFO")):
        return False
    info = server.run("INFO", "replication")
    return not isinstance(info, dict) or info.get("master_link_status", "up") == "up"


def measure(form: Form, flavor: Flavor, nodes: int, python: str) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as directory:
        servers = Servers(Path(directory))
        try:
            # The node timeout is the server's own default: redis-cli is not measured against a tuned server.
            started = servers.start(flavor, three_hosts(nodes), cluster_node_timeout="15000")
            time.sleep(SETTLE)
            begin = time.monotonic()
            form(started, flavor, python)
            ended = time.monotonic() - begin
            while not all(map(serves, started)):
                time.sleep(0.02)
            return ended, time.monotonic() - begin
        finally:
            servers.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--nodes", type=int, default=6)
    parser.add_argument("--flavor", choices=FLAVORS, default="system")
    parser.add_argument("--python", default=module_python(), help="default: %(default)s")
    options = parser.parse_args()
    flavor = get_flavor(options.flavor)
    ours_all, theirs_all = [], []
    measure(ours, flavor, options.nodes, options.python)  # Fills the caches of bytecode and of files.
    for number in range(options.rounds):
        ours_all.append(measure(ours, flavor, options.nodes, options.python))
        theirs_all.append(measure(theirs, flavor, options.nodes, options.python))
        mine, other = ours_all[-1][0], theirs_all[-1][0]
        print(f"round {number + 1}: ours {mine:.2f} s, redis-cli {other:.2f} s", flush=True)
    print(f"{options.nodes} nodes, {options.flavor}, medians of {options.rounds}")
    ratios = []
    for index, what in enumerate(("until it ends", "until it serves")):
        mine = statistics.median(times[index] for times in ours_all)
        other = statistics.median(times[index] for times in theirs_all)
        ratios.append(mine / other)
        print(f"{what:16} ours {mine:.2f} s, redis-cli {other:.2f} s, ratio {ratios[-1]:.2f}")
    return 0 if ratios[0] <= 1 else 1


if __name__ == "__main__":
    sys.exit(main())
