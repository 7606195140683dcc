# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What talks to servers, where no server of this machine behaves like the one in question."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from ansible_collections.airflowops.cluster.plugins.module_utils.redis import model
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.client import (
    Connection,
    Credentials,
    combine_errors,
    resolve,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.cluster import parse_version
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.executor import add_slots
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.gossip import get_config_value

HERE = model.Address("redis1", 7000, "10.0.0.1")


class OldServer:
    """Redis 6.2 knows no ADDSLOTSRANGE."""

    address = HERE

    def __init__(self, *replies: Any) -> None:
        self.replies = list(replies)
        self.sent: list[tuple[Any, ...]] = []

    def try_all(self, *commands: tuple[Any, ...]) -> list[Any]:
        self.sent += commands
        return [self.replies.pop(0)]


def test_slots_are_named_one_by_one_for_redis_6() -> None:
    server = OldServer(redis.ResponseError("Unknown subcommand or wrong number of arguments"), "OK")
    add_slots(server, ((0, 2), (7, 7)))  # type: ignore[arg-type]
    assert server.sent == [("CLUSTER", "ADDSLOTSRANGE", 0, 2, 7, 7), ("CLUSTER", "ADDSLOTS", 0, 1, 2, 7)]


def test_slots_that_are_taken_are_an_error() -> None:
    server = OldServer(redis.ResponseError("Slot 0 is already busy"))
    with pytest.raises(model.NodeRefused, match="redis1:7000 did not take its slots: Slot 0 is already busy"):
        add_slots(server, ((0, 2),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reply", "tls", "kind", "said"),
    [
        (
            redis.AuthenticationError("NOAUTH Authentication required."),
            False,
            model.AuthenticationFailed,
            "requirepass",
        ),
        (redis.ResponseError("WRONGPASS invalid"), False, model.AuthenticationFailed, "does not accept"),
        (
            redis.exceptions.NoPermissionError("x has no permissions"),
            False,
            model.AuthenticationFailed,
            "+cluster",
        ),
        (redis.exceptions.BusyLoadingError("LOADING"), False, model.NodeUnreachable, "still loading"),
        (redis.TimeoutError("Timeout reading"), False, model.NodeUnreachable, "firewall"),
        (
            redis.ConnectionError("Connection closed by server."),
            False,
            model.NodeUnreachable,
            "set tls to true",
        ),
        (
            redis.ConnectionError("[SSL: WRONG_VERSION_NUMBER]"),
            True,
            model.NodeUnreachable,
            "set tls to false",
        ),
        (redis.ConnectionError("CERTIFICATE_VERIFY_FAILED"), True, model.NodeUnreachable, "ca_cert"),
        (redis.ResponseError("ERR odd"), False, model.NodeRefused, "CLUSTER INFO failed: ERR odd."),
    ],
)
def test_errors_name_node_and_fix(reply: Exception, tls: bool, kind: type[Exception], said: str) -> None:
    connection = Connection(HERE, Credentials("user", "the-secret", tls))
    with pytest.raises(kind) as caught:
        connection.check([("CLUSTER", "INFO")], [reply])
    assert type(caught.value) is kind
    assert str(caught.value).startswith("redis1:7000: ")
    assert said in str(caught.value)


def test_credentials_do_not_show_their_password() -> None:
    assert "the-secret" not in repr(Credentials("user", "the-secret"))


def test_errors_of_several_nodes_become_one() -> None:
    both = combine_errors([model.NodeUnreachable("a: gone."), model.NodeUnreachable("b: gone.")])
    assert type(both) is model.NodeUnreachable and str(both) == "a: gone. b: gone."
    assert (
        type(combine_errors([model.NodeUnreachable("a"), model.AuthenticationFailed("b")]))
        is model.NodeRefused
    )


def test_names_are_resolved_and_those_that_cannot_be_are_named() -> None:
    assert resolve([{"host": "127.0.0.1", "port": 7000}]) == [model.Address("127.0.0.1", 7000, "127.0.0.1")]
    with pytest.raises(model.NodeUnreachable, match=r"no-such-host\.invalid:7000.*cannot be resolved"):
        resolve([{"host": "no-such-host.invalid", "port": 7000}])


def test_replies_in_all_their_shapes() -> None:
    assert get_config_value(["repl-diskless-sync-delay", "5"]) == "5"
    assert get_config_value({"repl-diskless-sync-delay": "5"}) == "5"
    assert get_config_value([]) is None
    assert get_config_value(redis.ResponseError("NOPERM")) is None
    assert parse_version("7.0.15") == (7, 0, 15)
    assert parse_version("255.255.255") > model.MINIMUM_VERSION
