# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment of Airflow's services: proxies, virtualenvs of tasks, what is read before Python runs.

The hosts' environment and Airflow's name a proxy, which prints what it is asked for: nothing of the cluster.
Tasks with virtualenvs of their own get their packages through it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator

import pytest
from lab import ROOT, Lab, changed, recap, wait_until
from test_2_verify import run_dag
from test_4_faults import put_dag

pytestmark = [pytest.mark.topology("single_node"), pytest.mark.usefixtures("long")]
PORT = 3128
PROXY = f"http://127.0.0.1:{PORT}"
UNIT = "lab-proxy"
SPELLINGS = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
PEM = "-----BEGIN CERTIFICATE-----\nMII%n$HOME\"'\\\n-----END CERTIFICATE-----\n"
QUEUE = "lab%n$HOME"
VARIABLES = {
    "airflow_environment": {
        # Virtualenvs get their packages by the proxy for HTTPS of the package installs.
        "http_proxy": PROXY, "HTTP_PROXY": PROXY, "NO_PROXY": ".example.org",
        "PEM": PEM, "MALLOC_ARENA_MAX": 2, "LC_ALL": "C.UTF-8", "TZ": "Asia/Tokyo",
        "PYTHONPATH": "/srv/shared",
    },
    "cluster_package_environment": {"http_proxy": PROXY, "https_proxy": PROXY},
    "airflow_workers": [
        {"name": "q1", "queues": ["default", "cloudwalker_q1"], "concurrency": 4},
        {
            "name": "q2", "queues": ["default", "cloudwalker_q2", QUEUE], "concurrency": 4,
            "environment": {"OWN_PEM": PEM, "TZ": "Europe/Berlin"},
        },
    ],
}  # fmt: skip
# Imported by a DAG: `encoding` and the zone were read when Python started.
SHARED = "import sys, time; WORD = 'shared'; ENCODING = sys.getfilesystemencoding() + ' ' + time.tzname[0]"


def sh(lab: Lab, command: str) -> str:
    return lab.host(lab.hosts[0]).check_output("sh -c %s", command)


def requests(lab: Lab) -> list[str]:
    """HOST:PORT of each request that the proxy got."""
    lines = sh(lab, f"journalctl --unit={UNIT} --output=cat").splitlines()
    return [line.split()[1] for line in lines if re.match(r"[A-Z]+ \S+:\d+$", line)]


@pytest.fixture(scope="module")
def behind_proxy(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The output of the run that brought the variables."""
    program = base64.b64encode((ROOT / "tests/lab/logging_proxy.py").read_bytes()).decode()
    sh(lab, f"echo {program} | base64 -d > /run/lab-proxy.py")
    sh(lab, f"systemd-run --unit={UNIT} /usr/bin/python3 /run/lab-proxy.py {PORT}")
    sh(lab, f'mkdir -p /srv/shared && echo "{SHARED}" > /srv/shared/shared_mod.py')
    # PAM reads it for every login and every sudo.
    named = "\n".join(f"{name}={PROXY}" for name in SPELLINGS)
    sh(lab, f"cp /etc/environment /run/environment; printf '%s\n' '{named}' >> /etc/environment")
    variables = tmp_path_factory.mktemp("proxy") / "variables.json"
    variables.write_text(json.dumps(VARIABLES))
    try:
        yield lab.playbook("site.yml", "-e", f"@{variables}")
    finally:
        sh(lab, f"rm -r /srv/shared; cp /run/environment /etc/environment; systemctl stop {UNIT}")
        lab.playbook("site.yml")


def test_a_run_goes_through(behind_proxy: str) -> None:
    assert {counts["failed"] for counts in recap(behind_proxy).values()} == {0}
    assert changed(behind_proxy) > 0


@pytest.mark.usefixtures("behind_proxy")
def test_tasks_run_and_their_logs_are_read(lab: Lab) -> None:
    run = run_dag(lab, "hello_world2")
    assert run["state"] == "success"
    for task in run["tasks"]:
        path = f"dags/hello_world2/dagRuns/{run['run_id']}/taskInstances/{task['task_id']}/logs/1"
        wait_until(
            f"the log of {task['task_id']}",
            lambda path=path, task=task: (
                f"served by {task['host'].split('.')[0]}" in json.dumps(lab.airflow.get(path))
            ),
            timeout=10,
        )


@pytest.mark.usefixtures("behind_proxy")
def test_virtualenvs_of_tasks_get_their_packages_by_the_proxy(lab: Lab) -> None:
    put_dag(lab, "lab_virtualenv")
    run = run_dag(lab, "lab_virtualenv", timeout=240)
    states = {task["task_id"]: task["state"] for task in run["tasks"]}
    assert states.pop("not_taken") == "skipped"
    assert set(states.values()) == {"success"}, states
    assert [server for server in requests(lab) if server.endswith(":443")]
    # Kept for the next task, and nothing beside it.
    kept = sh(lab, "ls /var/cache/airflow/uv").split()
    assert len(kept) in (1, 2)
    assert all(re.fullmatch(r"\d{4}-\d\d", name) for name in kept), kept
    # The site's index may have a password: it is nowhere in clear text.
    places = "/etc/airflow /etc/systemd /opt/airflow/bin /var/lib/airflow /var/cache/airflow"
    assert sh(lab, f"grep -rl {PROXY} {places} || true") == ""


@pytest.mark.usefixtures("behind_proxy")
def test_services_find_what_is_read_before_python_runs(lab: Lab) -> None:
    put_dag(lab, "lab_environment")
    run = run_dag(lab, "lab_environment")
    assert run["state"] == "success"
    path = f"dags/lab_environment/dagRuns/{run['run_id']}/taskInstances/seen/xcomEntries/return_value"
    seen = lab.airflow.get(path)["value"]
    seen = json.loads(seen) if isinstance(seen, str) else seen
    assert (seen["shared"], seen["encoding"]) == ("shared", "utf-8 CET")
    assert seen["PEM"] == seen["OWN_PEM"] == PEM
    assert (seen["MALLOC_ARENA_MAX"], seen["LC_ALL"], seen["TZ"]) == ("2", "C.UTF-8", "Europe/Berlin")
    spared = seen["no_proxy"].split(",")
    assert spared[:4] == [".example.org", "localhost", "127.0.0.1", "::1"]
    assert {*lab.hosts, *map(lab.address, lab.hosts)} <= set(spared)
    # The command line as well.
    program = "import os, shared_mod; print(shared_mod.WORD, os.environ['MALLOC_ARENA_MAX'])"
    assert sh(lab, f'airflow-run python -c "{program}"') == "shared 2"


@pytest.mark.usefixtures("behind_proxy")
def test_the_proxy_was_asked_for_nothing_of_the_cluster(lab: Lab) -> None:
    own = {"localhost", "127.0.0.1", "::1", *lab.hosts, *map(lab.address, lab.hosts)}
    asked = requests(lab)
    assert asked
    assert [server for server in asked if server.rpartition(":")[0] in own] == []
