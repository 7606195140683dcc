# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus is asked to read is what it takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.airflowops.cluster.plugins.plugin_utils.observability import (
    airflow_relabelling,
    exporter_endpoints,
    exporter_proxy,
    redis_relabelling,
    scrape_configs,
)
from prometheus_data import ALERTS, promtool

PARTS = {
    "redis_cluster": ["one", "two"],
    "etcd": ["one"],
    "postgres_metastore": ["one"],
    "airflow": ["one"],
    "service_endpoints": ["one"],
    "flower": ["one"],
    "nginx_lb": ["one"],
}


SETTINGS: dict[str, Any] = {
    "addresses": {"one": "10.0.0.1", "two": "10.0.0.2", "three": "fd00::3"},
    "ports": {"node": 9100, "redis": 9121, "postgres": 9187, "nginx": 9113, "haproxy": 8405, "etcd": 2381,
              "airflow": 9103},
    "observability_port": 9999,
    "redis_cluster_ports": [7000, 7001],
    "redis_tls": False,
    "postgres_metastore_patroni_port": 8008,
    "patroni": True,
    "flower_port": 5555,
}  # fmt: skip


HOSTVARS: dict[str, dict[str, Any]] = {
    "one": {},
    "two": {"redis_cluster_ports": [7002], "observability_exporter_ports": {"node": 9101}},
    "three": {},
}


def found(**settings: Any) -> dict[str, Any]:
    return exporter_endpoints(["one", "two", "three"], HOSTVARS, PARTS, {**SETTINGS, **settings})


def test_a_host_has_the_figures_of_its_parts() -> None:
    hosts = found()
    assert {*hosts["one"]["modules"]} == {
        "node", "haproxy", "airflow", "redis_7000", "redis_7001", "postgres", "patroni", "etcd", "nginx",
        "flower",
    }  # fmt: skip
    assert {*hosts["two"]["modules"]} == {"node", "redis_7002"}
    assert hosts["two"]["modules"]["node"]["http"]["port"] == 9101
    assert {*hosts["three"]["modules"]} == {"node"}


def test_redis_is_read_where_its_certificate_holds() -> None:
    assert found()["two"]["modules"]["redis_7002"]["http"]["path"] == "/scrape?target=redis://127.0.0.1:7002"
    path = found(redis_tls=True)["two"]["modules"]["redis_7002"]["http"]["path"]
    assert path == "/scrape?target=rediss://10.0.0.2:7002"


def test_one_metastore_has_no_patroni() -> None:
    assert "patroni" not in found(patroni=False)["one"]["modules"]


def test_all_figures_are_on_loopback_but_patronis() -> None:
    modules = exporter_proxy(found()["one"])["modules"]
    elsewhere = {name for name, module in modules.items() if module["http"]["address"] != "127.0.0.1"}
    assert elsewhere == {"patroni"}
    assert modules["patroni"]["http"]["scheme"] == "https"


def test_prometheus_takes_the_configuration(tmp_path: Path) -> None:
    configs = scrape_configs(found(), 15, "{airflow}:")
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml.safe_dump({"scrape_configs": configs, "rule_files": [str(ALERTS)]}))
    promtool("check", "config", file)
    targets = {
        (job["job_name"], target, entry["labels"]["instance"], entry["labels"]["__param_module"])
        for job in configs
        for entry in job["static_configs"]
        for target in entry["targets"]
    }
    assert ("redis", "10.0.0.2:9999", "two", "redis_7002") in targets
    assert ("node", "[fd00::3]:9999", "three", "node") in targets
    assert len(targets) == 13


def relabelled(rules: list[dict[str, Any]], labels: dict[str, str]) -> dict[str, str]:
    """What Prometheus makes of a series, by the actions that these rules use."""
    labels = dict(labels)
    for rule in rules:
        if rule.get("action") == "labeldrop":
            labels = {name: value for name, value in labels.items() if not re.fullmatch(rule["regex"], name)}
            continue
        joined = ";".join(labels.get(name, "") for name in rule["source_labels"])
        match = re.fullmatch(rule["regex"], joined)
        if rule.get("action") == "drop":
            if match:
                return {}
            continue
        if match:
            template = re.sub(r"\$\{?(\d+)\}?", r"\\g<\1>", rule.get("replacement", "$1"))
            labels[rule["target_label"]] = match.expand(template)
    return {name: value for name, value in labels.items() if value}


@pytest.mark.parametrize(
    ("family", "statsd", "expected"),
    [
        (
            "gauge",
            "airflow.dag_processing.import_errors",
            {"__name__": "airflow_dag_processing_import_errors"},
        ),
        (
            "gauge",
            "airflow.pool.open_slots,pool_name=default_pool",
            {"__name__": "airflow_pool_open_slots", "pool_name": "default_pool"},
        ),
        (
            "derive_total",
            "airflow.ti.finish,dag_id=a.b,task_id=t-1,state=success",
            {"__name__": "airflow_ti_finish_total", "dag_id": "a.b", "task_id": "t-1", "state": "success"},
        ),
        ("derive_total", "airflow.scheduler_heartbeat", {"__name__": "airflow_scheduler_heartbeat_total"}),
        # Prometheus knows no such name, and would take nothing at all of what comes with it.
        ("latency", "airflow.dagrun.dependency-check,dag_id=a-average", {}),
        (
            "latency",
            "airflow.task.duration,dag_id=a,task_id=b-percentile-95",
            {
                "__name__": "airflow_task_duration_seconds",
                "dag_id": "a",
                "task_id": "b",
                "stat": "percentile-95",
            },
        ),
        (
            "latency",
            "airflow.scheduler.scheduler_loop_duration-average",
            {"__name__": "airflow_scheduler_scheduler_loop_duration_seconds", "stat": "average"},
        ),
    ],
)
def test_airflows_figures_get_their_names_and_labels(
    family: str, statsd: str, expected: dict[str, str]
) -> None:
    series = {"__name__": f"collectd_statsd_{family}", "statsd": statsd, "exported_instance": "m1"}
    assert relabelled(airflow_relabelling(), series) == expected


def test_lists_of_the_broker_are_queues() -> None:
    rules = redis_relabelling("{airflow}:")
    series = {"__name__": "redis_key_size", "db": "db0", "key": "{airflow}:default"}
    assert relabelled(rules, series) == {"__name__": "airflow_queue_depth", "db": "db0", "queue": "default"}
    other = {"__name__": "redis_key_size", "db": "db0", "key": "other"}
    assert relabelled(rules, other) == other
