# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which broker an inventory asks for, and with which certificates, is judged before anything is changed."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.airflowops.cluster.plugins.filter.preflight import broker_facts
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.broker import broker_url_problem
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.checks import find_problems
from clusters import MULTI_NODE, Cluster, make_cluster, only, put, see

ELSEWHERE = "amqp://airflow:kA7rTq0ZlmW3@rabbit1:5672/airflow"


def use(cluster: Cluster, url: str, *hosts: str) -> Cluster:
    for host, entry in cluster["hosts"].items():
        entry["broker"] = broker_facts(url if not hosts or host in hosts else "")
    return cluster


def without_redis() -> Cluster:
    cluster = make_cluster({**MULTI_NODE, "redis_cluster": []})
    for entry in cluster["hosts"].values():
        entry["secrets"].update(
            redis_cluster_password="is missing", redis_cluster_broker_password="is missing"
        )
    return cluster


def test_another_broker_needs_neither_redis_nor_its_secrets() -> None:
    assert find_problems(use(without_redis(), ELSEWHERE)) == []


def test_no_broker_at_all() -> None:
    cluster = make_cluster({**MULTI_NODE, "redis_cluster": []})
    assert "another broker in airflow_broker_url" in only(use(cluster, ""))


def test_two_brokers() -> None:
    problem = only(use(make_cluster(MULTI_NODE), ELSEWHERE))
    assert problem.startswith(
        "airflow_broker_url names another broker, but the group redis_cluster has hosts"
    )
    assert "(redis1, redis2, redis3)" in problem


def test_a_broker_that_is_not_everybodys() -> None:
    cluster = use(make_cluster(MULTI_NODE), ELSEWHERE, "worker1")
    assert only(cluster) == "airflow_broker_url is set on worker1 alone: set it once, for all hosts"


def test_sentinel_has_to_be_told_the_masters_name() -> None:
    cluster = use(without_redis(), "sentinel://:kA7rTq0ZlmW3@s1:26379;sentinel://:kA7rTq0ZlmW3@s2:26379")
    assert "airflow_broker_transport_options has no master_name" in only(cluster)
    put(cluster, "airflow_broker_transport_options", {"master_name": "mymaster"})
    assert find_problems(cluster) == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        ELSEWHERE,
        "redis://:kA7rTq0ZlmW3@cache.example.org:6379/0",
        "rediss://user:kA7rTq0ZlmW3@cache.example.org:6379/0?ssl_cert_reqs=required",
        "sentinel://s1:26379;sentinel://s2:26379;sentinel://s3:26379",
        "sqs://",
        "sqs://AKIAEXAMPLEKEY:kA7rTq0ZlmW3@",
        "amqp://rabbit1",
    ],
)
def test_urls_that_celery_takes(url: str) -> None:
    assert broker_url_problem(url) == ""


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (None, "no text"),
        (" amqp://rabbit1", "blanks"),
        ("{{ vault_broker }}", "not rendered"),
        ("rabbit1:5672", "begins with rabbit1"),
        ("rabbit1", "begins with no scheme"),
        ("http://rabbit1", "begins with http"),
        ("kafka://k1:9092", "begins with kafka"),
        ("amqp:///airflow", "names no host"),
        ("amqp://rabbit1:port/airflow", "no valid port"),
        ("amqp://airflow:pass/word@rabbit1", "must be quoted"),
        ("amqp://airflow:changeme@rabbit1", "placeholder"),
    ],
)
def test_urls_that_celery_does_not_take(url: Any, reason: str) -> None:
    assert reason in broker_url_problem(url)


def test_no_password_is_told() -> None:
    facts = broker_facts("amqp://airflow:kA7rTq0ZlmW3/x@rabbit1")
    assert facts["problem"]
    assert "kA7rTq0ZlmW3" not in str(facts)


def test_debian_12_has_no_valkey() -> None:
    cluster = make_cluster(MULTI_NODE)
    put(cluster, "redis_cluster_flavor", "valkey")
    assert "on redis1, redis2, redis3, but Debian 12 has no Valkey" in only(cluster)
    see(cluster, "os", {"id": "debian", "version": "13", "name": "Debian GNU/Linux 13 (trixie)"})
    see(cluster, "pythons", ["3.13"])
    assert find_problems(cluster) == []


def test_tls_on_some_nodes() -> None:
    cluster = make_cluster(MULTI_NODE)
    put(cluster, "redis_cluster_tls", True, "redis1")
    assert "redis_cluster_tls differs between redis1, redis2, redis3" in only(cluster)


@pytest.mark.parametrize(
    ("given", "lacking"),
    [
        (["certificate"], "redis_cluster_tls_ca and redis_cluster_tls_private_key is missing"),
        (["certificate", "private_key"], "redis_cluster_tls_ca is missing on redis2"),
        (["ca"], "redis_cluster_tls_certificate and redis_cluster_tls_private_key"),
    ],
)
def test_half_a_certificate(given: list[str], lacking: str) -> None:
    cluster = make_cluster(MULTI_NODE)
    cluster["hosts"]["redis2"]["certificate"] = given
    assert lacking in only(cluster)
    cluster["hosts"]["redis2"]["certificate"] = ["certificate", "private_key", "ca"]
    assert find_problems(cluster) == []


def test_our_settings_of_celery_cannot_be_replaced_by_accident() -> None:
    cluster = make_cluster(MULTI_NODE)
    put(cluster, "airflow_config", {"celery": {"extra_celery_config": "{}"}}, "master1")
    assert "put your settings into airflow_celery_config" in only(cluster)
