# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Descriptions of clusters, as preflight gets them, for the tests of its checks."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.checks import (
    find_problems,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import (
    SECRETS,
)
from hypothesis import strategies as st

ROLES = Path(__file__).parents[2] / "roles"
GOOD_PROBE = {
    "clock_offset": 0.1,
    "clock_uncertainty": 0.2,
    "disk_free": 50 * 2**30,
    "listening": [],
    "memory_limit": None,
    "memory_total": 4 * 2**30,
    "os": {"id": "debian", "version": "12", "name": "Debian GNU/Linux 12 (bookworm)"},
    "privileged": True,
    "python": "3.11.2",
    "pythons": ["3.11"],
    "systemd": True,
}
WORKER_KEYS = {
    "name", "queues", "concurrency", "autoscale", "environment", "memory_max", "cpu_weight", "sandbox",
    "write_paths",
}  # fmt: skip
GOOD_VALUES = {
    "redis_cluster_ports": [7000, 7001],
    "redis_cluster_replicas_per_master": 1,
    "postgres_metastore_port": 5432,
    "postgres_metastore_patroni_port": 8008,
    "etcd_client_port": 2379,
    "etcd_peer_port": 2380,
    "airflow_master_api_port": 8080,
    "airflow_master_execution_port": 8081,
    "airflow_master_scheduler_health_port": 8974,
    "airflow_master_triggerer_log_port": 8794,
    "airflow_workers": [{"name": "default", "queues": ["default"], "concurrency": 8}],
    "airflow_worker_log_port": 8793,
    "airflow_required_queues": {},
    "service_endpoints_broker_port": 16379,
    "service_endpoints_metastore_port": 15432,
    "service_endpoints_execution_port": 18080,
    "flower_port": 5555,
    "nginx_lb_http_port": 80,
    "nginx_lb_https_port": 443,
}
MULTI_NODE = {
    "redis_cluster": ["redis1", "redis2", "redis3"],
    "postgres_metastore": ["db1"],
    "airflow_master": ["master1", "master2"],
    "airflow_worker": ["worker1", "worker2", "worker3"],
    "flower": ["front1"],
    "nginx_lb": ["front1"],
}
SINGLE_NODE = {role: ["one"] for role in MULTI_NODE}
KNOWN = {
    **{name: {} for name in GOOD_VALUES},
    "cluster_address": {},
    "airflow_workers": {"type": "list", "options": {key: {} for key in WORKER_KEYS}},
}


Cluster = dict[str, Any]


def make_cluster(groups: dict[str, list[str]], **values: Any) -> Cluster:
    hosts = sorted({host for members in groups.values() for host in members})
    return {
        "roles": {role: {"group": role, "hosts": members} for role, members in groups.items()},
        "inventory_groups": {"all": hosts, "ungrouped": [], **groups},
        "known_variables": copy.deepcopy(KNOWN),
        "fingerprints": {name: dict.fromkeys(hosts, "digest") for name in SECRETS},
        "hosts": {
            host: {
                "values": {**copy.deepcopy(GOOD_VALUES), "cluster_address": f"{host}.example.org", **values},
                "unknown_variables": [],
                "secrets": dict.fromkeys(SECRETS, ""),
                "probe": copy.deepcopy(GOOD_PROBE),
                "release": {
                    "wanted": "3.3.2",
                    "in_use": "",
                    "change": "",
                    "lock_file": "/locks/airflow-3.3.2.txt",
                    "lock_there": True,
                },
            }
            for host in hosts
        },
    }


def single_node(**values: Any) -> Cluster:
    shape = {"redis_cluster_ports": [7000, 7001, 7002], "redis_cluster_replicas_per_master": 0}
    cluster = make_cluster(SINGLE_NODE, **{**shape, **values})
    # With HTTPS, so that it listens on every port.
    cluster["hosts"]["one"]["front"] = {
        "https": True, "given": [], "certificate": [], "names": [], "unresolved": []
    }  # fmt: skip
    return cluster


def put(cluster: Cluster, name: str, value: Any, *hosts: str) -> None:
    """Sets a variable on some hosts, or on all."""
    for host in hosts or cluster["hosts"]:
        cluster["hosts"][host]["values"][name] = value


def see(cluster: Cluster, name: str, value: Any, *hosts: str) -> None:
    """Sets what was seen of some hosts, or of all."""
    for host in hosts or cluster["hosts"]:
        cluster["hosts"][host]["probe"][name] = value


def only(cluster: Cluster) -> str:
    """The one problem of a cluster."""
    problems = find_problems(cluster)
    assert len(problems) == 1, problems
    return problems[0]


def limit(cluster: Cluster, *hosts: str) -> Cluster:
    """The cluster as a run with --limit sees it."""
    cluster["hosts"] = {host: cluster["hosts"][host] for host in hosts}
    return cluster


# --- Secrets
GOOD_SECRET = "Zk3vQ8sLw0pXb7nRt2yU"


# --- All at once
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


# --- Airflow's version


def in_use(cluster: Cluster, version: str, change: str = "", *, hosts: tuple[str, ...] = ()) -> Cluster:
    for host in hosts or cluster["hosts"]:
        cluster["hosts"][host]["release"].update(in_use=version, change=change)
    return cluster
