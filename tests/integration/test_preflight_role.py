# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role preflight, run by the real ansible-playbook on inventories whose hosts are all this machine."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from redis_servers import free_port
from test_airflow_dag_run import airflow_python

CHECKOUT = Path(__file__).parents[2]
ANSIBLE = Path(sys.executable).parent
VAULT_PASSWORD = "only-for-this-test"

GROUPS = {
    "redis_cluster": ["redis1", "redis2", "redis3"],
    "postgres_metastore": ["db1"],
    "airflow_master": ["master1", "master2"],
    "airflow_worker": ["worker1", "worker2"],
    "flower": ["front1"],
    "nginx_lb": ["front1"],
}
# Their names resolve nowhere.
ADDRESSES = {
    host: {"cluster_address": f"192.0.2.{number}"}
    for number, host in enumerate(sorted({host for hosts in GROUPS.values() for host in hosts}), 1)
}
# What a good host looks like; the machine that runs the tests may well be none.
GOOD_HOST = {
    "clock_offset": 0.0,
    "clock_uncertainty": 0.1,
    "disk_free": 2**36,
    "listening": [],
    "memory_limit": None,
    "memory_total": 2**32,
    "os": {"id": "debian", "version": "12", "name": "Debian GNU/Linux 12 (bookworm)"},
    "privileged": True,
    "python": "3.11.2",
    "pythons": ["3.11"],
    "systemd": True,
}


def make_secrets() -> dict[str, str]:
    names = [
        "redis_cluster_password",
        "redis_cluster_broker_password",
        "postgres_metastore_password",
        "postgres_metastore_owner_password",
        "postgres_metastore_results_password",
        "airflow_api_secret_key",
        "airflow_jwt_secret",
    ]
    secrets = {name: os.urandom(16).hex() for name in [*names, "airflow_admin_password", "flower_password"]}
    return {**secrets, "airflow_fernet_key": base64.urlsafe_b64encode(os.urandom(32)).decode()}


class Lab:
    """An inventory and a playbook in a directory of their own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.secrets = make_secrets()
        self.groups: dict[str, Any] = {
            group: {"hosts": {host: ADDRESSES[host].copy() for host in hosts}, "vars": {}}
            for group, hosts in GROUPS.items()
        }
        play = {"hosts": "all", "gather_facts": False, "roles": ["airflowops.cluster.preflight"]}
        (directory / "play.yml").write_text(yaml.safe_dump([{**play, "any_errors_fatal": True}]))
        (directory / "vault-password").write_text(VAULT_PASSWORD)
        (directory / "host.json").write_text(json.dumps({"__preflight_probe": GOOD_HOST}))

    def write(self) -> None:
        connection = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}
        inventory = {"all": {"vars": connection, "children": self.groups}}
        (self.directory / "hosts.yml").write_text(yaml.safe_dump(inventory))
        variables = self.directory / "group_vars" / "all"
        variables.mkdir(parents=True, exist_ok=True)
        (variables / "secrets.yml").write_text(yaml.safe_dump(self.secrets))

    def encrypt(self, *options: str) -> None:
        command = [ANSIBLE / "ansible-vault", "encrypt", "group_vars/all/secrets.yml", *options]
        command += ["--vault-password-file", "vault-password"]
        subprocess.run(command, cwd=self.directory, check=True, capture_output=True)

    def play(self, *options: str, probed: bool = False) -> subprocess.CompletedProcess[str]:
        command = [ANSIBLE / "ansible-playbook", "-i", "hosts.yml", "play.yml", *options]
        command += [] if probed else ["-e", "@host.json"]
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".collections"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_VAULT_PASSWORD_FILE": str(self.directory / "vault-password"),
        }
        return subprocess.run(
            command,
            cwd=self.directory,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def problems_in(output: str) -> list[str]:
    """The problems in the one message of a failed run."""
    messages = re.findall(r"Nothing was changed\. To be corrected:\n((?:\s+- .*\n?)+)", output)
    assert len(messages) == 1, output
    return [line.strip()[2:] for line in messages[0].splitlines()]


def test_a_good_inventory_passes_and_nothing_is_changed(lab: Lab) -> None:
    lab.write()
    lab.encrypt()
    run = lab.play()
    assert run.returncode == 0, run.stdout + run.stderr
    assert len(re.findall(r"changed=0 +unreachable=0 +failed=0", run.stdout)) == 9


@pytest.mark.parametrize("given", ["ansible_become=true", "ansible_connection=ssh"])
def test_an_extra_variable_never_makes_the_controller_use_sudo_or_ssh(lab: Lab, given: str) -> None:
    lab.write()
    run = lab.play("-e", given)
    assert run.returncode == 2, run.stdout
    assert f"{given.partition('=')[0]}" in run.stdout and "is given with -e" in run.stdout
    assert "Probe the host" not in run.stdout


def test_check_mode_and_limit(lab: Lab) -> None:
    lab.write()
    run = lab.play("--check", "--limit", "worker1,redis2")
    assert run.returncode == 0, run.stdout + run.stderr


def test_everything_bad_is_told_once_and_no_secret_is_shown(lab: Lab) -> None:
    lab.groups["redis_cluster"]["vars"] = {"redis_cluster_port": 7000, "redis_cluster_ports": [7000]}
    lab.groups["airflow_workers"] = lab.groups.pop("airflow_worker")
    lab.groups["airflow_master"]["hosts"] = {
        "master1": {},
        "master2": {"airflow_api_secret_key": "Kq81-another-key-7z"},
    }
    lab.groups["airflow_master"]["vars"] = {
        "airflow_required_queues": ["default"],
        "airflow_master_api_port": 8974,
        "cluster_address": "",
    }
    lab.secrets["airflow_fernet_key"] = "not-32-bytes-but-Kq81z"
    lab.secrets["airflow_jwt_secret"] = "$(openssl rand -base64 32)"
    lab.secrets["flower_password"] = "changeme"
    del lab.secrets["airflow_admin_password"]
    lab.write()
    lab.encrypt()

    run = lab.play("-vvv")

    assert run.returncode != 0
    assert run.stdout.count("FAILED! =>") == 1
    expected = {
        "Port 8974 is used twice on master1, master2": "choose another port",
        "The Redis Cluster has 3 nodes on 3 hosts (redis1": "add hosts to the group or ports",
        "The group airflow_worker has no host": "put one into it",
        "The group airflow_workers (worker1, worker2) looks like a misspelt": "rename it",
        "airflow_admin_password is missing on master1, master2": "group_vars/all/secrets.yml",
        "airflow_api_secret_key on master2 is not the one of the other hosts": "set it once",
        "airflow_fernet_key is not a Fernet key": "openssl rand -base64 32",
        "airflow_jwt_secret is a shell expression": "openssl rand -hex 64",
        "airflow_required_queues is not a dictionary on master1, master2": "map each queue",
        "cluster_address has no value on master1, master2": "set it to the address",
        "flower_password is a placeholder on front1": "openssl rand",
        "redis_cluster_port on redis1, redis2, redis3 is not a variable": "did you mean redis_cluster_ports?",
    }
    found = problems_in(run.stdout)
    known = [problem for problem in found if problem.startswith(tuple(expected))]
    assert known == found, "\n".join(found)
    assert len(found) == len(expected)
    for problem, (_start, fix) in zip(found, sorted(expected.items())):
        assert fix in problem
    for secret in [*lab.secrets.values(), "Kq81-another-key-7z"]:
        assert secret not in run.stdout + run.stderr


def test_inputs_of_a_wrong_type_are_told_in_the_same_message(lab: Lab) -> None:
    lab.groups["airflow_worker"]["vars"] = {
        "airflow_workers": [{"name": "a", "queues": "q", "concurrency": "x"}]
    }
    lab.groups["nginx_lb"]["vars"] = {"nginx_lb_http_port": "http"}
    lab.groups["airflow_master"]["vars"] = {
        "airflow_config": {"parallelism": "{{ 64 }}", "core": "{{ __known_to_the_role_alone }}"},
        "airflow_version": 3.1,
        "airflow_base_url": "{{ ['http://', inventory_hostname] | join }}",
        # What refers to something that only a task of the role knows is left alone.
        "airflow_dags_path": "{{ __known_to_the_role_alone }}/dags",
        "airflow_environment": {"A": "{{ __known_to_the_role_alone }}"},
    }
    lab.write()
    found = problems_in(lab.play("-e", "postgres_metastore_hba_extra=text").stdout)
    assert [problem.split(":")[0] for problem in found] == [
        "The section parallelism of airflow_config is a whole number on master1, master2",
        "Worker a of airflow_workers has no fit concurrency on worker1, worker2",
        "Worker a of airflow_workers has no queues on worker1, worker2",
        "airflow_version is a fractional number on master1, master2",
        "nginx_lb_http_port is not a port on front1",
        "postgres_metastore_hba_extra is text on all 9 hosts",
    ]


def test_this_machine_is_probed_for_real(lab: Lab) -> None:
    lab.write()
    lab.groups["airflow_master"]["vars"] = {"preflight_min_memory_mib": 2**30}
    lab.write()
    run = lab.play("-v", "--limit", "master1", probed=True)
    assert run.returncode != 0
    assert [
        problem
        for problem in problems_in(run.stdout)
        if f"a host that runs Airflow needs {2**30} MiB" in problem
    ]
    offset = float(re.findall(r"clock_offset: (\S+)", run.stdout)[0])
    uncertainty = float(re.findall(r"clock_uncertainty: (\S+)", run.stdout)[0])
    assert abs(offset) <= uncertainty + 0.01
    assert 0 < uncertainty < 5


# --- What inputs mean

CASES = yaml.safe_load((CHECKOUT / "tests/inputs/cases.yml").read_text(encoding="utf-8"))


def rounds() -> list[list[dict[str, Any]]]:
    """The cases in as few runs as can be: no variable twice in one of them."""
    sorted_into: list[list[dict[str, Any]]] = []
    for case in CASES:
        for other in sorted_into:
            if not any({*case["vars"]} & {*known["vars"]} for known in other):
                other.append(case)
                break
        else:
            sorted_into.append([case])
    return sorted_into


@pytest.mark.parametrize("cases", rounds(), ids=lambda cases: cases[0]["name"])
def test_inputs_that_were_once_accepted_are_refused(lab: Lab, cases: list[dict[str, Any]]) -> None:
    lab.write()
    given = {name: value for case in cases for name, value in case["vars"].items()}
    found = problems_in(lab.play("-e", json.dumps(given)).stdout)
    assert len(found) == len(cases), "\n".join(found)
    for case in cases:
        assert [problem for problem in found if case["names"] in problem], (case["name"], found)


@pytest.mark.parametrize(
    "name", ["airflow_version", "redis_cluster_ports", "airflow_broker_url", "airflow_workers"]
)
def test_a_value_that_stops_the_role_is_named(lab: Lab, name: str) -> None:
    lab.groups["airflow_master"]["vars"] = {name: "{{ nowhere_defined }}"}
    lab.write()
    run = lab.play()
    assert run.returncode != 0
    assert f"{name} refers to nowhere_defined, which is undefined on master1, master2" in run.stdout
    assert "changed=0" in run.stdout


def test_what_airflow_is_to_evaluate_is_marked(lab: Lab) -> None:
    lab.groups["airflow_master"]["vars"] = {"airflow_variables": {"query": "select '{{ ds }}'"}}
    lab.write()
    (found,) = problems_in(lab.play().stdout)
    assert found.startswith("airflow_variables.query refers to ds")
    assert "!unsafe" in found
    hosts = (lab.directory / "hosts.yml").read_text()
    (lab.directory / "hosts.yml").write_text(hosts.replace("query: ", "query: !unsafe "))
    run = lab.play()
    assert run.returncode == 0, run.stdout + run.stderr


def with_database(lab: Lab, python: Path) -> Lab:
    """Hosts that are to use a database of the user's, at a port where nothing listens."""
    lab.groups["postgres_metastore"] = {"hosts": {}}
    lab.write()
    url = f"postgresql://u:not-shown@127.0.0.1:{free_port('127.0.0.1')}/airflow"
    variables = {"airflow_database_url": url, "ansible_python_interpreter": str(python)}
    (lab.directory / "host.json").write_text(
        json.dumps({"__preflight_probe": {**GOOD_HOST, "packages": ["python3-psycopg2"]}, **variables})
    )
    return lab


def test_a_database_that_does_not_answer_is_reported_with_all_else(lab: Lab) -> None:
    lab.groups["airflow_master"]["vars"]["airflow_verison"] = "3.3.2"
    done = with_database(lab, airflow_python()).play()
    reported = " ".join(done.stdout.split())
    assert "Nothing was changed" in reported
    assert "airflow_database_url cannot be used from master1, master2, worker1, worker2" in reported
    assert "Connection refused" in reported
    assert "airflow_verison" in reported
    assert "not-shown" not in done.stdout


def test_without_psycopg2_the_login_is_tried_once_all_else_is_right(lab: Lab, tmp_path: Path) -> None:
    subprocess.run([airflow_python(), "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    done = with_database(lab, tmp_path / "bare/bin/python").play("--check")
    reported = " ".join(done.stdout.split())
    assert done.returncode == 0, done.stdout[-3000:]
    assert "psycopg2 is missing on master1, and check mode does not install it" in reported
    # The package is there, and is of another Python.
    done = lab.play()
    assert done.returncode != 0
    assert "psycopg2" in done.stdout
    assert "not-shown" not in done.stdout
