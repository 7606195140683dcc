# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""redis_settings against real servers."""

from __future__ import annotations

import pytest
from redis_servers import (
    FLAVORS,
    Servers,
    flavor_or_skip,
    run_module,
)


@pytest.mark.parametrize("flavor", FLAVORS)
class TestSettings:
    def test_what_can_be_set_live_is_set_and_the_rest_named(self, servers: Servers, flavor: str) -> None:
        (server,) = servers.start(flavor_or_skip(flavor), ["127.0.0.1"])
        wanted = {"maxmemory": "64mb", "hz": 20, "databases": 4, "appendonly": True}
        foreseen = run_module("redis_settings", nodes=[server.node], settings=wanted, check=True)
        assert foreseen["changed"]
        result = run_module("redis_settings", nodes=[server.node], settings=wanted)
        assert {(entry["name"], entry["after"]) for entry in result["applied"]} == {
            ("maxmemory", "67108864"),
            ("hz", "20"),
            ("appendonly", "yes"),
        }
        assert result["restart"] == [{**server.node, "names": ["databases"]}]
        again = run_module("redis_settings", nodes=[server.node], settings=wanted)
        assert (again["changed"], again["applied"]) == (False, [])
        assert again["restart"] == result["restart"]

    def test_an_unknown_directive_names_node_and_directive(self, servers: Servers, flavor: str) -> None:
        (server,) = servers.start(flavor_or_skip(flavor), ["127.0.0.1"])
        result = run_module("redis_settings", nodes=[server.node], settings={"maxmemorry": "1gb"})
        assert result["failed"]
        assert f"{server.host}:{server.port} does not accept maxmemorry" in result["msg"]

    def test_where_one_value_is_refused_none_of_them_stays(self, servers: Servers, flavor: str) -> None:
        (server,) = servers.start(flavor_or_skip(flavor), ["127.0.0.1"])
        wanted = {"maxmemory": "64mb", "maxmemory-policy": "no-such-policy", "hz": 20}
        result = run_module("redis_settings", nodes=[server.node], settings=wanted)
        assert "does not accept maxmemory-policy" in result["msg"]
        foreseen = run_module(
            "redis_settings", nodes=[server.node], settings={"maxmemory": 0, "hz": 10}, check=True
        )
        assert foreseen["changed"] is False
