# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""redis_cluster and redis_cluster_info against real servers."""

from __future__ import annotations

import json
import random
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.model import key_slot
from redis_servers import (
    FLAVORS,
    ROOT,
    Flavor,
    Server,
    Servers,
    flavor_or_skip,
    list_nodes,
    module_command,
    module_environment,
    module_input,
    nodes_text,
    run_module,
    three_hosts,
    untouched,
)


def settings(servers: list[Server]) -> list[object]:
    return [
        s.run("CONFIG", "GET", name)
        for s in servers
        for name in ("repl-diskless-sync-delay", "cluster-node-timeout")
    ]


def check_with_cli(flavor: Flavor, server: Server, result: dict) -> None:
    """`--cluster check` finds the cluster in order, and names the masters and replicas that the module
    names.
    """
    done = subprocess.run(
        [*flavor.cli, "--cluster", "check", str(server)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    text = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    assert done.returncode == 0, text
    assert "[OK] All nodes agree about slots configuration." in text
    assert "[OK] All 16384 slots covered." in text
    said = {}
    for role, node_id, rest in re.findall(r"^([MS]): (\w+) \S+\n((?: .*\n)*)", text, re.MULTILINE):
        ranges = re.search(r"slots:\[?([\d,\[\]-]*?)\]? \(", rest)
        numbers = re.findall(r"(\d+)-(\d+)", ranges.group(1)) if ranges and role == "M" else []
        master = re.search(r"replicates (\w+)", rest)
        said[node_id] = (
            master.group(1) if master else None,
            [[int(low), int(high)] for low, high in numbers],
        )
    assert said == {entry["id"]: (entry["master_id"], entry["slots"]) for entry in result["topology"]}


# --------------------------------------------------------------------- one cluster of each flavour, for its
# life
class Cluster:
    def __init__(self, flavor: Flavor, servers: Servers) -> None:
        self.flavor = flavor
        self.servers = servers.start(flavor, three_hosts())
        self.nodes = list_nodes(self.servers)
        self.result: dict = {}

    def by_id(self, node_id: str) -> Server:
        return self.servers[[entry["id"] for entry in self.result["topology"]].index(node_id)]


@pytest.fixture(scope="module", params=FLAVORS)
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    servers = Servers(tmp_path_factory.mktemp("cluster"))
    try:
        yield Cluster(flavor_or_skip(request.param), servers)
    finally:
        servers.stop()


class TestLife:
    """In the order in which they are written: each test finds the cluster as the one before left it."""

    def test_check_mode_plans_and_changes_nothing(self, cluster: Cluster) -> None:
        result = run_module("redis_cluster", check=True, nodes=cluster.nodes)
        assert result["changed"] and result["slots_covered"] == 16384, result
        actions = [step["action"] for step in result["plan"]]
        assert actions == ["set_epoch"] * 6 + ["add_slots"] * 3 + ["meet"] + ["replicate"] * 3
        assert "on its own" in result["diff"]["before"] and "replica of" in result["diff"]["after"]
        assert untouched(cluster.servers)
        cluster.result = result

    def test_forms(self, cluster: Cluster) -> None:
        planned, before = cluster.result, settings(cluster.servers)
        cluster.result = result = run_module("redis_cluster", nodes=cluster.nodes)
        assert result.get("changed") is True, result
        # All serve at once, and what was set for the time of the formation is put back.
        assert all("cluster_state:ok" in str(server.run("CLUSTER", "INFO")) for server in cluster.servers)
        assert settings(cluster.servers) == before
        assert result["topology"] == planned["topology"] and result["plan"] == planned["plan"]
        assert result["slots_covered"] == 16384
        hosts = {entry["id"]: entry["host"] for entry in result["topology"]}
        for host in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
            assert sorted(e["role"] for e in result["topology"] if e["host"] == host) == ["master", "replica"]
        assert all(hosts[e["master_id"]] != e["host"] for e in result["topology"] if e["role"] == "replica")
        epochs = [
            re.search(r"cluster_my_epoch:(\d+)", str(s.run("CLUSTER", "INFO"))) for s in cluster.servers
        ]
        masters = [e.group(1) for e, t in zip(epochs, result["topology"]) if e and t["role"] == "master"]
        assert len(set(masters)) == 3 and "0" not in masters
        check_with_cli(cluster.flavor, cluster.servers[0], result)

    def test_replicas_have_what_their_master_has(self, cluster: Cluster) -> None:
        owner = run_module("redis_cluster_info", nodes=cluster.nodes, key="{airflow}:x")["owner_of"]
        replica = next(e for e in cluster.result["topology"] if e["master_id"] == owner["id"])
        with cluster.by_id(owner["id"]).client() as client:
            client.execute_command("SET", "{airflow}:x", "1")
            assert client.execute_command("WAIT", 1, 2000) == 1
        assert cluster.by_id(replica["id"]).run("DBSIZE") == 1

    def test_second_run_changes_nothing(self, cluster: Cluster) -> None:
        result = run_module("redis_cluster", nodes=cluster.nodes)
        assert (result["changed"], result["plan"]) == (False, [])
        assert result["topology"] == cluster.result["topology"]
        assert result["diff"]["before"] == result["diff"]["after"]

    def test_order_of_the_list_does_not_matter_any_more(self, cluster: Cluster) -> None:
        result = run_module("redis_cluster", nodes=cluster.nodes[::-1])
        assert result["changed"] is False

    def test_info(self, cluster: Cluster) -> None:
        result = run_module("redis_cluster_info", nodes=cluster.nodes[2:4])
        assert result["changed"] is False and "owner_of" not in result
        assert (result["cluster_state"], result["slots_covered"], result["unreachable_nodes"]) == (
            "ok",
            16384,
            [],
        )
        assert sorted(e["id"] for e in result["topology"]) == sorted(
            e["id"] for e in cluster.result["topology"]
        )
        assert [(entry["port"], entry["limit"], entry["percent"]) for entry in result["memory"]] == [
            (node["port"], 0, None) for node in cluster.nodes[2:4]
        ]
        assert all(entry["used"] > 500_000 for entry in result["memory"])
        assert [entry["port"] for entry in result["topology"][:2]] == [
            node["port"] for node in cluster.nodes[2:4]
        ]

    def test_slots_of_keys_are_what_the_server_says(self, cluster: Cluster) -> None:
        chance = random.Random(7)
        keys = ["", "{}", "{}a", "a{b}c", "{{a}}", "{a}{b}", "}{", "ü{ß}", "{airflow}:default"]
        keys += ["".join(chance.choices("ab{}é:", k=chance.randint(1, 12))) for _ in range(300)]
        with cluster.servers[0].client() as client:
            assert [client.execute_command("CLUSTER", "KEYSLOT", key) for key in keys] == [
                key_slot(key) for key in keys
            ]

    def test_failover_is_accepted(self, cluster: Cluster) -> None:
        replica = next(e for e in cluster.result["topology"] if e["role"] == "replica")
        server = cluster.by_id(replica["id"])
        server.run("CLUSTER", "FAILOVER")
        deadline = time.monotonic() + 10
        while "myself,master" not in nodes_text(server):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        result = run_module("redis_cluster", nodes=cluster.nodes, failover=False)
        assert result.get("changed") is False, result
        now = {entry["id"]: entry["role"] for entry in result["topology"]}
        assert (now[replica["id"]], now[replica["master_id"]]) == ("master", "replica")
        cluster.result = result

    def test_node_that_is_down_is_named(self, cluster: Cluster) -> None:
        down = cluster.by_id(next(e["id"] for e in cluster.result["topology"] if e["role"] == "replica"))
        down.stop()
        result = run_module("redis_cluster", nodes=cluster.nodes)
        assert result.get("failed") is True
        assert str(down) in result["msg"] and "The other 5 nodes form a cluster" in result["msg"]
        info = run_module("redis_cluster_info", nodes=[down.node, *cluster.nodes], key="foo")
        assert {(entry["host"], entry["port"]) for entry in info["unreachable_nodes"]} == {
            (down.host, down.port)
        }
        assert info["owner_of"]["slot"] == 12182
        owner = cluster.by_id(info["owner_of"]["id"])
        assert (info["owner_of"]["host"], info["owner_of"]["port"]) == (owner.host, owner.port)
        assert owner.run("GET", "foo") is None  # Not MOVED.


# --------------------------------------------------------------------- other formations
def test_three_masters_on_one_host(servers: Servers, system: Flavor) -> None:
    nodes = list_nodes(three := servers.start(system, ["127.0.0.1"] * 3))
    refused = run_module("redis_cluster", nodes=nodes)
    assert "is 6 nodes; 3 given" in refused["msg"]
    result = run_module("redis_cluster", nodes=nodes, replicas_per_master=0)
    assert result["changed"] and [entry["role"] for entry in result["topology"]] == ["master"] * 3
    check_with_cli(system, three[0], result)
    assert run_module("redis_cluster", nodes=nodes, replicas_per_master=0)["changed"] is False


@pytest.mark.parametrize(
    "sign",
    [
        pytest.param(lambda s: "0-5461" in nodes_text(s[0]), id="slots"),
        pytest.param(lambda s: nodes_text(s[5]).count("\n") > 1, id="meet"),
        pytest.param(lambda s: any("slave" in nodes_text(server) for server in s), id="replicate"),
    ],
)
def test_killed_halfway_the_next_run_finishes(servers: Servers, system: Flavor, sign) -> None:
    six = servers.start(system, three_hosts())
    module = subprocess.Popen(
        module_command("redis_cluster"),
        env=module_environment(),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert module.stdin
    module.stdin.write(module_input({"nodes": list_nodes(six)}))
    module.stdin.close()
    while not sign(six):
        assert module.poll() is None
    module.kill()
    module.wait()
    result = run_module("redis_cluster", nodes=list_nodes(six))
    assert result.get("slots_covered") == 16384, result
    check_with_cli(system, six[0], result)
    assert run_module("redis_cluster", nodes=list_nodes(six))["changed"] is False


def test_with_tls_and_acl_user(servers: Servers, system: Flavor, tmp_path: Path) -> None:
    make_certificates(tmp_path)
    login = {"username": "admin", "password": "a-secret"}
    six = servers.start(
        system,
        three_hosts(),
        tls_cert_file=str(tmp_path / "server.crt"),
        tls_key_file=str(tmp_path / "server.key"),
        tls_ca_cert_file=str(tmp_path / "ca.crt"),
        tls_auth_clients="no",
        tls_replication="yes",
        tls_cluster="yes",
        user="admin on >a-secret ~* &* +@all",
        masteruser="admin",
        masterauth="a-secret",
    )
    nodes, ca = list_nodes(six), str(tmp_path / "ca.crt")

    plain = run_module("redis_cluster", nodes=nodes, **login)
    assert "set tls to true" in plain["msg"] and str(six[0]) in plain["msg"]
    untrusted = run_module("redis_cluster", nodes=nodes, tls=True, **login)
    assert "must be signed by ca_cert" in untrusted["msg"]
    other_name = [{**node, "host": "localhost"} if node["host"] == "127.0.0.1" else node for node in nodes]
    wrong_name = run_module("redis_cluster", nodes=other_name, tls=True, ca_cert=ca, **login)
    assert "localhost as a subject alternative name" in wrong_name["msg"]
    wrong = run_module(
        "redis_cluster", nodes=nodes, tls=True, ca_cert=ca, username="admin", password="not-the-secret"
    )
    assert str(six[0]) in wrong["msg"] and "does not accept" in wrong["msg"]
    assert "not-the-secret" not in json.dumps(wrong)

    result = run_module("redis_cluster", nodes=nodes, tls=True, ca_cert=ca, **login)
    assert result.get("changed") is True, result
    assert login["password"] not in json.dumps(result)
    again = run_module("redis_cluster", nodes=nodes, tls=True, ca_cert=ca, **login)
    assert again["changed"] is False and again["slots_covered"] == 16384


def make_certificates(directory: Path) -> None:
    """A CA and a certificate for 127.0.0.1 to 127.0.0.3 (not for the name localhost)."""

    def openssl(*arguments: str) -> None:
        command = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ]
        subprocess.run([*command, "-days", "2", *arguments], cwd=directory, check=True, capture_output=True)

    openssl("-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test CA")
    names = ",".join(f"IP:127.0.0.{number}" for number in (1, 2, 3))
    openssl(
        *(
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-keyout",
            "server.key",
            "-out",
            "server.crt",
            "-subj",
            "/CN=server",
        ),
        *("-addext", f"subjectAltName={names}", "-addext", "basicConstraints=critical,CA:FALSE"),
    )
