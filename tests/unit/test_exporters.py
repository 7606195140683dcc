# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which exporters and collectors a host has, and what they are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.airflowops.cluster.plugins.plugin_utils.observability import amtool_problems
from ansible_collections.airflowops.cluster.plugins.plugin_utils.roles import observability, units

VARS = Path(__file__).parents[2] / "roles/observability/vars/main/main.yml"
PATHS = yaml.safe_load(VARS.read_text(encoding="utf-8"))["__observability_paths"]
SETTINGS: dict[str, Any] = {
    "paths": PATHS,
    "host": "monitor1",
    "ports": observability.exporter_ports({}),
    "port": 9999,
    "networks": ["127.0.0.1/32"],
    "metastore_ca_file": "/etc/airflowops/metastore-ca.crt",
    "patroni": False,
    "redis_user": "airflow_monitor",
    "redis_ca_file": "",
    "queues": ["b c", "a"],
    "broker_prefix": "{airflow}:",
    "postgres_user": "airflow_monitor",
    "postgres_port": 5432,
    "monitors": False,
    "listen": "127.0.0.1",
    "prometheus_port": 9090,
    "alertmanager_port": 9093,
    "external_url": "",
    "retention_time": "30d",
    "retention_size": "10GB",
    "web": False,
}
NODE = ["prometheus-node-exporter.service", "prometheus-exporter-exporter.service"]


def by_unit(roles: list[str], **settings: Any) -> dict[str, dict[str, Any]]:
    return {unit["unit"]: unit for unit in observability.exporters(roles, {**SETTINGS, **settings})}


@pytest.mark.parametrize(
    ("roles", "names"),
    [
        (["airflow_master"], []),
        (["redis_cluster"], ["prometheus-redis-exporter.service"]),
        (
            ["redis_cluster", "postgres_metastore", "nginx_lb"],
            [
                "prometheus-redis-exporter.service",
                "prometheus-postgres-exporter.service",
                "prometheus-nginx-exporter.service",
            ],
        ),
    ],
)
def test_a_host_has_the_exporters_of_its_roles(roles: list[str], names: list[str]) -> None:
    assert [*by_unit(roles)] == [*NODE, *names]


def test_prometheus_runs_where_the_host_monitors() -> None:
    assert [*by_unit([], monitors=True)] == [
        *NODE,
        "prometheus.service",
        "prometheus-alertmanager.service",
    ]


def test_the_redis_exporter_reads_each_queue_and_no_password_is_an_argument() -> None:
    unit = by_unit(["redis_cluster"])["prometheus-redis-exporter.service"]
    assert "-check-single-keys=db0={airflow}:a,db0={airflow}:b%20c" in unit["arguments"]
    assert "-redis.password-file=${CREDENTIALS_DIRECTORY}/redis-monitor.json" in unit["arguments"]
    assert unit["credentials"] == ["/etc/airflowops/redis-monitor.json"]
    tls = by_unit(["redis_cluster"], redis_ca_file="/ca.crt")["prometheus-redis-exporter.service"]
    assert tls["files"] == ["/ca.crt"] and "-tls-ca-cert-file=/ca.crt" in tls["arguments"]


def test_the_proxy_lets_in_whom_it_is_told_and_knows_patroni_where_it_runs() -> None:
    unit = by_unit([], networks=["10.0.0.0/8", "192.0.2.1/32"])["prometheus-exporter-exporter.service"]
    assert unit["arguments"][-2:] == ["-allow.net=10.0.0.0/8", "-allow.net=192.0.2.1/32"]
    assert unit["environment"] == {}
    patroni = by_unit(["postgres_metastore"], patroni=True)["prometheus-exporter-exporter.service"]
    assert patroni["environment"] == {"SSL_CERT_FILE": "/etc/airflowops/metastore-ca.crt"}
    assert patroni["files"][-1] == "/etc/airflowops/metastore-ca.crt"


@pytest.mark.parametrize(
    ("url", "prometheus", "alertmanager"),
    [
        ("", "http://monitor1:9090", "http://monitor1:9093"),
        ("https://x.example.org", "https://x.example.org", "https://x.example.org:9093"),
        ("https://x.example.org:443", "https://x.example.org:443", "https://x.example.org:9093"),
    ],
)
def test_links_lead_to_the_servers(url: str, prometheus: str, alertmanager: str) -> None:
    found = by_unit([], monitors=True, external_url=url)
    assert f"--web.external-url={prometheus}" in found["prometheus.service"]["arguments"]
    assert f"--web.external-url={alertmanager}" in found["prometheus-alertmanager.service"]["arguments"]


def test_with_a_login_of_its_own_prometheus_alone_is_open() -> None:
    found = by_unit([], monitors=True, listen="192.0.2.61", web=True)
    assert "--web.listen-address=192.0.2.61:9090" in found["prometheus.service"]["arguments"]
    assert f"--web.config.file={PATHS['web']}" in found["prometheus.service"]["arguments"]
    assert "--web.listen-address=127.0.0.1:9093" in found["prometheus-alertmanager.service"]["arguments"]


def test_ports_of_the_user_count_and_what_is_no_dictionary_does_not() -> None:
    assert observability.exporter_ports({"node": 9200})["node"] == 9200
    assert observability.exporter_ports({"node": 9200})["redis"] == 9121
    assert observability.exporter_ports("") == observability.exporter_ports({})


def test_each_network_is_allowed_once() -> None:
    given = ["127.0.0.1", "192.0.2.1", "fd00::1", "10.0.0.0/8", "fd00::/8", "192.0.2.1"]
    assert observability.allowed_networks(given) == [
        *("127.0.0.1/32", "192.0.2.1/32", "fd00::1/128", "10.0.0.0/8", "fd00::/8"),
    ]


def test_the_password_goes_to_instances_of_this_host() -> None:
    modules = {
        "node": {"job": "node", "http": {"path": "/metrics"}},
        "redis_7000": {"job": "redis", "http": {"path": "/scrape?target=redis://127.0.0.1:7000"}},
    }
    assert observability.redis_exporter_passwords(modules, "monitor", "secret") == {
        "redis://127.0.0.1:7000": "secret",
        "redis://monitor@127.0.0.1:7000": "secret",
    }


# --- Collectors


def test_a_collector_runs_as_who_may_see_what_it_reads() -> None:
    settings = {"interval": 30, "redis_group": "valkey", "redis_tls": True, "keeps_backups": True}
    assert observability.collectors(["redis_cluster", "postgres_metastore"], settings) == [
        {"look": "host", "user": "prometheus", "groups": ["postgres", "valkey"], "interval": 30},
        {"look": "backup", "user": "postgres", "groups": ["prometheus"], "interval": 300},
    ]
    plain = {**settings, "redis_tls": False, "keeps_backups": False}
    assert observability.collectors(["redis_cluster"], plain)[0]["groups"] == []


def test_a_collector_reads_what_concerns_the_roles_of_its_host() -> None:
    settings = {
        "metastore_certificates": ["/m.crt"],
        "redis_certificates": ["/r.crt"],
        "certificates": ["/own.crt"],
        "base_url": "https://airflow.example.org/sub",
        "https_port": 443,
        "front_tls": True,
        "api_port": 8080,
    }
    assert observability.collector_inputs(["flower"], settings) == {
        "certificates": ["/own.crt"],
        "front": "",
        "airflow": "",
    }
    everything = ["redis_cluster", "postgres_metastore", "airflow_master", "nginx_lb"]
    assert observability.collector_inputs(everything, settings) == {
        "certificates": ["/m.crt", "/r.crt", "/own.crt"],
        "front": "https://airflow.example.org:443",
        "airflow": "http://127.0.0.1:8080/sub/api/v2/monitor/health",
    }


def test_units_restart_for_their_files_and_reload_for_what_they_take_over() -> None:
    found = observability.observability_units(
        [{"unit": "a.service", "files": ["/f"], "credentials": ["/c"], "reload_files": ["/r"]}],
        [{"look": "host"}],
        ["/collectd.conf"],
    )
    assert found == [
        {"name": "a.service", "restart_files": ["/f", "/c"], "reload_files": ["/r"]},
        {"name": "cluster-metrics-host.timer"},
        {"name": "airflow-metrics.service", "restart_files": ["/collectd.conf"]},
    ]
    assert observability.observability_units([], []) == []


# --- Units that are expected


def test_the_units_of_a_host_are_those_of_its_roles() -> None:
    settings = {
        "redis_ports": [7000, 7001],
        "workers": [{"name": "q1"}],
        "many_metastores": False,
        "keeps_backups": False,
    }
    assert units.expected_units(["redis_cluster", "postgres_metastore", "airflow_worker"], settings) == [
        "redis-cluster@7000.service",
        "redis-cluster@7001.service",
        "airflow-task-logs.service",
        "airflow-worker@q1.service",
    ]
    kept = {**settings, "many_metastores": True, "keeps_backups": True}
    assert units.expected_units(["etcd", "postgres_metastore"], kept) == [
        *("etcd.service", "patroni.service", "metastore-backup-full.timer", "metastore-backup-incr.timer"),
    ]


def test_what_amtool_refuses_is_reported_without_its_values() -> None:
    said = "Checking...  FAILED: yaml: cannot unmarshal `geheim` into\n  route"
    (problem,) = amtool_problems({"rc": 1, "stdout": said})
    assert "(yaml: cannot unmarshal ... into route)" in problem and "geheim" not in problem
    assert amtool_problems({"rc": 0, "stdout": ""}) == amtool_problems({"skipped": True}) == []
