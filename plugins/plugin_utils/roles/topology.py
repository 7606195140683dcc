# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which roles a host has, which tags belong together, and how Celery reaches its broker. Pure functions."""

from __future__ import annotations

from typing import Any, Collection, Mapping, Sequence

from ansible_collections.airflowops.cluster.plugins.plugin_utils.roles.airflow_credentials import (
    SENTINEL_OPTION,
)

# They share the configuration of airflow_common.
AIRFLOW_ROLES = ("airflow_master", "airflow_worker", "flower")
BROKERS = {"amqp": "amqp", "amqps": "amqp", "pyamqp": "amqp", "sqs": "sqs"}


def host_roles(
    host: str, hosts: Mapping[str, Collection[str]], everywhere: Mapping[str, Any] | None = None
) -> list[str]:
    """The roles of a host, in the order of `hosts`, which has the hosts of each. everywhere: {role: bool}."""
    roles = [role for role, members in hosts.items() if host in members]
    return roles + [role for role, wanted in (everywhere or {}).items() if wanted]


def run_tags(tags: Sequence[str], roles: Collection[str]) -> list[str]:
    """The tags of a run, and what belongs to them on a host.

    etcd belongs to the metastore; Airflow's configuration to each of its services, and all of them to it.
    """
    ours = [role for role in AIRFLOW_ROLES if role in roles]
    more = ["etcd"] if "postgres_metastore" in tags else []
    more += ["airflow_common"] if {*ours} & {*tags} else []
    more += ours if "airflow_common" in tags else []
    return [*tags, *more]


def broker_kind(url: str) -> str:
    return BROKERS.get(url.partition(":")[0].lower(), "redis")


def broker_options(
    kind: str, settings: Mapping[str, Any], more: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """{open, secret}: Celery's transport options, those of the user merged over ours.

    settings: prefix of the keys, visibility_timeout.
    """
    options = merged(default_options(kind, settings), more)
    secret = {name: options.pop(name) for name in (SENTINEL_OPTION,) if name in options}
    return {"open": options, "secret": secret}


def default_options(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    if kind == "amqp":
        # A task counts as queued when RabbitMQ says so, not when it was sent.
        return {"confirm_publish": True}
    if kind == "sqs":
        # One request waits so long for messages, in seconds: each is paid for.
        return {"visibility_timeout": settings["visibility_timeout"], "wait_time_seconds": 20}
    return {
        "global_keyprefix": settings["prefix"],
        "visibility_timeout": settings["visibility_timeout"],
        # What is overdue is looked for every ten seconds; by default it is every hundred.
        "unacked_restore_throttle": 1,
        # A connection that died without a word is noticed: no answer takes longer than BRPOP's second.
        "socket_timeout": 30,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        # An idle one is tried this often; a BRPOP overdue by as much is given up.
        "health_check_interval": 10,
    }


def merged(ours: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """As Ansible's `combine` with recursive=true: dictionaries within are merged, all else is replaced."""
    result = dict(ours)
    for name, value in more.items():
        old = result.get(name)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[name] = merged(old, value) if both else value  # type: ignore[arg-type]
    return result
