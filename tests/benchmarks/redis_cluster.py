#!/usr/bin/env python3
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our module against redis-cli, in turn, on fresh local processes: a cluster is created, and grows.

create: `redis-cli --cluster create` with one replica for each master.
grow: 100,000 keys are loaded, and a master with its replica joins. redis-cli needs `add-node` twice, `cluster
replicate`, and `rebalance --cluster-use-empty-masters`, each when `check` finds all nodes in agreement.

Two times are taken of each: until the last command ends, and until the cluster serves, which is when every
node says cluster_state:ok and every replica is in step. Our module ends when the cluster serves; redis-cli
does not wait for that. Writes the table in docs/benchmarks.md; the last line printed is JSON. Ends with 1
unless the module creates in a third of the time, until it serves, and grows in no more, at every size.

The module runs as a process of its own, under the interpreter that --python names: the distribution's where
it has redis-py, as on a host, else the one that runs this script.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Protocol

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "integration")]

import conftest  # noqa: F401 - makes the collection importable
import redis
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.model import SLOT_COUNT, key_slot
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
    run_module,
    three_hosts,
)

PAGE = ROOT / "docs/benchmarks.md"
BEGIN, END = "<!-- redis_cluster -->", "<!-- redis_cluster end -->"
# A server that has just started does not serve for its first two seconds, whatever is done. Not measured.
SETTLE = 2.5
KEYS = 100_000
PIPELINE = 2000


class Side(Protocol):
    def create(self, servers: list[Server]) -> None: ...
    def grow(self, servers: list[Server], master: Server, replica: Server) -> None: ...


class Ours:
    def __init__(self, python: str) -> None:
        self.command = [python, *module_command("redis_cluster")[1:]]

    def create(self, servers: list[Server]) -> None:
        params: dict[str, object] = {"nodes": [server.node for server in servers], "timeout": 300}
        run(self.command, module_environment(), module_input(params))

    def grow(self, servers: list[Server], master: Server, replica: Server) -> None:
        self.create([*servers, master, replica])


class Theirs:
    def __init__(self, flavor: Flavor) -> None:
        self.command = [*flavor.cli, "--cluster"]

    def _run(self, *words: str) -> None:
        run([*self.command, *words], dict(os.environ), b"")

    def create(self, servers: list[Server]) -> None:
        self._run("create", *map(str, servers), "--cluster-replicas", "1", "--cluster-yes")

    def _when_agreed(self, *words: str) -> None:
        """redis-cli refuses while not all nodes have heard of the last change. Then it is asked again."""
        for _ in range(200):
            done = subprocess.run(
                [*self.command, *words], capture_output=True, text=True, check=False, timeout=300
            )
            if done.returncode == 0:
                return
            if "don't agree" not in done.stdout:
                break
            time.sleep(0.05)
        raise RuntimeError(f"{words} failed: {done.stdout[-500:]} {done.stderr[-500:]}")

    def grow(self, servers: list[Server], master: Server, replica: Server) -> None:
        everybody = [*servers, master, replica]
        for new in (master, replica):
            self._when_agreed("add-node", str(new), str(servers[0]))
            self._when_agreed("check", str(servers[0]))
        # It moves slots to nodes that do not serve yet, or of which some have not heard, and fails half-way.
        known = f"cluster_known_nodes:{len(everybody)}"
        while not all(known in str(s.run("CLUSTER", "INFO")) and serves(s) for s in everybody):
            time.sleep(0.05)
        # `add-node --cluster-slave` gives up when the new node has not heard of its master yet.
        master_id = master.run("CLUSTER", "MYID")
        while True:
            try:
                replica.run("CLUSTER", "REPLICATE", master_id)
                break
            except redis.ResponseError:
                time.sleep(0.05)
        self._when_agreed("check", str(servers[0]))
        self._when_agreed("rebalance", str(servers[0]), "--cluster-use-empty-masters")


def run(command: list[str], environment: dict[str, str], data: bytes) -> None:
    subprocess.run(
        command, env=environment, input=data, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, timeout=300
    )


def serves(server: Server) -> bool:
    if "cluster_state:ok" not in str(server.run("CLUSTER", "INFO")):
        return False
    info = server.run("INFO", "replication")
    return not isinstance(info, dict) or info.get("master_link_status", "up") == "up"


def timed(action, servers: list[Server]) -> tuple[float, float]:
    begin = time.monotonic()
    action()
    ended = time.monotonic() - begin
    while not all(map(serves, servers)):
        time.sleep(0.02)
    return ended, time.monotonic() - begin


def load(servers: list[Server], keys: dict[int, list[str]]) -> None:
    """All keys, each straight to the node that owns its slot."""
    info = run_module("redis_cluster_info", nodes=[server.node for server in servers])
    for entry in info["topology"]:
        slots = [slot for first, last in entry["slots"] for slot in range(first, last + 1)]
        mine = [key for slot in slots for key in keys[slot]]
        with redis.Redis(entry["host"], entry["port"]) as client:
            for start in range(0, len(mine), PIPELINE):
                pipeline = client.pipeline(transaction=False)
                for key in mine[start : start + PIPELINE]:
                    pipeline.set(key, "a value of a few bytes")
                pipeline.execute()


def measure(
    side: Side, flavor: Flavor, nodes: int, keys: dict[int, list[str]]
) -> dict[str, tuple[float, float]]:
    with tempfile.TemporaryDirectory() as directory:
        servers = Servers(Path(directory))
        try:
            # The node timeout is the server's own default: redis-cli is not measured against a tuned server.
            options = {"cluster_node_timeout": "15000"}
            started = servers.start(flavor, three_hosts(nodes), **options)
            time.sleep(SETTLE)
            created = timed(lambda: side.create(started), started)
            load(started, keys)
            master, replica = servers.start(flavor, ["127.0.0.4", "127.0.0.5"], **options)
            time.sleep(SETTLE)
            grown = timed(lambda: side.grow(started, master, replica), [*started, master, replica])
            return {"create": created, "grow": grown}
        finally:
            servers.stop()


def write_page(rows: list[str], rounds: int) -> None:
    text = PAGE.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    table = [
        BEGIN,
        "| | nodes | until | module | `redis-cli` | ratio |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        f"Medians of {rounds}, taken in turn in one run of `make bench SUITE=redis_cluster`.",
        END,
    ]
    PAGE.write_text(head + "\n".join(table) + tail, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--nodes", type=int, nargs="+", default=[6, 12, 30])
    parser.add_argument("--flavor", choices=FLAVORS, default="system")
    parser.add_argument("--python", default=module_python(), help="default: %(default)s")
    options = parser.parse_args()
    flavor = get_flavor(options.flavor)
    keys: dict[int, list[str]] = defaultdict(list)
    for number in range(KEYS):
        keys[key_slot(f"key-{number}")].append(f"key-{number}")
    sides: dict[str, Side] = {"module": Ours(options.python), "redis-cli": Theirs(flavor)}
    measure(sides["module"], flavor, 6, {slot: [] for slot in range(SLOT_COUNT)})  # Fills the caches.
    rows: list[str] = []
    ratios: dict[str, float] = {}
    for nodes in options.nodes:
        results: dict[str, list[dict[str, tuple[float, float]]]] = {name: [] for name in sides}
        for number in range(options.rounds):
            for name, side in sides.items():
                results[name].append(measure(side, flavor, nodes, keys))
                print(f"{nodes} nodes, round {number + 1}: {name} {results[name][-1]}", flush=True)
        for job in ("create", "grow"):
            for index, until in enumerate(("the command ends", "the cluster serves")):
                ours, theirs = (
                    statistics.median(each[job][index] for each in results[name]) for name in sides
                )
                ratios[f"{job} {nodes} {until}"] = round(ours / theirs, 2)
                rows.append(
                    f"| {job} | {nodes} | {until} | {ours:.2f} s | {theirs:.2f} s | {ours / theirs:.2f} |"
                )
    write_page(rows, options.rounds)
    print("\n".join(rows))
    print(json.dumps({"suite": "redis_cluster", "rounds": options.rounds, "ratios": ratios}))
    limits = {"create": 1 / 3, "grow": 1.0}
    slow = [n for n, ratio in ratios.items() if n.endswith("serves") and ratio > limits[n.split()[0]]]
    print("\n".join(f"too slow: {name}" for name in slow), file=sys.stderr)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
