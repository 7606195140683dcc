# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus is told to read is what it takes, and each alert fires for its fault alone.

promtool and amtool are those of the distribution.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import re
import socket
import ssl
import subprocess
import threading
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.airflowops.cluster.plugins.plugin_utils.observability import (
    airflow_relabelling,
    alert_rules,
    alertmanager_problems,
    exporter_proxy,
    figures,
    input_problems,
    redis_relabelling,
    scrape_configs,
)

ROLE = Path(__file__).parents[2] / "roles/observability"
ALERTS = ROLE / "files/alerts.yml"
GROUPS = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
RULES = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
DASHBOARDS = sorted((ROLE / "files/dashboards").glob("*.json"))

DAY = 86400
UNIT = 'node_systemd_unit_state{instance="w1",name="airflow-worker@q1.service",state="active"}'
QUEUE = 'airflowops_worker_queue{instance="w1",name="airflow-worker@q1.service",queue="default"}'
DEPTH = 'airflow_queue_depth{instance="r1",port="7000",queue="default"}'
BUSY = 'flower_worker_number_of_currently_executing_tasks{worker="q1@w1"}'
BEAT = 'airflowops_heartbeat_timestamp_seconds{instance="m1",component="%s"}'
FREE = 'node_filesystem_avail_bytes{instance="w1",mountpoint="/",fstype="ext4"}'
SIZE = 'node_filesystem_size_bytes{instance="w1",mountpoint="/",fstype="ext4"}'
FAILED = 'node_systemd_unit_state{instance="h1",name="%s",state="failed"}'
CLOCK = 'node_time_seconds{instance="w1"}'
PATCH = 'airflowops_patch_not_on{instance="m1",name="flower.service",patch="x",state="%s"}'
REPLICA = 'airflowops_metastore_is_replica{instance="%s"}'
ETCD = 'etcd_server_has_leader{instance="%s",job="etcd"}'
UP = 'up{instance="%s",job="%s"}'
# promtool's clock begins at 0: a heartbeat that stays at 0 grows old, one that steps with the clock does not.
STANDS, BEATS = "0x600", "0+60x600"
# Of each alert: series with which it fires, and series with which it does not. A value a minute; looked at
# after five hours.
CASES: dict[str, tuple[dict[str, str], ...]] = {
    "HostDown": (
        {UP % ("w1", "node"): "0x600"},
        {UP % ("w1", "node"): "1x600", UP % ("w1", "redis"): "0x600"},
    ),
    "ExporterDown": (
        {UP % ("w1", "node"): "1x600", UP % ("w1", "redis"): "0x600"},
        {UP % ("w1", "node"): "0x600", UP % ("w1", "redis"): "0x600"},
    ),
    "UnitNotRunning": (
        {'airflowops_unit_expected{instance="w1",name="airflow-worker@q1.service"}': "1x600", UNIT: "0x600"},
        {'airflowops_unit_expected{instance="w1",name="airflow-worker@q1.service"}': "1x600", UNIT: "1x600"},
    ),
    "UnitFailed": (
        {FAILED % "airflow-clean.service": "1x600"},
        {FAILED % "airflow-clean.service": "0x600", FAILED % "metastore-backup@full.service": "1x600"},
    ),
    "DiskRunningOut": ({FREE: "5x600", SIZE: "100x600"}, {FREE: "50x600", SIZE: "100x600"}),
    "DiskFullWithinADay": ({FREE: "39-0.05x600", SIZE: "100x600"}, {FREE: "39-0.01x600", SIZE: "100x600"}),
    "MemoryShort": (
        {
            'node_memory_MemAvailable_bytes{instance="w1"}': "5x600",
            'node_memory_MemTotal_bytes{instance="w1"}': "100x600",
        },
        {
            'node_memory_MemAvailable_bytes{instance="w1"}': "50x600",
            'node_memory_MemTotal_bytes{instance="w1"}': "100x600",
        },
    ),
    "ClockOff": ({CLOCK: "10+60x600"}, {CLOCK: "1+60x600"}),
    "ClockNotKept": (
        {'node_timex_sync_status{instance="w1"}': "0x600"},
        {'node_timex_sync_status{instance="w1"}': "1x600"},
    ),
    "CertificateEnding": (
        {'airflowops_certificate_end_timestamp_seconds{instance="h1",path="/c"}': f"{20 * DAY}x600"},
        {'airflowops_certificate_end_timestamp_seconds{instance="h1",path="/c"}': f"{60 * DAY}x600"},
    ),
    "PatchSkipped": ({PATCH % "skipped": "1x600"}, {PATCH % "off": "1x600"}),
    "CollectorBlind": (
        {'airflowops_look_failed{instance="h1",part="backup"}': "1x600"},
        {'airflowops_look_timestamp_seconds{instance="h1",look="host"}': STANDS},
        {
            'airflowops_look_failed{instance="h1",part="backup"}': "0x600",
            'airflowops_look_timestamp_seconds{instance="h1",look="host"}': BEATS,
        },
    ),
    "NoSchedulerHeartbeat": (
        {BEAT % "scheduler": STANDS, BEAT % "triggerer": BEATS},
        {BEAT % "scheduler": BEATS, BEAT % "triggerer": STANDS},
    ),
    "NoDagProcessorHeartbeat": ({BEAT % "dag_processor": STANDS}, {BEAT % "dag_processor": BEATS}),
    "TriggererGone": ({BEAT % "triggerer": STANDS}, {BEAT % "triggerer": BEATS}),
    "ApiServerDown": (
        {'airflowops_api_up{instance="m1"}': "0x600"},
        {'airflowops_api_up{instance="m1"}': "1x600"},
    ),
    "AirflowWithoutMetastore": (
        {'airflowops_component_healthy{instance="m1",component="metadatabase"}': "0x600"},
        {'airflowops_component_healthy{instance="m1",component="scheduler"}': "0x600"},
    ),
    "ImportErrors": (
        {'airflow_dag_processing_import_errors{instance="m1"}': "2x600"},
        {'airflow_dag_processing_import_errors{instance="m1"}': "0x600"},
    ),
    "NoWorkerOnQueue": (
        {QUEUE: "1x600", UNIT: "0x600"},
        # Its host is gone, and its figures with it.
        {QUEUE: "1x200 stale", UNIT: "1x200 stale"},
        {QUEUE: "1x600", UNIT: "1x600"},
        {
            QUEUE: "1x600",
            UNIT: "0x600",
            QUEUE.replace("w1", "w2"): "1x600",
            UNIT.replace("w1", "w2"): "1x600",
        },
    ),
    "QueueGrowing": (
        {DEPTH: "0+1x600", BUSY: "0x600"},
        {DEPTH: "0+1x600", BUSY: "4x600"},
        # A queue that empties.
        {DEPTH: "5x296 0x1 5x300", BUSY: "0x600"},
    ),
    "QueueWaits": ({DEPTH: "3x600"}, {DEPTH: "3x280 0x3 3x300"}),
    "RedisDown": (
        {'redis_up{instance="r1",port="7000"}': "0x600"},
        {'redis_up{instance="r1",port="7000"}': "1x600"},
    ),
    "RedisClusterNotOk": (
        {'redis_up{instance="r1"}': "1x600", 'redis_cluster_state{instance="r1"}': "0x600"},
        {'redis_up{instance="r1"}': "0x600"},
        {
            'redis_up{instance="r1"}': "1x600",
            'redis_cluster_state{instance="r1"}': "1x600",
            # One that was cut off does not count.
            'redis_cluster_state{instance="r2"}': "0x600",
        },
    ),
    "NoSlotOwner": (
        {'redis_up{instance="r1"}': "1x600"},
        {'redis_up{instance="r1"}': "1x600", DEPTH: "0x600"},
    ),
    "SlotOwnerWithoutReplica": (
        {
            DEPTH: "0x600",
            'redis_connected_slaves{instance="r1",port="7000"}': "0x600",
            'airflowops_redis_replicas_expected{instance="r1"}': "1x600",
        },
        {
            DEPTH: "0x600",
            'redis_connected_slaves{instance="r1",port="7000"}': "1x600",
            # Another one, which holds no queues.
            'redis_connected_slaves{instance="r1",port="7001"}': "0x600",
            'airflowops_redis_replicas_expected{instance="r1"}': "1x600",
        },
        {
            DEPTH: "0x600",
            'redis_connected_slaves{instance="r1",port="7000"}': "0x600",
            'airflowops_redis_replicas_expected{instance="r1"}': "0x600",
        },
    ),
    "RedisMemoryShort": (
        {
            'redis_memory_used_bytes{instance="r1"}': "90x600",
            'redis_memory_max_bytes{instance="r1"}': "100x600",
        },
        {
            'redis_memory_used_bytes{instance="r1"}': "90x600",
            'redis_memory_max_bytes{instance="r1"}': "0x600",
        },
    ),
    "MetastoreDown": ({'pg_up{instance="d1"}': "0x600"}, {'pg_up{instance="d1"}': "1x600"}),
    "NoPrimary": (
        {UP % ("d1", "postgres"): "1x600", REPLICA % "d1": "1x600"},
        {UP % ("d1", "postgres"): "0x600"},
        {UP % ("d1", "postgres"): "1x600", REPLICA % "d1": "0x600", REPLICA % "d2": "1x600"},
    ),
    "TwoPrimaries": (
        {REPLICA % "d1": "0x600", REPLICA % "d2": "0x600"},
        {REPLICA % "d1": "0x600", REPLICA % "d2": "1x600"},
    ),
    "ReplicationLag": (
        {'airflowops_metastore_lag_seconds{instance="d2"}': "120x600", REPLICA % "d2": "1x600"},
        {'airflowops_metastore_lag_seconds{instance="d2"}': "120x600", REPLICA % "d2": "0x600"},
    ),
    "MetastoreCopyMissing": (
        {
            'airflowops_metastore_hosts{instance="d1"}': "3x600",
            REPLICA % "d1": "0x600",
            REPLICA % "d2": "1x600",
        },
        {'airflowops_metastore_hosts{instance="d1"}': "1x600", REPLICA % "d1": "0x600"},
    ),
    "MetastoreConnectionsShort": (
        {
            'pg_stat_database_numbackends{instance="d1",datname="airflow"}': "95x600",
            'pg_max_connections{instance="d1"}': "100x600",
        },
        {
            'pg_stat_database_numbackends{instance="d1",datname="airflow"}': "40x600",
            'pg_max_connections{instance="d1"}': "100x600",
        },
    ),
    "EtcdWithoutMajority": (
        {ETCD % "d1": "0x600", UP % ("d1", "etcd"): "1x600"},
        {
            UP % ("d1", "etcd"): "0x600",
            UP % ("d2", "etcd"): "0x600",
            UP % ("d3", "etcd"): "1x600",
            ETCD % "d3": "1x600",
        },
        {
            UP % ("d1", "etcd"): "0x600",
            UP % ("d2", "etcd"): "1x600",
            UP % ("d3", "etcd"): "1x600",
            ETCD % "d3": "1x600",
        },
    ),
    "BackupTooOld": (
        {'airflowops_backup_end_timestamp_seconds{instance="d1",type="any"}': f"-{2 * DAY}x600"},
        {'airflowops_backup_repository_ok{instance="d1"}': "0x600"},
        {
            'airflowops_backup_end_timestamp_seconds{instance="d1",type="any"}': "0x600",
            # The last full backup may be older.
            'airflowops_backup_end_timestamp_seconds{instance="d1",type="full"}': f"-{6 * DAY}x600",
            'airflowops_backup_repository_ok{instance="d1"}': "1x600",
        },
    ),
    "BackupFailed": (
        {FAILED % "metastore-backup@incr.service": "1x600"},
        {FAILED % "metastore-backup@incr.service": "0x600", FAILED % "nginx.service": "1x600"},
    ),
    "BackendWithoutServer": (
        {'haproxy_backend_active_servers{instance="w1",proxy="broker"}': "0x600"},
        {'haproxy_backend_active_servers{instance="w1",proxy="broker"}': "1x600"},
    ),
    "NginxDown": ({'nginx_up{instance="f1"}': "0x600"}, {'nginx_up{instance="f1"}': "1x600"}),
    "ConfigurationNotLoaded": (
        {'prometheus_config_last_reload_successful{instance="x"}': "0x600"},
        {'alertmanager_config_last_reload_successful{instance="x"}': "0x600"},
        {'prometheus_config_last_reload_successful{instance="x"}': "1x600"},
    ),
    "AlertsNotSent": (
        {'alertmanager_notifications_failed_total{instance="x",integration="email"}': "0+5x600"},
        {'alertmanager_notifications_failed_total{instance="x",integration="email"}': "5x600"},
    ),
}
# How many of the cases of an alert fire, where it is not the first alone.
FIRING = {
    "BackupTooOld": 2,
    "CollectorBlind": 2,
    "ConfigurationNotLoaded": 2,
    "EtcdWithoutMajority": 2,
    "NoPrimary": 2,
    "NoWorkerOnQueue": 2,
    "RedisClusterNotOk": 2,
}


def promtool(*arguments: str | Path) -> None:
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_cases() -> None:
    assert {*CASES} == {*RULES}


@pytest.mark.parametrize("alert", sorted(CASES))
def test_an_alert_fires_for_its_fault_alone(alert: str, tmp_path: Path) -> None:
    tests = [
        {
            "name": f"{alert} {number}",
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [
                {
                    "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) > bool 0',
                    "eval_time": "5h",
                    "exp_samples": [{"labels": "{}", "value": 1}] if number < FIRING.get(alert, 1) else [],
                }
            ],
        }
        for number, series in enumerate(CASES[alert])
    ]
    # By itself: the others would take most of the time.
    rule = tmp_path / "rule.yml"
    rule.write_text(yaml.safe_dump({"groups": [{"name": "one", "rules": [RULES[alert]]}]}))
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(rule)], "evaluation_interval": "1m", "tests": tests}))
    promtool("test", "rules", file)


@pytest.mark.parametrize("alert", sorted(RULES))
def test_an_alert_names_cause_and_mend(alert: str) -> None:
    rule = RULES[alert]
    assert {*rule["annotations"]} == {"summary", "cause", "mend"}
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["for"]


def test_alerts_are_told_in_the_documentation() -> None:
    page = (ROLE.parents[1] / "docs/observability.md").read_text(encoding="utf-8")
    assert [alert for alert in RULES if f"`{alert}`" not in page] == []


# --- What is read


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
    return figures(["one", "two", "three"], HOSTVARS, PARTS, {**SETTINGS, **settings})


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


# --- Inputs


def test_alerts_as_the_inputs_want_them() -> None:
    rules = alert_rules(
        GROUPS, {"*": "10s", "HostDown": "1h"}, ["MemoryShort"], [{"name": "own", "rules": []}]
    )
    made = {rule["alert"]: rule for group in rules["groups"][:-1] for rule in group["rules"]}
    assert {*made} == {*RULES} - {"MemoryShort"}
    assert (made["HostDown"]["for"], made["NginxDown"]["for"]) == ("1h", "10s")
    assert rules["groups"][-1]["name"] == "own"
    assert alert_rules(GROUPS, {}, [])["groups"] == GROUPS


HASH = "$2y$10$" + "a" * 53
GOOD = {
    "observability_allow": ["10.0.0.5", "10.1.0.0/16", "fd00::/8"],
    "observability_alert_for": {"*": "1m30s", "HostDown": "0"},
    "observability_alerts_off": ["MemoryShort"],
    "observability_listen": "127.0.0.1",
    "observability_web_config": {},
    "observability_alertmanager_config": {"route": {"receiver": "a"}, "receivers": [{"name": "a"}]},
}


def test_good_inputs_have_no_problem() -> None:
    assert input_problems(GOOD, [*RULES]) == []
    open_to_all = {
        "observability_listen": "0.0.0.0",
        "observability_web_config": {"basic_auth_users": {"ann": HASH}},
    }
    assert input_problems({**GOOD, **open_to_all}, [*RULES]) == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"observability_allow": ["everybody"]}, "names everybody, which is no address"),
        ({"observability_alert_for": {"HostDwn": "1m"}}, "names HostDwn, which is no alert"),
        ({"observability_alert_for": {"HostDown": "soon"}}, "has 'soon' for HostDown"),
        ({"observability_alerts_off": ["Memory"]}, "names Memory, which is no alert"),
        ({"observability_listen": "0.0.0.0"}, "without a login"),
        ({"observability_listen": "monitor.example.org"}, "is no IP address"),
        ({"observability_web_config": {"basic_auth_users": {"ann": "secret"}}}, "no bcrypt hash for ann"),
        ({"observability_alertmanager_config": {"receivers": []}}, "has no route with a receiver"),
        (
            {"observability_alertmanager_config": {
                "route": {"receiver": "a", "routes": [{"receiver": "b"}]}, "receivers": [{"name": "a"}]}},
            "sends alerts to b, which is none of its receivers",
        ),
    ],
)  # fmt: skip
def test_each_bad_input_is_told(values: dict[str, Any], words: str) -> None:
    problems = input_problems({**copy.deepcopy(GOOD), **values}, [*RULES])
    assert len(problems) == 1 and words in problems[0], problems
    assert ": " in problems[0]


def test_the_default_of_alertmanager_is_taken(tmp_path: Path) -> None:
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8"))
    config = defaults["observability_alertmanager_config"]
    assert alertmanager_problems(config) == []
    file = tmp_path / "alertmanager.yml"
    file.write_text(yaml.safe_dump(config))
    subprocess.run(["amtool", "check-config", str(file)], check=True, capture_output=True)


# --- The collector


def collector() -> Any:
    spec = importlib.util.spec_from_file_location("cluster_figures", ROLE / "files/cluster_figures.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def ten_days(tmp_path: Path) -> Path:
    """A folder with the certificate a.crt, which ends in ten days, and its key."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "10", "-subj", "/CN=a", "-keyout", tmp_path / "key", "-out", tmp_path / "a.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    return tmp_path


def test_a_certificate_and_its_end(ten_days: Path) -> None:
    ((_name, labels, end),) = collector().certificates([str(ten_days / "a.crt"), str(ten_days / "none")])
    assert labels == {"path": str(ten_days / "a.crt")}
    assert abs(
        datetime.now(timezone.utc) + timedelta(days=10) - datetime.fromtimestamp(end, timezone.utc)
    ) < timedelta(minutes=5)


def test_the_end_of_the_certificate_that_is_shown(ten_days: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(ten_days / "a.crt", ten_days / "key")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://a.example.org:{listener.getsockname()[1]}"

        def answer() -> None:
            with suppress(OSError):
                context.wrap_socket(listener.accept()[0], server_side=True).close()

        server = threading.Thread(target=answer)
        server.start()
        try:
            ((_name, labels, end),) = collector().shown(url)
        finally:
            server.join(10)
    assert labels == {"path": url}
    ((_name, _labels, in_file),) = collector().certificates([str(ten_days / "a.crt")])
    assert end == in_file
    assert collector().shown("") == []


def test_heartbeats_are_read_of_airflows_health() -> None:
    health = {
        "metadatabase": {"status": "healthy"},
        "scheduler": {"status": "unhealthy", "latest_scheduler_heartbeat": "1970-01-01T00:01:40.5Z"},
        "triggerer": {"status": None, "latest_triggerer_heartbeat": None},
    }
    assert collector().components(health) == [
        ("airflowops_component_healthy", {"component": "metadatabase"}, 1.0),
        ("airflowops_component_healthy", {"component": "scheduler"}, 0.0),
        ("airflowops_heartbeat_timestamp_seconds", {"component": "scheduler"}, 100.5),
    ]


def test_backups_of_each_kind_and_the_newest_of_all() -> None:
    def backup(kind: str, stop: int, **more: Any) -> dict[str, Any]:
        return {"type": kind, "timestamp": {"stop": stop}, "info": {"size": 7}, **more}

    stanza = {
        "status": {"code": 0},
        "backup": [backup("full", 1), backup("incr", 2), backup("incr", 3, error=True)],
    }
    ends = {
        labels["type"]: value
        for name, labels, value in collector().backups([stanza])
        if name == "airflowops_backup_end_timestamp_seconds"
    }
    assert ends == {"full": 1, "incr": 2, "any": 2}
    for none in ([{"status": {"code": 2}, "backup": []}], []):
        assert collector().backups(none) == [("airflowops_backup_repository_ok", {}, 0.0)]


def test_patches_that_a_service_runs_without_are_counted(tmp_path: Path) -> None:
    (tmp_path / "airflow-worker@q1").mkdir()
    states = {"a": "on", "b": "off", "c": "skipped", "d": "absent"}
    (tmp_path / "airflow-worker@q1/patches.json").write_text(
        json.dumps({name: {"state": state, "reason": ""} for name, state in states.items()})
    )
    found = [labels for _, labels, _ in collector().patches(str(tmp_path))]
    assert found == [
        {"name": "airflow-worker@q1.service", "patch": "b", "state": "off"},
        {"name": "airflow-worker@q1.service", "patch": "c", "state": "skipped"},
    ]
    assert collector().patches(str(tmp_path / "none")) == []


def test_what_it_writes_is_what_prometheus_reads() -> None:
    module = collector()
    text = module.text([("airflowops_look_failed", {"part": 'a"\\\n'}, 1), ("airflowops_api_up", {}, 0)])
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


# --- Dashboards


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_whole(path: Path) -> None:
    board = json.loads(path.read_text(encoding="utf-8"))
    assert board["uid"] == f"airflowops-{path.stem}"
    assert board["title"]
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["title"] and panel["datasource"]["uid"] == "${datasource}"
        assert all(target["expr"] for target in panel["targets"])
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24


def test_the_dashboards_are_there() -> None:
    assert [path.stem for path in DASHBOARDS] == ["airflow", "broker", "hosts", "metastore", "overview"]
