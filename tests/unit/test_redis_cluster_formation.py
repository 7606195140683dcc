# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What talks to servers, where no server of this machine behaves like the one in question."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from ansible_collections.airflowops.cluster.plugins.module_utils.redis import cluster as rc
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.connection import (
    Connection,
    Credentials,
    combined,
    resolve,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.formation import (
    add_slots,
    config_value,
    parse_version,
)

HERE = rc.Address("redis1", 7000, "10.0.0.1")


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
    with pytest.raises(rc.NodeRefused, match="redis1:7000 did not take its slots: Slot 0 is already busy"):
        add_slots(server, ((0, 2),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reply", "tls", "kind", "said"),
    [
        (
            redis.AuthenticationError("NOAUTH Authentication required."),
            False,
            rc.AuthenticationFailed,
            "requirepass",
        ),
        (redis.ResponseError("WRONGPASS invalid"), False, rc.AuthenticationFailed, "does not accept"),
        (
            redis.exceptions.NoPermissionError("x has no permissions"),
            False,
            rc.AuthenticationFailed,
            "+cluster",
        ),
        (redis.exceptions.BusyLoadingError("LOADING"), False, rc.NodeUnreachable, "still loading"),
        (redis.TimeoutError("Timeout reading"), False, rc.NodeUnreachable, "firewall"),
        (redis.ConnectionError("Connection closed by server."), False, rc.NodeUnreachable, "set tls to true"),
        (redis.ConnectionError("[SSL: WRONG_VERSION_NUMBER]"), True, rc.NodeUnreachable, "set tls to false"),
        (redis.ConnectionError("CERTIFICATE_VERIFY_FAILED"), True, rc.NodeUnreachable, "ca_cert"),
        (redis.ResponseError("ERR odd"), False, rc.NodeRefused, "CLUSTER INFO failed: ERR odd."),
    ],
)
def test_errors_name_node_and_mend(reply: Exception, tls: bool, kind: type[Exception], said: str) -> None:
    connection = Connection(HERE, Credentials("user", "the-secret", tls))
    with pytest.raises(kind) as caught:
        connection.check([("CLUSTER", "INFO")], [reply])
    assert type(caught.value) is kind
    assert str(caught.value).startswith("redis1:7000: ")
    assert said in str(caught.value)


def test_credentials_do_not_show_their_password() -> None:
    assert "the-secret" not in repr(Credentials("user", "the-secret"))


def test_errors_of_several_nodes_become_one() -> None:
    both = combined([rc.NodeUnreachable("a: gone."), rc.NodeUnreachable("b: gone.")])
    assert type(both) is rc.NodeUnreachable and str(both) == "a: gone. b: gone."
    assert type(combined([rc.NodeUnreachable("a"), rc.AuthenticationFailed("b")])) is rc.NodeRefused


def test_names_are_resolved_and_those_that_cannot_be_are_named() -> None:
    assert resolve([{"host": "127.0.0.1", "port": 7000}]) == [rc.Address("127.0.0.1", 7000, "127.0.0.1")]
    with pytest.raises(rc.NodeUnreachable, match=r"no-such-host\.invalid:7000.*cannot be resolved"):
        resolve([{"host": "no-such-host.invalid", "port": 7000}])


def test_replies_in_all_their_shapes() -> None:
    assert config_value(["repl-diskless-sync-delay", "5"]) == "5"
    assert config_value({"repl-diskless-sync-delay": "5"}) == "5"
    assert config_value([]) is None
    assert config_value(redis.ResponseError("NOPERM")) is None
    assert parse_version("7.0.15") == (7, 0, 15)
    assert parse_version("255.255.255") > rc.MINIMUM_VERSION
