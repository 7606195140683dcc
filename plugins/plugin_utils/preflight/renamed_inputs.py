# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Former names of inputs. An inventory that still sets one is refused, with what to do instead.

Whoever renames or removes an input adds a line here and one to docs/upgrading.md: tests compare all three.
"""

from __future__ import annotations

from typing import NamedTuple


class Renamed(NamedTuple):
    """The input that has taken the place of the former one, with the same values."""

    name: str


class Removed(NamedTuple):
    """What to do now that no input has taken its place; completes "NAME on HOST is no input any more: "."""

    instead: str


FORMER_INPUTS: dict[str, Renamed | Removed] = {
    "airflow_common_components": Renamed("airflow_common_parts"),
    "airflow_master_hosts": Removed("put the hosts into the group airflow_master"),
    "airflow_master_start_timeout": Renamed("airflow_start_timeout"),
    "airflow_worker_hosts": Removed("put the hosts into the group airflow_worker"),
    "airflow_worker_start_timeout": Renamed("airflow_start_timeout"),
    "cluster_secrets_in_rotation": Renamed("secrets_in_rotation"),
    "flower_hosts": Removed("put the hosts into the group flower"),
    "flower_start_timeout": Renamed("airflow_start_timeout"),
    "nginx_lb_hosts": Removed("put the hosts into the group nginx_lb"),
    "postgres_metastore_hosts": Removed("put the hosts into the group postgres_metastore"),
    "redis_cluster_hosts": Removed("put the hosts into the group redis_cluster"),
}


def former_input_problem(name: str) -> str:
    """The sentence for a former name, with {hosts} where the hosts belong; empty for any other name."""
    former = FORMER_INPUTS.get(name)
    if former is None:
        return ""
    if isinstance(former, Renamed):
        return f"{name} on {{hosts}} is called {former.name} now: rename it in the inventory"
    return f"{name} on {{hosts}} is no input any more: {former.instead}, and remove the variable"
