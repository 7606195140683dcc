# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Redis Cluster grows from three hosts to five and shrinks back while tasks flow."""

from __future__ import annotations

import pytest
from lab import ROOT, Lab
from test_2_verify import redis_info
from test_4_faults import Load, load_dag

__all__ = ["load_dag"]

# Two hosts more that run Redis, beside what they run already.
MORE = "redis_cluster: {hosts: {metastore1: , front1: }}\n"


def masters(info: dict) -> set[str]:
    return {entry["host"] for entry in info["topology"] if entry["role"] == "master"}


@pytest.mark.topology("multi_node")
@pytest.mark.usefixtures("long", "load_dag")
def test_three_redis_hosts_to_five_and_back(lab: Lab) -> None:
    more = lab.directory / "more.yml"
    more.write_text(MORE)
    scale = (ROOT / "playbooks/redis_scale.yml", *lab.with_load)
    load = Load(lab, tasks=150, seconds=0.5)
    load.under_way(5)
    lab.playbook(*scale, "-i", more)
    grown = redis_info(lab, key="{airflow}:x")
    assert len(masters(grown)) == 5
    assert len(grown["topology"]) == 10
    load.under_way(40)
    lab.playbook(*scale)
    shrunk = redis_info(lab, key="{airflow}:x")
    assert len(masters(shrunk)) == 3
    assert {entry["host"] for entry in shrunk["topology"]} == {
        lab.address(h) for h in lab.group("redis_cluster")
    }
    load.all_done(timeout=300)
    for host in ("metastore1", "front1"):
        lab.host(host).run_expect([0], "systemctl disable --now redis-cluster@7000 redis-cluster@7001")
