# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One planned failover, without a server."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.airflowops.cluster.plugins.module_utils.redis import model
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.failover_plan import plan_failover
from redis_states import SIX, created, fresh, state_of


def test_successor_follows_the_master_and_is_in_step() -> None:
    state = state_of(created(*SIX))
    master = next(n for n in state.nodes if n.me.slots)
    step = plan_failover(state, master.address)
    assert step is not None
    replica = next(n for n in state.nodes if n.id == step.node)
    assert replica.me.master_id == master.id
    assert step.as_dict()["master"] == str(master)
    assert plan_failover(state, replica.address) is None
    behind = tuple(replace(n, link_up=False) if n.me.master_id == master.id else n for n in state.nodes)
    with pytest.raises(model.NotConverged, match="not in step"):
        plan_failover(model.State(behind), master.address)
    alone = tuple(n for n in state.nodes if n.me.master_id != master.id)
    with pytest.raises(model.NodeRefused, match="no replica"):
        plan_failover(model.State(alone), master.address)
    with pytest.raises(model.NodeRefused, match="no member"):
        plan_failover(state_of(fresh("z")), fresh("z")[0].address)
