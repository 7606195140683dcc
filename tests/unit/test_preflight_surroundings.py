# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Foreign things on a host: one sentence with host, cause and fix; none for a host that is ours."""

from __future__ import annotations

from typing import Any

from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.checks import find_problems
from test_preflight import Cluster, single_node

HOST = "one"


def seen(**facts: Any) -> Cluster:
    """A single node of which host_probe tells this as well."""
    cluster = single_node()
    cluster["hosts"][HOST]["probe"].update(facts)
    return cluster


def problem_of(cluster: Cluster) -> str:
    problems = find_problems(cluster)
    assert len(problems) == 1, problems
    assert HOST in problems[0]
    return problems[0]


def test_a_drop_in_that_takes_all_secrets_is_refused() -> None:
    problem = problem_of(seen(blank_credentials=["/run/systemd/system/service.d/zzz-lxc-service.conf"]))
    assert "/run/systemd/system/service.d/zzz-lxc-service.conf on one has an empty LoadCredential=" in problem
    assert "security.nesting" in problem
    assert "/etc/systemd/system/service.d/zzz-lxc-service.conf" in problem
    assert find_problems(seen(blank_credentials=[])) == []
