# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""With a host in the group `monitoring`: Prometheus reads what it should, and the dashboards find data."""

from __future__ import annotations

import json
import re
from contextlib import suppress

import pytest
from lab import ROOT, Lab, wait_until
from monitoring import Monitoring

DASHBOARDS = sorted((ROOT / "roles/observability/files/dashboards").glob("*.json"))
ONE_METASTORE = r"patroni_|etcd_"
# Queries that a healthy lab may have no data for, each with the reason.
NO_DATA = {
    ONE_METASTORE: "one host keeps the metastore: no Patroni, no etcd",
    r"redis_memory_max_bytes > 0": "a Redis whose memory has no limit",
    r"airflow_task_|airflow_ti_finish|airflow_scheduler_scheduler_loop": "no task has run lately",
}
# A container has the clock and the memory of its machine.
OF_THE_MACHINE = {"ClockNotKept", "MemoryShort", "DiskRunningOut", "DiskFullWithinADay"}


def test_all_targets_are_up(monitoring: Monitoring, lab: Lab) -> None:
    targets = monitoring.ask("/api/v1/targets")["data"]["activeTargets"]
    assert {target["labels"]["instance"] for target in targets if target["labels"]["job"] == "node"} == {
        *lab.hosts
    }

    def down() -> list[str]:
        targets = monitoring.ask("/api/v1/targets")["data"]["activeTargets"]
        return [f"{t['scrapeUrl']}: {t['lastError']}" for t in targets if t["health"] != "up"]

    with suppress(AssertionError):
        wait_until("all targets are up", lambda: not down(), timeout=30)
    assert down() == []


def test_alertmanager_is_known(monitoring: Monitoring) -> None:
    assert monitoring.ask("/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
    assert monitoring.ask("/api/v2/status", port=9093)["cluster"]["status"] == "disabled"


def test_every_query_of_the_dashboards_finds_data(monitoring: Monitoring, lab: Lab) -> None:
    may_be_empty = {*NO_DATA} - ({ONE_METASTORE} if len(lab.group("postgres_metastore")) > 1 else set())
    boards = [json.loads(path.read_text(encoding="utf-8")) for path in DASHBOARDS]
    queries = [target["expr"] for board in boards for panel in board["panels"] for target in panel["targets"]]
    assert len(queries) > 60
    empty = monitoring.empty(queries)
    assert [query for query in empty if not any(re.search(pattern, query) for pattern in may_be_empty)] == []


def test_a_healthy_cluster_has_no_alert(monitoring: Monitoring) -> None:
    wait_until("no alert", lambda: {*monitoring.firing()} <= OF_THE_MACHINE, timeout=60)


@pytest.mark.usefixtures("monitoring")
def test_nobody_else_reads_the_figures(lab: Lab) -> None:
    host = lab.hosts[0]
    asked = lab.run(
        "curl",
        "-s",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "--noproxy",
        "*",
        f"http://{lab.address(host)}:9999/proxy?module=node",
    )
    assert asked == "403"
    for port in (9090, 9093, 9100, 9121, 9187, 9113, 8089, 8405, 9103):
        assert "refused" in lab.run("bash", "-c", f"</dev/tcp/{lab.address(host)}/{port}", check=False), port


@pytest.mark.usefixtures("monitoring")
def test_what_is_configured_here_may_do_little(lab: Lab) -> None:
    names = "prometheus* airflow-metrics* cluster-metrics-*"
    for name in lab.hosts:
        said = lab.host(name).check_output(
            f"for unit in $(systemctl list-unit-files --plain --no-legend --type=service {names}"
            " | cut -d' ' -f1); do systemd-analyze security --no-pager $unit | tail -1; done"
        )
        exposed = {unit: float(level) for unit, level in re.findall(r"level for (\S+): ([0-9.]+)", said)}
        assert {"prometheus-node-exporter.service", "cluster-metrics-host.service"} <= {*exposed}
        assert {unit: level for unit, level in exposed.items() if level > 3.0} == {}


@pytest.mark.usefixtures("monitoring")
def test_no_password_is_to_be_seen(lab: Lab) -> None:
    for name in lab.group("redis_cluster"):
        host = lab.host(name)
        password = host.check_output(
            "systemd-creds decrypt --name=redis-monitor.json /etc/airflowops/redis-monitor.json - "
            """| python3 -c 'import json, sys; print(set(json.load(sys.stdin).values()).pop())'"""
        )
        assert len(password) == 64
        assert password not in host.check_output("ps -eww -o args")
        assert host.run(f"grep -rlF {password} /etc /var/lib/cluster-metrics").stdout == ""
