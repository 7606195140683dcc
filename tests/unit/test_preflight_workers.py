# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers and the queues that they serve."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.checks import (
    find_problems,
)
from clusters import GOOD_VALUES, Cluster, only, put

# --- Workers and queues


@pytest.mark.parametrize("value", [None, [], "default", {"name": "default"}])
def test_no_list_of_workers(cluster: Cluster, value: Any) -> None:
    put(cluster, "airflow_workers", value, "worker2")
    assert only(cluster).startswith(
        "airflow_workers must be a list of at least one worker on worker2: for example [{"
    )


@pytest.mark.parametrize(
    ("worker", "words"),
    [
        ("default", "Worker 1 of airflow_workers is not a dictionary on worker1: give it name"),
        (
            {"name": "Big Box", "queues": ["q"], "concurrency": 1},
            "Worker Big Box of airflow_workers has no fit name",
        ),
        ({"name": "-a", "queues": ["q"], "concurrency": 1}, "Worker -a of airflow_workers has no fit name"),
        (
            {"queues": ["q"], "concurrency": 1},
            "Worker 1 of airflow_workers has no fit name on worker1: use lower-case",
        ),
        ({"name": 7, "queues": ["q"], "concurrency": 1}, "Worker 1 of airflow_workers has no fit name"),
        (
            {"name": "a", "queues": [], "concurrency": 1},
            "Worker a of airflow_workers has no queues on worker1: list",
        ),
        (
            {"name": "a", "queues": "q", "concurrency": 1},
            "Worker a of airflow_workers has no queues on worker1: list",
        ),
        ({"name": "a", "concurrency": 1}, "Worker a of airflow_workers has no queues on worker1"),
        (
            {"name": "a", "queues": ["q,r"], "concurrency": 1},
            "has the queue 'q,r' on worker1: use text without commas",
        ),
        (
            {"name": "a", "queues": [1], "concurrency": 1},
            "Worker a of airflow_workers has the queue 1 on worker1",
        ),
        (
            {"name": "a", "queues": ["q"], "concurrency": 0},
            "Worker a of airflow_workers has no fit concurrency",
        ),
        (
            {"name": "a", "queues": ["q"], "concurrency": "x"},
            "Worker a of airflow_workers has no fit concurrency",
        ),
        (
            {"name": "a", "queues": ["q"]},
            "Worker a of airflow_workers has no fit concurrency on worker1: set it to the",
        ),
        (
            {"name": "a", "queues": ["q"], "concurrency": 1, "queue": "q"},
            "Worker a of airflow_workers has the unknown key queue (did you mean queues?) on worker1: ",
        ),
        (
            {"name": "a", "queues": ["q"], "concurrency": 1, "autoscale": {"min": 1, "max": 2}},
            "or give it autoscale: {min: 2, max: 8} instead",
        ),
        (
            {"name": "a", "queues": ["q"], "autoscale": {"min": 8, "max": 2}},
            "Worker a of airflow_workers has no fit autoscale on worker1: give min and max",
        ),
        ({"name": "a", "queues": ["q"], "autoscale": {"max": 2}}, "has no fit autoscale"),
        ({"name": "a", "queues": ["q"], "autoscale": "8,2"}, "has no fit autoscale"),
        (
            {"name": "a", "queues": ["q"], "concurrency": 1, "environment": ["A=1"]},
            "Worker a of airflow_workers has no fit environment on worker1: map names",
        ),
        ({"name": "a", "queues": ["q"], "concurrency": 1, "environment": ["A=1"]}, "has no fit environment"),
        (
            {"name": "a", "queues": ["q"], "concurrency": 1, "memory_max": "4 GB"},
            "Worker a of airflow_workers has no fit memory_max on worker1: give bytes with a unit, as in 4G",
        ),
        ({"name": "a", "queues": ["q"], "concurrency": 1, "memory_max": 512}, "has no fit memory_max"),
        (
            {"name": "a", "queues": ["q"], "concurrency": 1, "cpu_weight": 0},
            "Worker a of airflow_workers has no fit cpu_weight on worker1: give a number from 1 to 10000",
        ),
        (
            {"name": "a", "queues": ["q"], "concurrency": 1, "sandbox": "maybe"},
            "Worker a of airflow_workers has no fit sandbox on worker1: give true or false",
        ),
        (
            {"name": "a", "queues": ["q"], "concurrency": 1, "write_paths": ["/srv", "data"]},
            "Worker a of airflow_workers has no fit write_paths on worker1: list absolute paths",
        ),
        ({"name": "a", "queues": ["q"], "concurrency": 1, "write_paths": ["/a b"]}, "has no fit write_paths"),
        ({"name": "a", "queues": ["q"], "concurrency": 1, "write_paths": "/srv"}, "has no fit write_paths"),
    ],
)
def test_bad_worker(cluster: Cluster, worker: Any, words: str) -> None:
    put(cluster, "airflow_workers", [worker], "worker1")
    assert words in only(cluster)


def test_a_worker_with_all_that_one_can_have(cluster: Cluster) -> None:
    worker = {
        "name": "a",
        "queues": ["default"],
        "autoscale": {"min": 1, "max": "4"},
        "environment": {"OMP_NUM_THREADS": "2"},
        "memory_max": "4G",
        "cpu_weight": 50,
        "sandbox": "yes",
        "write_paths": ["/srv/data"],
    }
    put(cluster, "airflow_workers", [worker])
    assert find_problems(cluster) == []


def test_two_workers_of_one_name_on_a_host(cluster: Cluster) -> None:
    put(cluster, "airflow_workers", GOOD_VALUES["airflow_workers"] * 2, "worker1")
    assert only(cluster).startswith(
        "airflow_workers names default 2 times on worker1: give each worker its own name"
    )


def test_the_same_bad_worker_on_all_hosts_is_one_problem(cluster: Cluster) -> None:
    put(cluster, "airflow_workers", [{"name": "a", "queues": ["q"], "concurrency": 0}])
    assert "on worker1, worker2, worker3:" in only(cluster)


def test_a_queue_that_no_worker_serves(cluster: Cluster) -> None:
    put(cluster, "airflow_required_queues", {"defualt": 1})
    assert only(cluster) == (
        "airflow_required_queues asks for 1 worker on the queue defualt, but none would serve it "
        "(did you mean default?): add the queue to the queues of more workers in airflow_workers, "
        "or lower the number"
    )


def test_a_queue_that_too_few_workers_serve(cluster: Cluster) -> None:
    put(
        cluster,
        "airflow_workers",
        [{"name": "big", "queues": ["default", "q1"], "concurrency": 2}],
        "worker1",
    )
    put(cluster, "airflow_required_queues", {"q1": 2, "default": 3})
    assert "asks for 2 workers on the queue q1, but only 1 (big on worker1) would serve it" in only(cluster)


def test_two_workers_of_one_host_serve_a_queue_twice(cluster: Cluster) -> None:
    workers = [{"name": name, "queues": ["q1"], "concurrency": 1} for name in ("a", "b")]
    put(cluster, "airflow_workers", workers, "worker1")
    put(cluster, "airflow_required_queues", {"q1": 2})
    assert find_problems(cluster) == []


def test_queues_required_for_one_group_only_count_as_well(cluster: Cluster) -> None:
    put(cluster, "airflow_required_queues", {"q9": 1}, "worker3")
    assert "on the queue q9, but none" in only(cluster)


@pytest.mark.parametrize("value", [["q1"], "q1", 3])
def test_required_queues_of_the_wrong_type(cluster: Cluster, value: Any) -> None:
    put(cluster, "airflow_required_queues", value)
    assert only(cluster).startswith("airflow_required_queues is not a dictionary on master1")


@pytest.mark.parametrize("value", [0, -1, "two", None, True])
def test_a_required_number_of_workers_that_is_none(cluster: Cluster, value: Any) -> None:
    put(cluster, "airflow_required_queues", {"default": value}, "master1")
    assert only(cluster).startswith(
        "airflow_required_queues has no whole number from 1 for default on master1"
    )
