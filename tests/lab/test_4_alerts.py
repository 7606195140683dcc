# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults are made, their alerts fire, and clear when all is fixed.

In a lab of ten hosts, three of which keep the metastore, with a host in the group `monitoring` and alerts
that wait for seconds: --also an inventory with those groups and `observability_alert_for: {"*": 5s}`.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import NamedTuple

import pytest
from lab import Lab, wait_until
from metastore import members
from monitoring import Monitoring
from test_2_verify import redis_info
from test_4_health import FAULTS

pytestmark = [pytest.mark.topology("multi_node"), pytest.mark.usefixtures("long")]
MASTERS, WORKERS, METASTORE = "airflow_master", "airflow_worker", "postgres_metastore"
# The repository of the backups and what reads it, and a backup that fails and is not tried again.
REPOSITORY = "/var/lib/pgbackrest/backup"
BACKUP = "metastore-backup@lab.service"
FAILING_BACKUP = (
    f"sh -c 'mkdir -p /run/systemd/system/{BACKUP}.d"
    r' && printf "[Service]\nRestart=no\nExecStart=\nExecStart=/bin/false\n"'
    f" > /run/systemd/system/{BACKUP}.d/lab.conf && systemctl daemon-reload && ! systemctl start {BACKUP}'"
)
NO_BACKUP = (
    f"sh -c 'systemctl reset-failed {BACKUP}; rm -r /run/systemd/system/{BACKUP}.d; systemctl daemon-reload'"
)
CERTIFICATE = "/etc/airflowops/metastore/tls"
PROMETHEUS = "/etc/prometheus/prometheus.yml"
BROKEN_DAG = "/opt/airflow/dags/broken_for_test.py"
LOOK = "systemctl start cluster-metrics-host"


class Fault(NamedTuple):
    host: str
    make: str
    undo: str


def stopped(host: str, units: str) -> Fault:
    return Fault(host, f"systemctl stop {units}", f"systemctl start {units}")


def parts_of_airflow(lab: Lab) -> tuple[list[Fault], set[str]]:
    """The last of each kind; a queue's only worker; Flower's only host."""
    parts = "airflow-scheduler airflow-dag-processor airflow-triggerer"
    faults = [stopped(host, parts) for host in lab.group(MASTERS)]
    faults += [
        stopped(lab.group(WORKERS)[0], "airflow-worker@q1"),
        stopped(lab.group("flower")[0], "flower"),
    ]
    return faults, {
        "NoSchedulerHeartbeat", "NoDagProcessorHeartbeat", "TriggererGone", "UnitNotRunning",
        "NoWorkerOnQueue", "BackendWithoutServer",
    }  # fmt: skip


def single_things(lab: Lab) -> tuple[list[Fault], set[str]]:
    """What has nothing to do with each other."""
    master, metastore = lab.group(MASTERS)[0], lab.group(METASTORE)
    monitor = lab.group("monitoring")[0]
    reload = "systemctl kill --signal=HUP prometheus"
    faults = [
        Fault(
            master,
            "systemd-run --wait --unit=airflow-lab false || true",
            "systemctl reset-failed airflow-lab",
        ),
        stopped(lab.group("nginx_lb")[0], "nginx"),
        stopped(lab.group(MASTERS)[1], "airflow-api-server"),
        Fault(
            master,
            f"sh -c 'echo import nothing_of_that_name, airflow.dag >{BROKEN_DAG}'",
            f"rm {BROKEN_DAG}",
        ),
        stopped(metastore[1], "prometheus-postgres-exporter"),
        Fault(
            metastore[0],
            f"sh -c 'mv {REPOSITORY} {REPOSITORY}.lab && systemctl start cluster-metrics-backup'",
            f"sh -c 'rm -rf {REPOSITORY}; mv {REPOSITORY}.lab {REPOSITORY}"
            " && systemctl start cluster-metrics-backup'",
        ),
        Fault(metastore[0], FAILING_BACKUP, NO_BACKUP),
        Fault(
            metastore[0],
            f"sh -c 'cp -a {CERTIFICATE}.crt {CERTIFICATE}.lab && openssl req -x509 -days 3 -subj /CN=lab"
            f" -key {CERTIFICATE}.key > {CERTIFICATE}.crt && {LOOK}'",
            f"sh -c 'mv {CERTIFICATE}.lab {CERTIFICATE}.crt && {LOOK}'",
        ),
        Fault(
            metastore[2],
            f"sh -c 'chmod 0600 /etc/airflowops/metastore-ca.crt && {LOOK}'",
            f"sh -c 'chmod 0644 /etc/airflowops/metastore-ca.crt && {LOOK}'",
        ),
        Fault(
            monitor,
            f"sh -c 'cp -a {PROMETHEUS} {PROMETHEUS}.lab && echo nonsense: >>{PROMETHEUS} && {reload}'",
            f"sh -c 'mv {PROMETHEUS}.lab {PROMETHEUS} && {reload}'",
        ),
    ]  # fmt: skip
    return faults, {
        "UnitFailed", "NginxDown", "ApiServerDown", "ImportErrors", "ExporterDown", "BackupTooOld",
        "BackupFailed", "CertificateEnding", "CollectorBlind", "ConfigurationNotLoaded",
    }  # fmt: skip


def a_copy_of_the_broker(lab: Lab) -> tuple[list[Fault], set[str]]:
    info = redis_info(lab, key="{airflow}:x")
    owner = info["owner_of"]
    (copy,) = [node for node in info["topology"] if node.get("master_id") == owner["id"]]
    name = {lab.address(host): host for host in lab.group("redis_cluster")}
    login = f"env REDISCLI_AUTH={shlex.quote(lab.secret('redis'))} redis-cli -p {owner['port']}"
    host = name[owner["host"]]
    said = lab.host(host).check_output(f"{login} config get maxmemory").split()[-1]
    used = lab.host(host).check_output(f"{login} info memory | sed -n 's/^used_memory:\\([0-9]*\\).*/\\1/p'")
    faults = [
        stopped(name[copy["host"]], f"redis-cluster@{copy['port']}"),
        Fault(
            host,
            f"{login} config set maxmemory {int(used) * 11 // 10}",
            f"{login} config set maxmemory {said}",
        ),
        # Beside it, as Redis does not mind. HAProxy that runs would hold who comes until there is a primary,
        # and what is only stopped is started again by the next part of Airflow.
        Fault(lab.group(MASTERS)[1], FAULTS["haproxy"].make, FAULTS["haproxy"].undo),
    ]
    return faults, {"RedisDown", "SlotOwnerWithoutReplica", "RedisMemoryShort", "AirflowWithoutMetastore"}


def most_of_the_broker(lab: Lab) -> tuple[list[Fault], set[str]]:
    faults = [
        stopped(host, "redis-cluster@7000 redis-cluster@7001") for host in lab.group("redis_cluster")[:2]
    ]
    return faults, {"RedisClusterNotOk", "NoSlotOwner", "RedisDown"}


def copies_of_the_metastore(lab: Lab) -> tuple[list[Fault], set[str]]:
    seen = members(lab, lab.group(METASTORE))
    of_role = {entry["role"]: name for name, entry in seen.items()}
    # Of what replays the WAL: Patroni goes on with what was only asked to pause.
    replay = "pkill --signal={} --uid=postgres --full 'startup recovering'"
    # Nine of ten, with those that there are.
    many = """if True:
        import psycopg2, time
        held = [psycopg2.connect("dbname=postgres")]
        cursor = held[0].cursor()
        cursor.execute("SELECT current_setting('max_connections')::int, count(*) FROM pg_stat_activity")
        most, now = cursor.fetchone()
        held += [psycopg2.connect("dbname=postgres") for _ in range(most * 9 // 10 - now)]
        time.sleep(900)"""
    faults = [
        stopped(of_role["replica"], "patroni"),
        Fault(of_role["sync_standby"], replay.format("STOP"), replay.format("CONT")),
        Fault(
            of_role["leader"],
            f"systemd-run --unit=lab-connections --property=User=postgres python3 -c {shlex.quote(many)}",
            "systemctl stop lab-connections",
        ),
    ]
    return faults, {"MetastoreDown", "MetastoreCopyMissing", "ReplicationLag", "MetastoreConnectionsShort"}


def the_metastore(lab: Lab) -> tuple[list[Fault], set[str]]:
    hosts = lab.group(METASTORE)
    # etcd comes back first: what was made last is undone first.
    faults = [stopped(host, "patroni") for host in hosts] + [stopped(host, "etcd") for host in hosts[:2]]
    return faults, {"NoPrimary", "MetastoreDown", "ApiServerDown", "EtcdWithoutMajority"}


@pytest.fixture(autouse=True)
def three_metastores(lab: Lab) -> None:
    if len(lab.group(METASTORE)) != 3:
        pytest.skip("needs three hosts of the metastore")


def fire_and_clear(lab: Lab, monitoring: Monitoring, faults: list[Fault], alerts: set[str]) -> None:
    def firing() -> set[str]:
        return alerts & {*monitoring.firing()}

    def until(wanted: set[str], timeout: float) -> None:
        with suppress(AssertionError):
            wait_until(f"{wanted or 'none'} fire", lambda: firing() == wanted, timeout=timeout, poll=2)
        assert firing() == wanted

    until(set(), 120)
    with ExitStack() as made:
        for fault in faults:
            made.callback(lab.host(fault.host).run_expect, [0], fault.undo)
            lab.host(fault.host).run_expect([0], fault.make)
        until(alerts, 420)
    until(set(), 300)


@pytest.mark.parametrize(
    "of",
    [
        parts_of_airflow,
        single_things,
        a_copy_of_the_broker,
        most_of_the_broker,
        copies_of_the_metastore,
        the_metastore,
    ],
)
def test_alerts_fire_and_clear(
    lab: Lab, monitoring: Monitoring, of: Callable[[Lab], tuple[list[Fault], set[str]]]
) -> None:
    fire_and_clear(lab, monitoring, *of(lab))


def test_a_host_is_off_and_a_queue_grows(lab: Lab, monitoring: Monitoring) -> None:
    """A task waits for the queue's only worker, while the others have nothing to do."""
    off = lab.group(WORKERS)[-1]
    lab.airflow.patch("dags/hello_world2", {"is_paused": False})
    lab.podman("kill", [off], "--signal=KILL")
    try:
        path = "dags/hello_world2/dagRuns"
        worker = stopped(lab.group(WORKERS)[0], "airflow-worker@q1")
        lab.host(worker.host).run_expect([0], worker.make)
        run = lab.airflow.post(path, {"logical_date": None})["dag_run_id"]
        fire_and_clear(lab, monitoring, [worker], {"QueueGrowing"})
        assert "HostDown" in monitoring.firing()
    finally:
        lab.podman("start", [off])
    wait_until("it clears", lambda: "HostDown" not in monitoring.firing(), timeout=300, poll=2)
    wait_until("the run is done", lambda: lab.airflow.get(f"{path}/{run}")["state"] == "success", timeout=120)
