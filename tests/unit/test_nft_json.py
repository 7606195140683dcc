# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables, as nft prints them."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.airflowops.cluster.plugins.module_utils.firewall import nft_json


def table(elements: list[Any], packets: int = 0, handle: int = 1, settling: list[Any] | None = None) -> str:
    return json.dumps(
        {
            "nftables": [
                {"metainfo": {"version": "1.0.6"}},
                {"table": {"family": "inet", "name": "airflowops", "handle": handle}},
                {"set": {"name": "airflow4", "handle": handle + 1, "type": "ipv4_addr", "elem": elements}},
                {
                    "set": {
                        "name": "settling",
                        "type": "inet_proto",
                        **({"elem": settling} if settling else {}),
                    }
                },
                {"rule": {"handle": handle + 2, "expr": [{"counter": {"packets": packets, "bytes": 9}}]}},
            ]
        }
    )


def read(*arguments: Any, **named: Any) -> dict[str, Any]:
    return nft_json.table_of(table(*arguments, **named), ["settling"])


A = {"elem": {"val": "192.0.2.1", "comment": "a"}}


B = {"elem": {"val": "192.0.2.2", "comment": "b"}}


def test_counters_handles_and_what_passes_make_no_difference() -> None:
    settling = [{"elem": {"val": "tcp", "timeout": 60, "expires": 3}}]
    assert nft_json.same(read([A, B], 5, 40, settling), read([B, A]))
    assert not nft_json.same(read([A]), read([A, B]))
    assert not nft_json.same(read([A, B]), read([A]))


def test_hosts_that_are_no_longer_listed_can_be_kept() -> None:
    live, wanted = read([A, B]), read([A])
    assert nft_json.same(live, wanted, ["airflow4"])
    kept = nft_json.kept_elements(live, wanted, ["airflow4", "unknown"])
    assert nft_json.add_lines("inet airflowops", kept) == (
        'add element inet airflowops airflow4 { 192.0.2.2 comment "b" }\n'
    )
    assert not nft_json.same(wanted, live, ["airflow4"])


def test_only_what_is_missing_is_admitted() -> None:
    elements = {"airflow4": ['192.0.2.1 comment "a"', '192.0.2.3 comment "c"'], "etcd4": ["192.0.2.9"]}
    assert nft_json.missing(read([A]), elements) == {"airflow4": ['192.0.2.3 comment "c"']}
    assert nft_json.missing(read([A]), {"airflow4": ['192.0.2.1 comment "a"']}) == {}
