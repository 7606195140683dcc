# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that brings a configuration with which a service does not start leaves the old one serving.

The values are such as only the service itself can judge, when it starts.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from lab import Lab, changed, recap
from test_2_verify import run_dag

CONFIG = "/etc/airflow/airflow.cfg"
PREVIOUS = "/var/lib/airflowops/previous"
ENVIRONMENT = "/etc/airflow/credentials/AIRFLOWOPS_ENVIRONMENT"
NO_OPTION = {"airflow_environment": {"GUNICORN_CMD_ARGS": "--no-such-option"}}


def site(lab: Lab, values: dict[str, Any], *arguments: str) -> str:
    return lab.playbook("site.yml", "-e", json.dumps(values), *arguments, check=False)


def starts(lab: Lab, host: str, unit: str) -> str:
    """When the unit was started last."""
    return lab.host(host).check_output(f"systemctl show --value -p ExecMainStartTimestampMonotonic {unit}")


def state(lab: Lab, host: str) -> str:
    return lab.host(host).file(CONFIG).content_string + starts(lab, host, "airflow-scheduler")


def kept(lab: Lab, host: str) -> list[str]:
    """Files whose previous content waits for the new one to be proven."""
    index = json.loads(lab.host(host).file(f"{PREVIOUS}/index.json").content_string)
    return sorted(index["files"])


def one_line(output: str) -> str:
    return " ".join(output.split())


@pytest.fixture
def serving(lab: Lab) -> dict[str, str]:
    """The masters' configuration and how they run, before."""
    hosts = lab.group("airflow_master")
    return {host: state(lab, host) for host in hosts}


@pytest.mark.usefixtures("long")
def test_a_configuration_with_which_a_master_does_not_start_goes_back_on_all(
    lab: Lab, serving: dict[str, str]
) -> None:
    first, *others = lab.group("airflow_master")
    output = site(lab, NO_OPTION)
    text = one_line(output)
    assert f"{first} did not become healthy with what the inventory says for airflow_master" in text
    assert "airflow-api-server.service is " in text
    assert "--no-such-option" in text
    assert ENVIRONMENT in text.split(f"{first} has its previous ")[1]
    assert [host for host, counts in recap(output).items() if counts["failed"]] == [first]
    for host in (first, *others):
        assert not lab.host(host).file(ENVIRONMENT).exists
        assert lab.host(host).check_output("systemctl is-active airflow-api-server airflow-scheduler")
        assert kept(lab, host) == []
    for host in others:
        # Nothing was restarted there.
        assert state(lab, host) == serving[host]
    assert run_dag(lab, "hello_world2")["state"] == "success"
    assert changed(lab.playbook("site.yml")) == 0


@pytest.mark.topology("single_node")
def test_what_redis_refuses_while_it_runs_does_not_stay_in_its_file(lab: Lab) -> None:
    (host,) = lab.group("redis_cluster")
    before = starts(lab, host, "redis-cluster@7000")
    output = site(lab, {"redis_cluster_config": {"notify-keyspace-events": "Q"}}, "--tags", "redis_cluster")
    assert "does not accept notify-keyspace-events" in one_line(output)
    assert "/etc/redis-cluster/live.conf" in one_line(output).split("has its previous ")[1]
    assert "notify-keyspace-events" not in lab.host(host).check_output("cat /etc/redis-cluster/*.conf")
    assert starts(lab, host, "redis-cluster@7000") == before
    assert kept(lab, host) == []


@pytest.mark.topology("single_node")
@pytest.mark.usefixtures("long")
def test_postgresql_starts_again_with_what_it_had(lab: Lab) -> None:
    (host,) = lab.group("postgres_metastore")
    wrong = {"postgres_metastore_config": {"shared_preload_libraries": "no_such_library"}}
    output = one_line(site(lab, wrong, "--tags", "postgres_metastore"))
    assert "did not become healthy with what the inventory says for postgres_metastore" in output
    assert "no_such_library" in output
    assert "conf.d/airflow.conf again; start postgresql@" in output
    assert "no_such_library" not in lab.host(host).check_output(
        "cat /etc/postgresql/*/main/conf.d/airflow.conf"
    )
    assert lab.host(host).check_output("cd /; sudo -u postgres psql -tAc 'SELECT 1'") == "1"
    assert kept(lab, host) == []
    assert changed(lab.playbook("site.yml", "--tags", "postgres_metastore")) == 0
