# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Redis Cluster grows, shrinks, breaks and is repaired while a client works: real servers, with keys."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from typing import Any, Iterator

import pytest
import redis
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.client import Credentials, resolve
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.cluster import Cluster
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.executor import Executor
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.model import Request, key_slot
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.reshard_plan import make_plan
from redis_servers import Flavor, Server, Servers, get_flavor, run_module

KEYS = 3000
QUEUE = "{airflow}:queue"


@pytest.fixture(scope="module")
def flavor() -> Flavor:
    return get_flavor("system")


def hosts(*numbers: int) -> list[str]:
    """Two nodes on each of these loopback addresses."""
    return [f"127.0.0.{number}" for number in numbers for _ in range(2)]


def keep(servers: list[Server], **params: Any) -> dict[str, Any]:
    result = run_module("redis_cluster", nodes=[server.node for server in servers], timeout=120, **params)
    assert not result.get("failed"), result
    return result


def check_whole(flavor: Flavor, servers: list[Server], **params: Any) -> None:
    """redis-cli finds nothing wrong, the slots are even, and there is nothing left to do."""
    done = subprocess.run(
        [*flavor.cli, "--cluster", "check", str(servers[0])], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "All 16384 slots covered" in done.stdout
    result = keep(servers, **params)
    assert result["changed"] is False, result["plan"]
    counts = [sum(b - a + 1 for a, b in e["slots"]) for e in result["topology"] if e["role"] == "master"]
    assert max(counts) - min(counts) <= 1
    place = {entry["id"]: entry["host"] for entry in result["topology"]}
    assert all(place[e["master_id"]] != e["host"] for e in result["topology"] if e["master_id"])


def master_of(servers: list[Server], key: str) -> Server:
    result = run_module("redis_cluster_info", nodes=[server.node for server in servers], key=key)
    return next(
        s for s in servers if (s.host, s.port) == (result["owner_of"]["host"], result["owner_of"]["port"])
    )


class Client(threading.Thread):
    """Writes and reads all the while, as a client does that follows redirections, and counts on its data."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self.cluster = redis.RedisCluster(server.host, server.port, decode_responses=True)
        self.written: dict[str, str] = {}
        self.problems: list[str] = []
        self.ending = threading.Event()
        with self.cluster.pipeline() as pipeline:
            for number in range(KEYS):
                pipeline.set(f"key-{number}", f"first-{number}")
                self.written[f"key-{number}"] = f"first-{number}"
            pipeline.execute()

    def run(self) -> None:
        number = 0
        while not self.ending.is_set():
            number = (number + 7) % KEYS
            key, value = f"key-{number}", f"{time.monotonic()}"
            try:
                before = self.cluster.get(key)
                if before != self.written[key]:
                    self.problems.append(f"{key} is {before} instead of {self.written[key]}")
                self.cluster.set(key, value)
                self.written[key] = value
            except AttributeError:
                # redis-py does not look for a node that it has not heard of when it is asked to go there.
                self.cluster.nodes_manager.initialize()
            except Exception as error:
                self.problems.append(repr(error))
                time.sleep(0.1)

    def end(self) -> None:
        """Every key is where it belongs, with its last value."""
        assert self.is_alive() or self.ending.is_set()
        self.ending.set()
        self.join()
        assert self.problems == []
        for key, value in self.written.items():
            assert self.cluster.get(key) == value
        self.cluster.close()


@contextlib.contextmanager
def client_of(server: Server) -> Iterator[Client]:
    client = Client(server)
    client.start()
    yield client
    client.end()


def test_three_hosts_to_five_and_back_while_a_client_works(servers: Servers, flavor: Flavor) -> None:
    three = servers.start(flavor, hosts(1, 2, 3))
    keep(three)
    pinned = {"pinned_keys": ["{airflow}"]}
    with client_of(three[0]) as client:
        client.cluster.rpush(QUEUE, "task")
        owner = master_of(three, QUEUE)
        five = three + servers.start(flavor, hosts(4, 5))
        planned = keep(five, check=True, **pinned)
        assert planned["changed"]
        grown = keep(five, **pinned)
        assert [step["description"] for step in grown["plan"]] == [
            step["description"] for step in planned["plan"]
        ]
        assert sum(entry["role"] == "master" for entry in grown["topology"]) == 5
        assert master_of(five, QUEUE) is owner
        check_whole(flavor, five, **pinned)

        left = keep(three, **pinned)
        assert left["changed"] is False
        assert sorted(left["unlisted"]) == sorted(map(str, five[6:]))

        # The hosts that stay are others than those of the start: the pinned slot has to leave its own.
        stay = [server for server in five if server.host != owner.host][:6]
        assert owner not in stay
        shrunk = keep(stay, prune=True, **pinned)
        slot = key_slot(QUEUE)
        moved = [step for step in shrunk["plan"] if step["action"] == "move_slots"]
        assert not any(low <= slot <= high for step in moved for low, high in step["slots"])
        assert client.cluster.lrange(QUEUE, 0, -1) == ["task"]
        check_whole(flavor, stay, prune=True, **pinned)
        gone = [server for server in five if server not in stay]
        for server in gone:
            assert "cluster_known_nodes:1" in str(server.run("CLUSTER", "INFO"))
            server.stop()


def test_replaced_machine_and_a_member_that_is_gone(servers: Servers, flavor: Flavor) -> None:
    eight = servers.start(flavor, hosts(1, 2, 3, 4))
    keep(eight)
    with client_of(eight[0]):
        replica = next(s for s in eight if "slave" in str(s.run("ROLE")))
        replica.stop()
        for file in replica.directory.glob("nodes*.conf"):
            file.unlink()
        replica.start()
        repaired = keep(eight)
        assert "forget" in [step["action"] for step in repaired["plan"]]
        check_whole(flavor, eight)

        six = eight[:6]
        for server in eight[6:]:
            if "master" in str(server.run("ROLE")):
                keep(six, prune=True)
                break
        check_whole(flavor, six, prune=True)


def test_node_that_forgot_the_cluster(servers: Servers, flavor: Flavor) -> None:
    six = servers.start(flavor, hosts(1, 2, 3))
    keep(six)
    replica = next(s for s in six if "slave" in str(s.run("ROLE")))
    replica.run("CLUSTER", "RESET", "HARD")
    keep(six)
    check_whole(flavor, six)


def test_failover_that_broke_the_spread_is_handed_back(servers: Servers, flavor: Flavor) -> None:
    six = servers.start(flavor, hosts(1, 2, 3))
    keep(six)
    with client_of(six[0]):
        replica = next(s for s in six if "slave" in str(s.run("ROLE")))
        replica.run("CLUSTER", "FAILOVER")
        deadline = time.monotonic() + 10
        while "slave" in str(replica.run("ROLE")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert keep(six, failover=False)["changed"] is False
        assert [step["action"] for step in keep(six)["plan"]] == ["failover"]
        check_whole(flavor, six)


@pytest.mark.parametrize("sides", ["both", "source", "target", "target with keys"])
def test_migration_that_was_left_open(servers: Servers, flavor: Flavor, sides: str) -> None:
    six = servers.start(flavor, hosts(1, 2, 3))
    result = keep(six)
    with client_of(six[0]) as client:
        slot = key_slot("key-1")
        source = master_of(six, "key-1")
        target = next(s for s in six if s is not source and "master" in str(s.run("ROLE")))
        ids = {(e["host"], e["port"]): e["id"] for e in result["topology"]}
        source_id, target_id = ids[source.host, source.port], ids[target.host, target.port]
        if sides != "source":
            target.run("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
        if sides != "target":
            source.run("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
        if sides == "target with keys":
            # A client would find no key at the source and write it there again: an operator has to choose.
            client.ending.set()
            client.join()
            source.run("MIGRATE", target.host, target.port, "key-1", 0, 5000)
            source.run("CLUSTER", "SETSLOT", slot, "STABLE")
        keep(six)
        check_whole(flavor, six)
        if sides == "target with keys":
            assert client.cluster.get("key-1") == client.written["key-1"]


def test_lost_shard_is_given_up_only_on_request(servers: Servers, flavor: Flavor) -> None:
    four = servers.start(flavor, [f"127.0.0.{number}" for number in (1, 2, 3, 4)])
    keep(four, replicas_per_master=0)
    cluster = redis.RedisCluster(four[0].host, four[0].port)
    cluster.set("foo", "bar")
    lost = master_of(four, "foo")
    lost.stop()
    rest = [server for server in four if server is not lost]
    params: dict[str, Any] = {"nodes": [s.node for s in rest], "replicas_per_master": 0, "prune": True}
    refused = run_module("redis_cluster", **params)
    assert refused["failed"]
    assert refused["changed"] is False
    assert f"{lost} does not answer, and no replica has its 4096 slots" in refused["msg"]
    keep(rest, replicas_per_master=0, prune=True, allow_data_loss=True)
    check_whole(flavor, rest, replicas_per_master=0, prune=True)


class Killed(Exception):
    pass


def operate(listed: list[Server], request: Request, steps: int | None) -> int:
    """Works as the module does, and dies after so many steps. Returns how many there were."""
    cluster = Cluster(resolve([server.node for server in listed]), Credentials(), 60)
    begun = 0

    def note(_step: object) -> None:
        nonlocal begun
        if begun == steps:
            raise Killed
        begun += 1

    try:
        Executor(cluster).carry_out(make_plan(cluster.observe(), request), note)
    finally:
        cluster.close()
    return begun


def test_killed_after_each_step_the_next_run_finishes(servers: Servers, flavor: Flavor) -> None:
    """Grows and shrinks in turn, each time one step further before it is killed."""
    three = servers.start(flavor, hosts(1, 2, 3))
    four = three + servers.start(flavor, hosts(4))
    keep(three)
    request = Request(prune=True)
    with client_of(three[0]):
        for number in range(1, 12):
            ended = []
            for listed in (four, three):
                try:
                    operate(listed, request, number)
                    ended.append(True)
                except Killed:
                    ended.append(False)
                keep(listed, prune=True)
            if all(ended):
                break
        else:
            pytest.fail("there were more steps than expected")
        check_whole(flavor, three, prune=True)


def test_moves_over_login_by_user(servers: Servers, flavor: Flavor) -> None:
    secret = {"requirepass": "secret-1", "masterauth": "secret-1"}
    three = servers.start(flavor, hosts(1, 2, 3)[::2], **secret)
    keep(three, replicas_per_master=0, password="secret-1")
    cluster = redis.RedisCluster(three[0].host, three[0].port, password="secret-1", decode_responses=True)
    for number in range(100):
        cluster.set(f"key-{number}", number)
    four = three + servers.start(flavor, ["127.0.0.4"], **secret)
    keep(four, replicas_per_master=0, password="secret-1")
    assert [cluster.get(f"key-{number}") for number in range(100)] == [str(n) for n in range(100)]


# --------------------------------------------------------------------- redis_cluster_failover
def hand_over(servers: list[Server], node: Server, **params: Any) -> dict[str, Any]:
    return run_module(
        "redis_cluster_failover",
        nodes=[server.node for server in servers],
        node=node.node,
        timeout=30,
        **params,
    )


def test_master_hands_over_and_a_replica_is_left_alone(servers: Servers, flavor: Flavor) -> None:
    six = servers.start(flavor, hosts(1, 2, 3))
    keep(six)
    with client_of(six[0]):
        owner = master_of(six, QUEUE)
        planned = hand_over(six, owner, check=True)
        assert planned["changed"]
        assert master_of(six, QUEUE) is owner
        done = hand_over(six, owner)
        assert done["changed"]
        assert done["promoted"] == planned["promoted"] == str(master_of(six, QUEUE))
        assert done["seconds"] < 5
        assert not hand_over(six, owner)["changed"]
        # Of a node that the list does not hold any more as well.
        new = master_of(six, QUEUE)
        assert hand_over([server for server in six if server is not new], new)["changed"]
    assert master_of(six, QUEUE) is owner
    check_whole(flavor, six)


def test_master_without_replica_keeps_its_slots(servers: Servers, flavor: Flavor) -> None:
    *three, stranger = servers.start(flavor, hosts(1, 2, 3, 4))[::2]
    keep(three, replicas_per_master=0)
    owner = master_of(three, QUEUE)
    failed = hand_over(three, owner)
    assert failed["failed"]
    assert f"{owner} is a master, and it has no replica" in failed["msg"]
    assert master_of(three, QUEUE) is owner
    failed = hand_over(three, stranger)
    assert failed["failed"]
    assert f"{stranger} is no member" in failed["msg"]
