# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts are off, the first of a group too: the others are served, and what could not be done is listed."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator

import pytest
from lab import ROOT, Lab, changed, recap, wait_until
from test_2_verify import redis_info, run_dag

pytestmark = pytest.mark.topology("multi_node")

UNDONE = "Report what could not be done"
# Read at the start of a service: a change restarts it.
OPTION = "max_active_runs_per_dag"


def without(*hosts: str) -> tuple[str, str]:
    return "--limit", ":".join(f"!{host}" for host in hosts)


@contextlib.contextmanager
def off(lab: Lab, *hosts: str) -> Iterator[None]:
    """The hosts are off, and back at the end, with what they ran."""
    lab.podman("stop", list(hosts), "--time", "0")
    try:
        for host in set(hosts) & set(lab.group("redis_cluster")):
            wait_until(
                "Redis has failed over",
                lambda host=host: redis_info(lab, host)["cluster_state"] == "ok",
                60,
            )
        yield
    finally:
        lab.podman("start", list(hosts))
        for host in hosts:
            wait_until(f"{host} is up", lambda host=host: lab.host(host).run("true").rc == 0, 90)
            wait_until(
                f"{host} has started its services",
                lambda host=host: (
                    lab.host(host).run("systemctl is-system-running").stdout.strip()
                    in ("running", "degraded")
                ),
                300,
                poll=2,
            )


def refused(lab: Lab, playbook: str, *arguments: str) -> str:
    output = lab.playbook(ROOT / playbook, *arguments, check=False)
    counts = recap(output)
    assert sum(host["failed"] for host in counts.values()) >= 1, output[-3000:]
    assert changed(output) == 0
    return output


def undone(output: str) -> str:
    """What the last task of a run has listed, in one line."""
    return " ".join(output[output.index(UNDONE) : output.index("PLAY RECAP")].split())


def api_servers_read(lab: Lab, host: str, text: str) -> bool:
    """Whether it is in the configuration, and the service runs with it."""
    at = lab.host(host)
    written = at.run(f"grep -q '^{text}$' /etc/airflow/airflow.cfg").rc == 0
    changed_at = int(at.check_output("stat -c %Z /etc/airflow/airflow.cfg"))
    since = at.check_output("systemctl show --property=ExecMainStartTimestamp --value airflow-api-server")
    return written and int(at.check_output(f"date -d '{since}' +%s")) >= changed_at


def tasks_run(lab: Lab) -> bool:
    """In the queue that every worker serves: worker1 alone serves cloudwalker_q1."""
    return run_dag(lab, "test_ha_celery_workers", conf={"sleep_seconds": 1})["state"] == "success"


def test_a_dead_host_is_reported_before_anything_is_changed(lab: Lab) -> None:
    first, worker = lab.group("redis_cluster")[0], lab.group("airflow_worker")[0]
    with off(lab, first, worker):
        for playbook, dead in (
            ("site.yml", f"--limit '!{first}:!{worker}'"),
            ("playbooks/dags_deploy.yml", f"--limit '!{worker}'"),
        ):
            output = refused(lab, playbook)
            assert dead in output
            assert "No route to host" in output or "timed out" in output
        # Nothing was made for a rotation that cannot be carried through.
        assert "serves all hosts or none" in refused(lab, "playbooks/rotate_secrets.yml")
        # What is needed now works without them.
        output = lab.playbook(ROOT / "playbooks/redis_heal.yml", *without(first, worker))
        assert f"Nothing was done on {first}" in undone(output)
        output = lab.playbook(ROOT / "playbooks/dags_deploy.yml", *without(worker))
        assert f"Nothing was done on {worker}" in undone(output)
        assert tasks_run(lab)


@pytest.mark.usefixtures("long")
@pytest.mark.parametrize("dead", ["redis1 worker1", "master1", "front1", "redis2 master1"])
def test_a_change_reaches_the_living_and_later_the_others(lab: Lab, dead: str) -> None:
    hosts = dead.split()
    masters = lab.group("airflow_master")
    living = [host for host in masters if host not in hosts]
    value = 17 + int(time.time()) % 40
    change = ("-e", json.dumps({"airflow_config": {"core": {OPTION: value}}}))
    with off(lab, *hosts):
        output = lab.playbook(ROOT / "site.yml", *without(*hosts), *change)
        assert f"Nothing was done on {', '.join(hosts)}: " in undone(output)
        for host in living:
            assert api_servers_read(lab, host, f"{OPTION} = {value}"), host
        if not set(hosts) & set(lab.group("nginx_lb")):
            assert tasks_run(lab)
    output = lab.playbook(ROOT / "site.yml", *change)
    assert "Nothing was done on" not in output
    for host in masters:
        assert api_servers_read(lab, host, f"{OPTION} = {value}"), host
    assert changed(lab.playbook(ROOT / "site.yml", *change)) == 0
    lab.playbook(ROOT / "site.yml")
    assert run_dag(lab, "hello_world2")["state"] == "success"


@pytest.mark.usefixtures("long")
def test_redis_restarts_without_its_first_host(lab: Lab) -> None:
    first = lab.group("redis_cluster")[0]
    others = lab.group("redis_cluster")[1:]
    with off(lab, first, "worker1"):
        before = {host: started(lab, host) for host in others}
        output = lab.playbook(ROOT / "playbooks/redis_rolling_restart.yml", *without(first, "worker1"))
        listed = undone(output)
        assert "is a master of which no replica answers" in listed
        for host in others:
            for unit, since in started(lab, host).items():
                alone = f"{unit} on {host} was not restarted" in listed
                assert (since == before[host][unit]) == alone, (host, unit)
        assert redis_info(lab, first)["cluster_state"] == "ok"
        assert tasks_run(lab)
    lab.playbook(ROOT / "playbooks/redis_rolling_restart.yml")


def started(lab: Lab, host: str) -> dict[str, str]:
    text = lab.host(host).check_output(
        "systemctl show --property=Id,ExecMainStartTimestampMonotonic redis-cluster@7000 redis-cluster@7001"
    )
    found = {}
    for block in text.strip().split("\n\n"):
        fields = dict(line.split("=", 1) for line in block.splitlines())
        found[fields["Id"].removesuffix(".service")] = fields["ExecMainStartTimestampMonotonic"]
    return found


@pytest.mark.usefixtures("long")
def test_without_its_only_metastore_nothing_is_begun(lab: Lab) -> None:
    (metastore,) = lab.group("postgres_metastore")
    with off(lab, metastore):
        for arguments in ((), without(metastore)):
            output = refused(lab, "site.yml", *arguments)
            assert "o other host is in postgres_metastore" in output
        health = lab.playbook(ROOT / "playbooks/health.yml", check=False)
        assert metastore in health
        assert "problem(s): see the table above" in health
        # What needs no metastore works.
        lab.playbook(ROOT / "playbooks/redis_heal.yml", *without(metastore))
    wait_until("Airflow works again", lambda: run_dag(lab, "hello_world2")["state"] == "success", 180, poll=5)
