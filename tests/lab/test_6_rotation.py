# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All secrets get new values under a steady flow of tasks. Nothing comes after it but the lab's end: what the
lab's inventory says of its secrets is no longer true.
"""

from __future__ import annotations

import base64
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from lab import Lab, recap, wait_until
from test_4_faults import Load, put_load_dag

pytestmark = pytest.mark.usefixtures("long")

# Where the lab keeps them.
FILES = {
    "redis_cluster_password": "redis",
    "redis_cluster_broker_password": "broker",
    "postgres_metastore_password": "postgres",
    "postgres_metastore_owner_password": "postgres-owner",
    "postgres_metastore_results_password": "postgres-results",
    "airflow_fernet_key": "fernet",
    "airflow_api_secret_key": "api",
    "airflow_jwt_secret": "jwt",
    "airflow_admin_password": "admin",
    "flower_password": "flower",
}
# Tokens that live for less than Airflow's ten minutes, for which the playbook waits.
SHORT_LIVES = {
    "airflow_config": {
        "execution_api": {"jwt_expiration_time": 60},
        "scheduler": {"task_queued_timeout": 90},
    }
}


class Secrets:
    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.file, self.password = folder / "secrets.yml", folder / "password"
        self.password.write_text("correct horse battery staple")
        values = {name: lab.secret(file) for name, file in FILES.items()}
        values["airflow_fernet_key"] = base64.b64encode(values["airflow_fernet_key"].encode()).decode()
        self.file.write_text(yaml.safe_dump(values))
        self.vault("encrypt")

    def vault(self, action: str) -> str:
        return self.lab.run("ansible-vault", action, "--vault-password-file", self.password, self.file)

    @property
    def values(self) -> dict[str, Any]:
        return yaml.safe_load(self.vault("view"))

    @property
    def arguments(self) -> list[str | Path]:
        return ["--vault-password-file", self.password, "-e", f"secrets_file={self.file}"]


class Flow:
    """Runs of tasks one after the other, and looks at the UI, until the block ends."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.ending = lab, threading.Event()
        self.loads = 0
        self.problems: list[str] = []
        self.unanswered: list[str] = []
        self.threads = [threading.Thread(target=self.tasks), threading.Thread(target=self.look)]

    def tasks(self) -> None:
        while not self.ending.is_set():
            try:
                Load(self.lab, tasks=24, seconds=2).all_done(300)
                self.loads += 1
            except Exception as problem:
                self.problems.append(str(problem)[-500:])

    def look(self) -> None:
        while not self.ending.wait(0.5):
            try:
                with urllib.request.urlopen(f"{self.lab.url}/api/v2/version", timeout=10):
                    pass
            except OSError as problem:
                self.unanswered.append(f"{time.strftime('%T')} {problem}")


@contextmanager
def flow(lab: Lab) -> Iterator[Flow]:
    flowing = Flow(lab)
    for thread in flowing.threads:
        thread.start()
    try:
        yield flowing
    finally:
        flowing.ending.set()
        for thread in flowing.threads:
            thread.join()


def connection(lab: Lab, name: str) -> str:
    """The password of a connection, decrypted by Airflow."""
    master = lab.host(lab.group("airflow_master")[0])
    return json.loads(master.check_output(f"airflow connections get {name} -o json"))[0]["password"]


def flower_answers(lab: Lab, password: str) -> int:
    login = base64.b64encode(f"flower:{password}".encode()).decode()
    request = urllib.request.Request(f"{lab.url}/flower/", headers={"Authorization": f"Basic {login}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def redis_answers(lab: Lab, user: str, password: str) -> str:
    words = base64.b64encode(f"AUTH {user} {password}\n".encode()).decode()
    host = lab.group("redis_cluster")[0]
    return lab.host(host).check_output(f"echo {words} | base64 -d | redis-cli -p 7000 2>&1")


def postgres_takes(lab: Lab, role: str, database: str, password: str) -> bool:
    """Over the network, from a host whose Airflow may log in as the role."""
    program = base64.b64encode(
        b"import psycopg2, sys\n"
        b"psycopg2.connect(host='127.0.0.1', port=15432, user=sys.argv[1], dbname=sys.argv[2],"
        b" password=sys.stdin.read(), sslmode='require', connect_timeout=5)\n"
    ).decode()
    secret = base64.b64encode(password.encode()).decode()
    result = lab.host(lab.group("airflow_master")[0]).run(
        f"echo {program} | base64 -d > /tmp/login.py && echo {secret} | base64 -d"
        f" | /opt/airflow/current/bin/python /tmp/login.py {role} {database}"
    )
    assert result.rc == 0 or "authentication failed" in result.stderr, result.stderr
    return result.rc == 0


def test_all_secrets_are_rotated_under_a_flow_of_tasks(lab: Lab, tmp_path: Path) -> None:
    put_load_dag(lab)
    secrets = Secrets(lab, tmp_path)
    before = secrets.values
    lab.airflow.post("connections", {"connection_id": "lab", "conn_type": "http", "password": "of the lab"})
    variables = ["-e", json.dumps(SHORT_LIVES), *lab.with_load]
    with flow(lab) as flowing:
        wait_until("tasks flow", lambda: flowing.loads or flowing.problems, timeout=120)
        output = lab.playbook("playbooks/rotate_secrets.yml", *secrets.arguments, *variables, timeout=2400)
    assert (flowing.problems, flowing.loads > 2) == ([], True)
    if lab.topology == "multi_node":
        assert flowing.unanswered == []
    after = secrets.values
    assert after["secrets_in_rotation"] == {}
    assert {name for name in FILES if after[name] == before[name]} == {"airflow_admin_password"}
    for value in (*before.values(), *after.values()):
        assert str(value) not in output or value == {}

    # The old ones are good for nothing, the new ones do.
    for values, answer, status, taken in ((before, "WRONGPASS", 401, False), (after, "OK", 200, True)):
        for user, name in (
            ("default", "redis_cluster_password"),
            ("airflow", "redis_cluster_broker_password"),
        ):
            assert answer in redis_answers(lab, user, values[name])
        assert flower_answers(lab, values["flower_password"]) == status
        for role, database, name in (
            ("airflow", "airflow", "postgres_metastore_password"),
            ("airflow_owner", "airflow", "postgres_metastore_owner_password"),
            ("airflow_results", "airflow_results", "postgres_metastore_results_password"),
        ):
            assert postgres_takes(lab, role, database, values[name]) is taken, (role, taken)
    assert connection(lab, "lab") == "of the lab"
    for host in lab.group("airflow_master"):
        keys = lab.host(host).check_output("systemctl show airflow-api-server -P Environment")
        assert "TRUSTED_JWKS_URL" not in keys

    # What the file holds now is what runs.
    again = lab.playbook("site.yml", "-e", f"@{secrets.file}", *secrets.arguments[:2], *variables)
    assert sum(counts["changed"] for counts in recap(again).values()) == 0, recap(again)
