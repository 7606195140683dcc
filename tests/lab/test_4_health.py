# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""health.yml is silent where all is well, and names what was broken with cause and fix, and nothing else.

With AIRFLOWOPS_SCREENSHOTS=1 the picture of the docs is made again.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from lab import ROOT, Lab, changed, recap, wait_until
from playwright.sync_api import Browser

BROKEN_DAG = "/opt/airflow/dags/lab_health_broken.py"
LOST_DAG = """\
from airflow.sdk import dag, task

@dag(schedule=None)
def lab_health_lost():
    @task(queue="nobodys")
    def wait():
        pass

    wait()

lab_health_lost()
"""


def health(lab: Lab, folder: Path, *arguments: str) -> dict[str, Any]:
    """The report of health.yml. It changes nothing, and fails if and only if there is a problem."""
    path = folder / "health.json"
    path.unlink(missing_ok=True)
    # The machine of the lab may be busy.
    arguments = ("-e", f"health_json={path}", "-e", "health_timeout=30", *arguments)
    output = lab.playbook(ROOT / "playbooks/health.yml", *arguments, check=False)
    assert path.exists(), output[-3000:]
    report = json.loads(path.read_text())
    counts = recap(output)
    assert sum(count["changed"] for count in counts.values()) == 0
    assert any(count["failed"] for count in counts.values()) == (report["state"] == "problem"), output[-3000:]
    return report


def problems(report: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (entry["component"], entry["part"]) for entry in report["findings"] if entry["level"] == "problem"
    ]


def reported(report: dict[str, Any]) -> None:
    for entry in report["findings"]:
        assert entry["what"], entry
        assert entry["cause"], entry
        assert entry["fix"], entry


@dataclass
class Fault:
    """What is done on the first host of a group, how it is undone, and what is found then."""

    group: str
    make: str
    undo: str
    found: tuple[str, str]
    fix: str
    arguments: list[str] = field(default_factory=list)
    # When the fault shows, and when nothing is left of it: a command on that host, or a question to the lab.
    shows: str | Callable[[Lab], bool] = "true"
    fixed: str | Callable[[Lab], bool] = "true"


def stopped(group: str, unit: str, component: str, part: str) -> Fault:
    return Fault(
        group,
        f"systemctl stop {unit}",
        f"systemctl start {unit}",
        (component, part),
        f"systemctl start {unit}",
    )


MASTER, WORKER = "airflow_master", "airflow_worker"
# Of the certificate that is about to end.
NEW_CERTIFICATE = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=lab -days 3"
    " -keyout /dev/null -out /etc/airflowops/lab-health.crt"
)
# Of a part that the host does not run, as Ansible itself needs /tmp.
SMALL_DISK = (
    "mkdir -p /var/lib/etcd && mount -t tmpfs -o size=1m none /var/lib/etcd"
    " && head -c 1000000 /dev/zero > /var/lib/etcd/full"
)

# Not the clock: the hosts of a lab have one.
FAULTS = {
    "scheduler": stopped(MASTER, "airflow-scheduler.service", "airflow", "scheduler"),
    "dag-processor": stopped(MASTER, "airflow-dag-processor.service", "airflow", "dag-processor"),
    "triggerer": stopped(MASTER, "airflow-triggerer.service", "airflow", "triggerer"),
    "api-server": stopped(MASTER, "airflow-api-server.service", "airflow", "api-server"),
    "execution-api": stopped(MASTER, "airflow-execution-api.service", "airflow", "execution-api"),
    "flower": stopped("flower", "flower.service", "flower", "flower"),
    "nginx": stopped("nginx_lb", "nginx.service", "front", "nginx"),
    "worker": stopped(WORKER, "airflow-worker@q1.service", "workers", "worker q1"),
    "task-logs": stopped(WORKER, "airflow-task-logs.service", "workers", "task logs"),
    # What is only stopped is started again with the next part of Airflow that ends because of it.
    "haproxy": Fault(
        MASTER,
        "cd /etc/haproxy && mv haproxy.cfg haproxy.lab && ! systemctl restart haproxy",
        "cd /etc/haproxy && mv haproxy.lab haproxy.cfg && systemctl restart haproxy",
        ("endpoints", "haproxy"),
        "journalctl -u haproxy.service",
    ),
    "redis": stopped("redis_cluster", "redis-cluster@7001.service", "redis", "redis 7001"),
    "timer": stopped(MASTER, "airflow-clean.timer", "airflow", "clean timer"),
    "postgresql": Fault(
        "postgres_metastore",
        "systemctl stop 'postgresql@*'",
        "systemctl start 'postgresql@15-main'",
        ("metastore", "postgresql"),
        "systemctl start postgresql@15-main.service",
    ),
    # The process is there, and its heart does not beat.
    "frozen-scheduler": Fault(
        MASTER,
        "systemctl kill --signal=STOP airflow-scheduler",
        "systemctl kill --signal=CONT airflow-scheduler",
        ("airflow", "scheduler"),
        "systemctl restart airflow-scheduler.service",
        ["-e", "health_heartbeat_seconds=15"],
        shows="sleep 20",
        fixed="curl -fsS -o /dev/null http://127.0.0.1:8974/health",
    ),
    "failed-unit": Fault(
        MASTER,
        "systemd-run --unit=airflow-lab-health.service false",
        "systemctl reset-failed airflow-lab-health.service",
        ("airflow", ""),
        "journalctl -u airflow-lab-health.service",
        shows="systemctl is-failed airflow-lab-health.service",
    ),
    "disk": Fault(MASTER, SMALL_DISK, "umount /var/lib/etcd", ("hosts", ""), "du -xh"),
    "certificate": Fault(
        "postgres_metastore",
        NEW_CERTIFICATE,
        "rm /etc/airflowops/lab-health.crt",
        ("certificates", ""),
        "run it",
    ),
    "old-backup": Fault(
        "postgres_metastore", "true", "true", ("backups", ""), "backup.yml", ["-e", "health_backup_hours=0"]
    ),
    "import-error": Fault(
        MASTER,
        # Airflow passes over files that do not speak of it.
        f"echo 'import no_such_module_of_anybody  # a DAG of airflow' > {BROKEN_DAG}",
        f"rm {BROKEN_DAG}",
        ("dags", ""),
        "dags_deploy.yml",
        shows=lambda lab: lab.airflow.get("importErrors")["total_entries"] == 1,
        fixed=lambda lab: lab.airflow.get("importErrors")["total_entries"] == 0,
    ),
    "login": Fault(
        MASTER,
        "true",
        "true",
        ("airflow", ""),
        "health_airflow_user",
        ["-e", "health_airflow_user=nobody", "-e", "health_airflow_password=nothing"],
    ),
}


def true(lab: Lab, host: Any, condition: str | Callable[[Lab], bool]) -> bool:
    return host.run(condition).rc == 0 if isinstance(condition, str) else condition(lab)


@contextlib.contextmanager
def made(lab: Lab, fault: Fault) -> Iterator[None]:
    host = lab.host(lab.group(fault.group)[0])
    host.run_expect([0], fault.make)
    try:
        wait_until("the fault shows", lambda: true(lab, host, fault.shows), timeout=180, poll=2)
        yield
    finally:
        host.run_expect([0], fault.undo)
        wait_until("all is fixed", lambda: true(lab, host, fault.fixed), timeout=180, poll=2)


def is_well(lab: Lab, folder: Path) -> bool:
    report = health(lab, folder)
    assert report["state"] in ("ok", "warning"), report["text"]
    return True


def test_a_cluster_that_is_well_is_silent(lab: Lab, tmp_path: Path) -> None:
    page = tmp_path / "health.html"
    if len(lab.group("redis_cluster")) > 1:
        # Failovers of other tests leave masters side by side, of which it would warn.
        lab.playbook(ROOT / "playbooks/redis_heal.yml")
    report = health(lab, tmp_path, "-e", f"health_page={page}")
    assert (report["state"], report["findings"], report["unknown"]) == ("ok", [], []), report["text"]
    text = page.read_text()
    for host in lab.hosts:
        assert host in text
    for path in (lab.directory / "secrets").iterdir():
        assert path.read_text().strip() not in text + json.dumps(report)


@pytest.mark.topology("single_node", "health_lab")
def test_what_is_broken_is_named_and_drawn(lab: Lab, tmp_path: Path) -> None:
    """Faults that have nothing to do with each other, at once: one finding for each."""
    page = tmp_path / "health.html"
    names = ("flower", "timer", "failed-unit", "certificate")
    with contextlib.ExitStack() as stack:
        for name in names:
            stack.enter_context(made(lab, FAULTS[name]))
        report = health(lab, tmp_path, "-e", f"health_page={page}", "-e", "health_backup_hours=0")
    wanted = [FAULTS[name].found for name in (*names, "old-backup")]
    assert sorted(problems(report)) == sorted(wanted), report["text"]
    reported(report)
    assert 'class="box problem"' in page.read_text()


@pytest.mark.parametrize("name", [name for name in FAULTS if name != "postgresql"])
@pytest.mark.usefixtures("long")
def test_one_fault_is_one_finding(lab: Lab, tmp_path: Path, name: str) -> None:
    fault = FAULTS[name]
    with made(lab, fault):
        report = health(lab, tmp_path, *fault.arguments)
    print(report["text"])
    assert problems(report) == [fault.found], report["text"]
    reported(report)
    assert fault.fix in report["findings"][0]["fix"]


@pytest.mark.topology("single_node", "health_lab")
@pytest.mark.usefixtures("long")
def test_the_only_metastore_down_explains_the_rest(lab: Lab, tmp_path: Path) -> None:
    with made(lab, FAULTS["postgresql"]):
        report = health(lab, tmp_path)
    print(report["text"])
    assert problems(report) == [FAULTS["postgresql"].found], report["text"]
    assert {entry["because"] for entry in report["unknown"]} == {"the metastore is down"}


@pytest.fixture
def controller(lab: Lab, tmp_path: Path) -> str:
    """Ansible and this checkout on a lab host, as on a controller: a shell command to run a playbook."""
    wanted = (ROOT / "requirements-dev.txt").read_text().splitlines()
    packages = " ".join(line for line in wanted if line.startswith(("ansible==", "ansible-core==")))
    lab.run(
        "tar", "--create", "--dereference", "--file", tmp_path / "checkout.tar", "--exclude=./.venv",
        "--exclude=./.git", "--exclude=./.c*", "--exclude=*/ssh/*", "--exclude=./.ansible",
        "--exclude=./collections", "--exclude=./playbooks/collections", ".",
    )  # fmt: skip
    key = lab.directory / "id_ed25519"
    lab.run(
        "scp", "-q", "-i", key, "-o", f"UserKnownHostsFile={lab.directory}/known_hosts",
        tmp_path / "checkout.tar", f"admin@{lab.address(lab.hosts[0])}:/tmp/checkout.tar",
    )  # fmt: skip
    host = lab.host(lab.hosts[0])
    host.run_expect(
        [0],
        "set -e; mkdir -p /root/checkout; tar -C /root/checkout -xf /tmp/checkout.tar; rm /tmp/checkout.tar;"
        " chown -R root: /root/checkout; mkdir -p /root/checkout/.collections/ansible_collections/airflowops;"
        " ln -sfn ../../.. /root/checkout/.collections/ansible_collections/airflowops/cluster;"
        " apt-get update -qq; apt-get install -qq -y python3-venv openssh-client >/dev/null;"
        f" python3 -m venv /root/controller && /root/controller/bin/pip install -q {packages}",
    )
    inventories = " ".join(f"-i {path.relative_to(ROOT)}" for path in lab.inventories)
    return f"cd /root/checkout && PATH=/root/controller/bin:$PATH ansible-playbook {inventories}"


@pytest.mark.topology("single_node", "health_lab")
@pytest.mark.usefixtures("long")
def test_by_a_timer(lab: Lab, controller: str) -> None:
    host = lab.host(lab.hosts[0])
    report = "/var/lib/airflowops-health/health.json"
    refused = host.run(f"{controller} playbooks/health_timer.yml -e health_timer_calendar=sometimes")
    assert "health_timer_calendar is 'sometimes', which systemd does not understand" in " ".join(
        refused.stdout.split()
    )
    # The value of the second is lines that would end a unit's.
    secret = (
        "ANSIBLE_HASHI_VAULT_TOKEN=only-for-this-test ANSIBLE_SITE_KEY=\"$(printf 'a\\nUser=nobody\\n')\""
    )
    playbook = controller.replace("PATH=", f"{secret} PATH=", 1)
    set_up = f"{playbook} playbooks/health_timer.yml -e \"health_timer_calendar='*:*:0/20'\""
    first, again = host.run_expect([0], set_up).stdout, host.run_expect([0], set_up).stdout
    assert (changed(first), changed(again)) == (2, 0), first
    unit = host.check_output(
        "systemctl cat airflowops-health.service; systemctl show airflowops-health.service"
    )
    assert "only-for-this-test" not in unit and "nobody" not in unit
    assert host.run("grep -rl only-for-this-test /etc /var/lib/airflowops-health").stdout == ""
    assert json.loads(host.check_output(f"cat {report}"))["state"] in ("ok", "warning")
    with made(lab, FAULTS["flower"]):
        failed = "test $(systemctl show -P Result airflowops-health.service) = exit-code"
        wait_until("the timer's run fails", lambda: host.run(failed).rc == 0, timeout=90)
        reported = json.loads(host.check_output(f"cat {report}"))
        assert problems(reported) == [FAULTS["flower"].found]
    well = "test $(systemctl show -P Result airflowops-health.service) = success"
    wait_until("it is well again", lambda: host.run(well).rc == 0, timeout=90)
    host.run_expect([0], f"{controller} playbooks/health_timer.yml -e health_timer_calendar=")
    assert host.run("systemctl list-unit-files 'airflowops-health*' --no-legend").stdout == ""


@pytest.mark.usefixtures("long")
def test_a_wrong_clock(lab: Lab, tmp_path: Path) -> None:
    """Containers share one clock: the interpreter is shown another."""
    host = lab.group(MASTER)[0]
    lab.host(host).run_expect([0], "apt-get install -y faketime")
    lab.host(host).run_expect(
        [0],
        "printf '#!/bin/sh\\nexec faketime -f +90s /usr/bin/python3 \"$@\"\\n' > /usr/local/bin/late-python"
        " && chmod +x /usr/local/bin/late-python",
    )
    inventory = tmp_path / "late.yml"
    inventory.write_text(
        json.dumps({"all": {"hosts": {host: {"ansible_python_interpreter": "/usr/local/bin/late-python"}}}})
    )
    report = health(lab, tmp_path, "-i", str(inventory))
    print(report["text"])
    assert ("hosts", "") in problems(report)
    assert any("clock is 90 s ahead" in entry["what"] for entry in report["findings"]), report["text"]


def forget_message(lab: Lab, queue: str) -> None:
    """Nobody will ever take it."""
    host = lab.group("redis_cluster")[0]
    lab.run(
        "redis-cli", "-c", "-h", lab.address(host), "-p", "7000", "del", "{airflow}:" + queue,
        env={"REDISCLI_AUTH": lab.secret("redis")},
    )  # fmt: skip


@pytest.mark.usefixtures("long")
def test_a_queue_that_no_worker_serves(lab: Lab, tmp_path: Path) -> None:
    path = "/opt/airflow/dags/lab_health_lost.py"
    for host in {*lab.group(MASTER), *lab.group(WORKER)}:
        lab.host(host).run_expect([0], f"cat > {path} <<'END'\n{LOST_DAG}\nEND")
    try:
        wait_until("the DAG is known", lambda: lab.airflow.find("dags/lab_health_lost"), timeout=180)
        lab.airflow.patch("dags/lab_health_lost", {"is_paused": False})
        lab.airflow.post("dags/lab_health_lost/dagRuns", {"logical_date": None})
        wait_until(
            "the task waits",
            lambda: lab.airflow.get("dags/lab_health_lost/dagRuns/~/taskInstances", state="queued")[
                "total_entries"
            ],
            timeout=120,
        )
        report = wait_until(
            "it has waited for long enough",
            lambda: (r := health(lab, tmp_path))["findings"] and r,
            timeout=180,
        )
    finally:
        for host in {*lab.group(MASTER), *lab.group(WORKER)}:
            lab.host(host).run_expect([0], f"rm {path}")
        lab.airflow.delete("dags/lab_health_lost")
        forget_message(lab, "nobodys")
    print(report["text"])
    assert problems(report) == [("workers", "")], report["text"]
    (finding,) = report["findings"]
    assert "nobodys" in finding["what"]
    assert "lab_health_lost" in finding["cause"]


@pytest.mark.usefixtures("long")
def test_a_host_that_does_not_answer(lab: Lab, tmp_path: Path) -> None:
    host = lab.group(WORKER)[-1]
    lab.podman("pause", [host])
    try:
        report = health(lab, tmp_path)
    finally:
        lab.podman("unpause", [host])
    print(report["text"])
    assert problems(report)[0] == ("hosts", ""), report["text"]
    assert report["findings"][0]["host"] == host


@pytest.mark.skipif(os.environ.get("AIRFLOWOPS_SCREENSHOTS") != "1", reason="made when asked for")
def test_the_picture_of_the_docs(lab: Lab, browser: Browser, tmp_path: Path) -> None:
    page_file = tmp_path / "health.html"
    with made(lab, FAULTS["triggerer"]):
        health(lab, tmp_path, "-e", f"health_page={page_file}")
    page = browser.new_page(viewport={"width": 1200, "height": 1060})
    page.goto(page_file.as_uri())
    page.screenshot(path=ROOT / "docs/images/health.png")
    page.close()
