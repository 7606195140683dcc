# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each alert fires for its fault alone. promtool is that of the distribution."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from prometheus_data import ROLE, RULES, promtool

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
        # Its host is gone, and its metrics with it.
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
def test_an_alert_names_cause_and_fix(alert: str) -> None:
    rule = RULES[alert]
    assert {*rule["annotations"]} == {"summary", "cause", "fix"}
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["for"]


def test_every_alert_is_in_the_documentation() -> None:
    page = (ROLE.parents[1] / "docs/observability.md").read_text(encoding="utf-8")
    assert [alert for alert in RULES if f"`{alert}`" not in page] == []
