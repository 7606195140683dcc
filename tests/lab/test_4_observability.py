# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus reads all that it should, the dashboards find data, alerts fire for what is broken, and clear.

Only where the lab has a host in the group `monitoring`. For the faults, let alerts wait for seconds:
observability_alert_for.
"""

from __future__ import annotations

import json
import re
import shlex
import urllib.parse
from collections.abc import Callable
from typing import Any

import pytest
from lab import ROOT, Lab, wait_until

DASHBOARDS = sorted((ROOT / "roles/observability/files/dashboards").glob("*.json"))
# Queries that a healthy lab may have no data for, each with the reason.
NO_DATA = {
    r"patroni_|etcd_": "one host keeps the metastore: no Patroni, no etcd",
    r"redis_memory_max_bytes > 0": "a Redis whose memory has no limit",
    r"airflow_task_|airflow_ti_finish|airflow_scheduler_scheduler_loop": "no task has run lately",
}
# A container has the clock and the memory of its machine.
OF_THE_MACHINE = {"ClockNotKept", "MemoryShort", "DiskRunningOut", "DiskFullWithinADay"}


class Monitoring:
    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.host = lab.host(lab.group("monitoring")[0])

    def ask(self, path: str, port: int = 9090, **parameters: str) -> Any:
        url = f"http://127.0.0.1:{port}{path}?{urllib.parse.urlencode(parameters)}"
        program = "import sys, urllib.request as r; sys.stdout.write(r.urlopen(sys.argv[1]).read().decode())"
        return json.loads(self.host.check_output(shlex.join(["python3", "-c", program, url])))

    def empty(self, queries: list[str]) -> list[str]:
        """Those that find nothing. All are asked by one program: each way to the host takes half a second."""
        program = """if True:
            import json, sys, urllib.parse, urllib.request
            empty = []
            for query in json.load(sys.stdin):
                url = "http://127.0.0.1:9090/api/v1/query?" + urllib.parse.urlencode({"query": query})
                if not json.load(urllib.request.urlopen(url))["data"]["result"]:
                    empty.append(query)
            print(json.dumps(empty))"""
        asked = f"echo {shlex.quote(json.dumps(queries))} | python3 -c {shlex.quote(program)}"
        return json.loads(self.host.check_output("sh -c %s", asked))

    def firing(self) -> dict[str, list[dict[str, str]]]:
        found: dict[str, list[dict[str, str]]] = {}
        for alert in self.ask("/api/v1/alerts")["data"]["alerts"]:
            if alert["state"] == "firing":
                found.setdefault(alert["labels"]["alertname"], []).append(alert["labels"])
        return found


@pytest.fixture(scope="module")
def monitoring(lab: Lab) -> Monitoring:
    if not lab.inventory.get("monitoring", {}).get("hosts"):
        pytest.skip("no host in the group monitoring")
    return Monitoring(lab)


def test_all_targets_are_up(monitoring: Monitoring, lab: Lab) -> None:
    targets = monitoring.ask("/api/v1/targets")["data"]["activeTargets"]
    assert {target["labels"]["instance"] for target in targets if target["labels"]["job"] == "node"} == {
        *lab.hosts
    }

    def down() -> list[str]:
        targets = monitoring.ask("/api/v1/targets")["data"]["activeTargets"]
        return [f"{t['scrapeUrl']}: {t['lastError']}" for t in targets if t["health"] != "up"]

    wait_until("all targets are up", lambda: not down() or pytest.fail(str(down())), timeout=30)


def test_alertmanager_is_known(monitoring: Monitoring) -> None:
    assert monitoring.ask("/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
    assert monitoring.ask("/api/v2/status", port=9093)["cluster"]["status"] == "disabled"


def test_every_query_of_the_dashboards_finds_data(monitoring: Monitoring) -> None:
    boards = [json.loads(path.read_text(encoding="utf-8")) for path in DASHBOARDS]
    queries = [target["expr"] for board in boards for panel in board["panels"] for target in panel["targets"]]
    assert len(queries) > 60
    empty = monitoring.empty(queries)
    assert [query for query in empty if not any(re.search(pattern, query) for pattern in NO_DATA)] == []


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
    names = "prometheus* airflow-figures* cluster-figures-*"
    for name in lab.hosts:
        said = lab.host(name).check_output(
            f"for unit in $(systemctl list-unit-files --plain --no-legend --type=service {names}"
            " | cut -d' ' -f1); do systemd-analyze security --no-pager $unit | tail -1; done"
        )
        exposed = {unit: float(level) for unit, level in re.findall(r"level for (\S+): ([0-9.]+)", said)}
        assert {"prometheus-node-exporter.service", "cluster-figures-host.service"} <= {*exposed}
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
        assert host.run(f"grep -rlF {password} /etc /var/lib/cluster-figures").stdout == ""


# --- Faults


def units(*names: str) -> tuple[str, str]:
    listed = " ".join(names)
    return f"systemctl stop {listed}", f"systemctl start {listed}"


BROKEN_DAG = "/opt/airflow/dags/broken_for_test.py"
# {name: (group whose first host is broken, alerts, how to break, how to mend)}
FAULTS: dict[str, tuple[str, set[str], tuple[str, str]]] = {
    "worker": ("airflow_worker", {"UnitNotRunning"}, units("'airflow-worker@*'")),
    "scheduler": ("airflow_master", {"UnitNotRunning"}, units("airflow-scheduler")),
    "nginx": ("nginx_lb", {"NginxDown", "UnitNotRunning"}, units("nginx")),
    "exporter": ("monitoring", {"ExporterDown"}, units("prometheus-postgres-exporter")),
    "door": ("airflow_worker", {"HostDown"}, units("prometheus-exporter-exporter")),
    "import": (
        "airflow_master",
        {"ImportErrors"},
        (f"sh -c 'echo import nothing_of_that_name, airflow.dag >{BROKEN_DAG}'", f"rm {BROKEN_DAG}"),
    ),
}


@pytest.mark.usefixtures("long")
@pytest.mark.parametrize("fault", FAULTS)
def test_an_alert_fires_and_clears(monitoring: Monitoring, lab: Lab, fault: str) -> None:
    group, alerts, (break_it, mend_it) = FAULTS[fault]
    host = lab.host(lab.group(group)[0])
    fires: Callable[[], bool] = lambda: alerts <= {*monitoring.firing()}  # noqa: E731
    host.check_output(break_it)
    try:
        wait_until(f"{alerts} fire", fires, timeout=240, poll=2)
    finally:
        host.check_output(mend_it)
    wait_until(f"{alerts} clear", lambda: not alerts & {*monitoring.firing()}, timeout=240, poll=2)
