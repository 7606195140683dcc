# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What redis_cluster refuses, against real servers; and both modules through Ansible."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from ansible_collections.airflowops.cluster.plugins.module_utils.redis.model import key_slot
from redis_servers import (
    ROOT,
    Flavor,
    Servers,
    list_nodes,
    module_python,
    nodes_text,
    run_module,
    three_hosts,
    untouched,
)


def refuse(nodes: list[dict[str, object]], **params: object) -> str:
    result = run_module("redis_cluster", nodes=nodes, **params)
    assert result.get("failed") is True and result["changed"] is False, result
    return result["msg"]


def test_refusals_name_node_and_fix_and_change_nothing(servers: Servers, system: Flavor) -> None:
    six = servers.start(system, three_hosts())
    nodes = list_nodes(six)

    (plain,) = servers.start(system, ["127.0.0.3"], cluster_enabled="no")
    text = refuse([*nodes[:5], plain.node])
    assert f"{plain} is not in cluster mode" in text and "cluster-enabled yes" in text

    plain.stop()
    text = refuse([*nodes[:5], plain.node])
    assert str(plain) in text and "Check that the server runs" in text

    (locked,) = servers.start(system, ["127.0.0.3"], requirepass="secret-1")
    text = refuse([*nodes[:5], locked.node])
    assert f"{locked}: the server does not accept username and password" in text

    text = refuse([*nodes[:5], {"host": "no-such-host.invalid", "port": 7000}])
    assert "no-such-host.invalid:7000: the name cannot be resolved" in text

    text = refuse([*nodes, nodes[0]])
    assert f"{six[0]} is listed twice" in text

    (double,) = servers.start(system, ["127.0.0.3"], bind="127.0.0.3 127.0.0.4")
    text = refuse([*nodes[:5], double.node, {"host": "127.0.0.4", "port": double.port}])
    assert f"{double} and 127.0.0.4:{double.port} are one and the same node" in text

    one, other = servers.start(system, ["127.0.0.3"] * 2)
    one.run("CLUSTER", "MEET", other.host, other.port)
    while "cluster_known_nodes:2" not in str(one.run("CLUSTER", "INFO")) or "handshake" in nodes_text(one):
        time.sleep(0.02)
    text = refuse([*nodes[:5], one.node])
    assert (
        f"{one} belongs to a cluster with nodes that are not listed: {other}" in text
        and "CLUSTER RESET" in text
    )

    text = refuse(
        [{**node, "host": "127.0.0.1", "port": port} for node, port in zip(nodes, range(15000, 15006))]
    )
    assert "127.0.0.1:15005" in text

    assert untouched(six)
    # A node on its own takes keys when its slots need not be all; that takes its first two seconds to be
    # over.
    six[4].run("CONFIG", "SET", "cluster-require-full-coverage", "no")
    six[4].run("CLUSTER", "ADDSLOTS", key_slot("foo"))
    deadline = time.monotonic() + 10
    while "cluster_state:ok" not in str(six[4].run("CLUSTER", "INFO")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    six[4].run("SET", "foo", "bar")
    text = refuse(nodes)
    assert f"{six[4]} already holds 1 keys" in text and "FLUSHALL" in text
    assert untouched([*six[:4], six[5]])


def test_replicas_need_another_host(servers: Servers, system: Flavor) -> None:
    six = servers.start(system, ["127.0.0.1"] * 6)
    text = refuse(list_nodes(six))
    assert "would share a host" in text and "127.0.0.1 (6)" in text
    assert untouched(six)


# --------------------------------------------------------------------- through Ansible
def ansible(module: str, params: dict[str, object], *options: str) -> str:
    done = subprocess.run(
        [
            *(str(Path(sys.executable).parent / "ansible"), "localhost", "-i", "localhost,", "-c", "local"),
            *(
                "-e",
                f"ansible_python_interpreter={module_python()}",
                "-m",
                f"airflowops.cluster.{module}",
            ),
            *("-a", json.dumps(params), *options),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_through_ansible(servers: Servers, system: Flavor) -> None:
    nodes = list_nodes(servers.start(system, three_hosts()))
    assert "localhost | CHANGED" in ansible("redis_cluster", {"nodes": nodes}, "--check", "--diff")
    shown = ansible("redis_cluster", {"nodes": nodes}, "--diff")
    assert "localhost | CHANGED" in shown and "+127.0.0.1:" in shown
    assert "localhost | SUCCESS" in ansible("redis_cluster", {"nodes": nodes})
    assert "owner_of" in ansible("redis_cluster_info", {"nodes": nodes, "key": "a"})
