# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running cluster takes another database, TLS and another broker, by variables and site.yml alone."""

from __future__ import annotations

import json
import shlex
import shutil
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from lab import ROOT, Lab, changed, recap
from test_2_verify import redis_info, run_dag
from test_4_faults import Load, load_dag
from test_4_redis_life import process_ids

__all__ = ["load_dag"]
pytestmark = pytest.mark.topology("single_node")
CA = "/etc/airflowops/redis-ca.crt"
NEW_DAG = """
import datetime
from airflow.sdk import DAG, task

with DAG(dag_id="lab_new", schedule=None, start_date=datetime.datetime(2026, 1, 1)):

    @task
    def work() -> None:
        print("new")

    @task(queue="nobody", trigger_rule="all_failed")
    def later() -> None:
        print("never")

    work() >> later()
"""
TLS = ("-e", '{"redis_cluster_tls": true}')


def redis_cli(lab: Lab, arguments: str, *, user: str = "default", secret: str = "redis") -> str:
    password = shlex.quote(lab.secret(secret))
    done = lab.host(lab.group("redis_cluster")[0]).run(
        f"REDISCLI_AUTH={password} timeout 10 redis-cli --no-auth-warning --user {user} {arguments}"
    )
    return done.stdout + done.stderr


def test_an_option_that_airflow_does_not_know_is_named_and_not_written(lab: Lab) -> None:
    wrong = json.dumps({"airflow_config": {"core": {"paralelism": 64}}})
    output = lab.playbook("site.yml", "--tags", "airflow_common", "-e", wrong, check=False)
    assert (
        "airflow_config has [core] paralelism, which Airflow 3.3.2 does not know (did you mean parallelism?)"
        in " ".join(output.split())
    )
    assert changed(output) == 0
    assert (
        "paralelism"
        not in lab.host(lab.group("airflow_master")[0]).file("/etc/airflow/airflow.cfg").content_string
    )


def test_dags_are_deployed_in_seconds_and_a_broken_one_is_named(lab: Lab, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "roles/airflow_common/files/sample_dags", tmp_path, dirs_exist_ok=True)
    (tmp_path / "lab_new.py").write_text(NEW_DAG)
    (tmp_path / "lab_broken.py").write_text("import no_such_package\nfrom airflow.sdk import DAG\n")
    arguments = ("playbooks/dags_deploy.yml", "-e", f"airflow_dags_path={tmp_path}")
    output = " ".join(lab.playbook(*arguments, check=False).split())
    assert "failed=1" in output
    assert "lab_broken.py cannot be read (ModuleNotFoundError: No module named 'no_such" in output
    assert "No worker serves the queue nobody of lab_new.later: correct it" in output
    assert "lab_new.py" not in output
    # No waiting: it was read before the playbook ended, and a task runs from it.
    assert not lab.airflow.get("dags/lab_new")["is_stale"]
    assert run_dag(lab, "lab_new")["state"] == "success"
    # site.yml reports it too; there it is no error.
    output = " ".join(lab.playbook("site.yml", "--tags", "airflow_master").split())
    assert "No worker serves nobody, the queue of lab_new.later. Such tasks wait" in output
    (tmp_path / "lab_broken.py").unlink()
    (tmp_path / "lab_new.py").write_text(NEW_DAG.replace('queue="nobody", ', ""))
    begun = time.monotonic()
    assert "failed=0" in lab.playbook(*arguments)
    assert time.monotonic() - begun < 120
    lab.playbook("playbooks/dags_deploy.yml")
    assert not lab.host(lab.group("airflow_worker")[0]).file("/opt/airflow/dags/lab_new.py").exists


def test_a_new_value_is_taken_over_without_a_restart(lab: Lab) -> None:
    before = process_ids(lab)
    live = ("--tags", "redis_cluster", "-e", '{"redis_cluster_config": {"maxmemory": "333mb", "hz": 20}}')
    # The names of the directives are new: that alone takes a restart, one by one.
    lab.playbook("site.yml", *live)
    assert not before & (started := process_ids(lab))
    newer = [word.replace("333mb", "334mb").replace("20", "21") for word in live]
    assert changed(lab.playbook("site.yml", *newer)) > 0
    shown = (
        redis_cli(lab, "-p 7001 config get maxmemory").split()[1],
        redis_cli(lab, "-p 7001 config get hz").split()[1],
    )
    assert shown == (str(334 * 2**20), "21")
    assert process_ids(lab) == started
    assert changed(lab.playbook("site.yml", *newer)) == 0


def test_what_is_declared_in_airflow_is_made_and_removed(lab: Lab) -> None:
    declared = {
        "airflow_pools": [{"name": "lab", "slots": 3}, {"name": "default_pool", "slots": 256}],
        "airflow_variables": {"lab": {"a": [1, 2]}, "lab_text": "1.10"},
        "airflow_connections": {"lab": {"conn_type": "http", "host": "h", "password": "lab-hunter-two"}},
        "airflow_users": [
            {"username": "ann", "password": "lab-ann-pass", "email": "ann@example.org", "roles": ["Viewer"]}
        ],
    }
    arguments = ("--tags", "airflow_master", "-e", json.dumps(declared))
    first, second = lab.playbook("site.yml", *arguments), lab.playbook("site.yml", *arguments)
    assert (changed(first), changed(second)) == (1, 0), recap(second)
    assert "hunter" not in first + second
    assert "lab-ann-pass" not in first + second
    assert lab.airflow.get("pools/lab")["slots"] == 3
    assert lab.airflow.get("pools/default_pool")["slots"] == 256
    # The API reads it before it shows it.
    master = lab.host(lab.group("airflow_master")[0])
    assert master.check_output("airflow variables get lab_text").splitlines()[-1] == "1.10"
    assert lab.airflow.get("connections/lab")["host"] == "h"
    prune = {"airflow_prune": ["pools", "variables", "connections", "users"]}
    assert changed(lab.playbook("site.yml", "--tags", "airflow_master", "-e", json.dumps(prune))) == 1
    assert not lab.airflow.find("pools/lab")
    assert not lab.airflow.find("connections/lab")


def reset_password(lab: Lab, password: str) -> None:
    """Through standard input: the journal of a host holds what was called."""
    program = (
        "from airflow.cli.cli_parser import get_parser;"
        "args = ['users', 'reset-password', '--username', 'admin', '--password', input()];"
        "args = get_parser().parse_args(args); args.func(args)"
    )
    host = lab.host(lab.group("airflow_master")[0])
    host.check_output("printf %s | airflow-run python -c %s", password, program)


@pytest.mark.usefixtures("long")
def test_settings_of_any_type_reach_the_services(lab: Lab) -> None:
    host = lab.host(lab.group("airflow_master")[0])
    settings = {
        "airflow_environment": {"LAB_NUMBER": 2, "LAB_TEXT": "x"},
        # Redis itself has no use for it: what Airflow makes of it is looked at.
        "airflow_broker_transport_options": {"sentinel_kwargs": {"password": "lab-sentinel-7Qp"}},
    }
    output = lab.playbook("site.yml", "--diff", "-e", json.dumps(settings))
    assert "lab-sentinel" not in output
    assert run_dag(lab, "hello_world2")["state"] == "success"
    program = (
        "import os; from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG as c;"
        "o = c['broker_transport_options'];"
        "print(os.environ['LAB_NUMBER'], os.environ['LAB_TEXT'], o['sentinel_kwargs'])"
    )
    printed = host.check_output("airflow-run python -c %s", program).splitlines()[-1]
    assert printed == "2 x {'password': 'lab-sentinel-7Qp'}"
    assert host.run("grep -rIlF lab-sentinel /etc /opt /var").stdout == ""
    # A first user whose password was changed by its owner.
    reset_password(lab, "another-one-4Kd")
    try:
        output = lab.playbook("site.yml")
        assert "admin has another password than airflow_admin_password" in output
        assert changed(lab.playbook("site.yml")) == 0
    finally:
        reset_password(lab, lab.secret("admin"))
    # What is declared no more is there no more.
    gone = host.run("ls /etc/airflow/credentials | grep -E 'AIRFLOWOPS_ENVIRONMENT|SENTINEL'")
    assert gone.stdout == ""


def another_database(lab: Lab, password: str) -> dict[str, str]:
    """The same PostgreSQL, as if it were the user's own. Nothing listens on the first address."""
    server = lab.address(lab.hosts[0])
    options = (
        f"host=127.0.0.1:9&host={server}:5432&target_session_attrs=read-write"
        "&sslmode=verify-ca&sslrootcert=/etc/airflowops/metastore-ca.crt"
    )
    owner, results = quote(lab.secret("postgres-owner")), quote(lab.secret("postgres-results"))
    logins = {
        "airflow_database_url": f"airflow:{quote(password)}@/airflow",
        "airflow_database_owner_url": f"airflow_owner:{owner}@/airflow",
        "airflow_result_backend_url": f"airflow_results:{results}@/airflow_results",
    }
    urls = {name: f"postgresql://{login}?{options}" for name, login in logins.items()}
    return {"postgres_metastore_group": "nobody", **urls}


def test_another_database_that_refuses_is_told_before_a_change(lab: Lab) -> None:
    variables = another_database(lab, "not-the-password")
    output = lab.playbook("site.yml", "-e", json.dumps(variables), check=False)
    reported = " ".join(output.split())
    assert "airflow_database_url cannot be used from node1" in reported
    assert "password authentication failed" in reported
    assert "not-the-password" not in output
    assert recap(output)["node1"]["changed"] == 0


@pytest.mark.usefixtures("long")
def test_another_database_takes_over(lab: Lab) -> None:
    host = lab.host(lab.hosts[0])
    variables = ("-e", json.dumps(another_database(lab, lab.secret("postgres"))))
    lab.playbook("site.yml", *variables)
    assert run_dag(lab, "hello_world2")["state"] == "success"
    assert host.run("ss -Hltn sport = :15432").stdout == ""
    assert changed(lab.playbook("site.yml", *variables)) == 0
    lab.playbook("site.yml")
    assert run_dag(lab, "hello_world2")["state"] == "success"


@pytest.mark.usefixtures("long", "load_dag")
def test_tls_is_switched_on_under_tasks(lab: Lab) -> None:
    load = Load(lab, tasks=60, seconds=1)
    load.under_way(5)
    lab.playbook("site.yml", *TLS, *lab.with_load)
    load.all_done(timeout=300)
    assert "PONG" not in redis_cli(lab, "-p 7000 ping")
    assert "PONG" in redis_cli(lab, f"-p 7000 --tls --cacert {CA} ping")
    info = redis_info(lab, tls=True, ca_cert=CA)
    assert (info["cluster_state"], info["slots_covered"]) == ("ok", 16384)
    assert run_dag(lab, "hello_world2")["state"] == "success"


@pytest.mark.usefixtures("long")
def test_second_run_with_tls_changes_nothing(lab: Lab) -> None:
    output = lab.playbook("site.yml", *TLS, *lab.with_load)
    assert changed(output) == 0, output


@pytest.mark.usefixtures("long")
def test_rabbitmq_takes_over(lab: Lab) -> None:
    """Debian's RabbitMQ on the same host; the Redis Cluster is left alone, and may be stopped."""
    host = lab.host(lab.hosts[0])
    host.run_expect(
        [0],
        "DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends rabbitmq-server"
        " && { rabbitmqctl add_vhost airflow; rabbitmqctl add_user airflow rAbb1t-0f-the-lab; true; }"
        " && rabbitmqctl set_permissions -p airflow airflow '.*' '.*' '.*'"
        " && systemctl stop 'redis-cluster@*'",
    )
    broker = "amqp://airflow:rAbb1t-0f-the-lab@127.0.0.1/airflow"
    variables = json.dumps({"redis_cluster_group": "nobody", "airflow_broker_url": broker})
    lab.playbook("site.yml", "-e", variables, *lab.with_load)
    run = run_dag(lab, "hello_world2")
    assert run["state"] == "success"
    queues = host.check_output("rabbitmqctl --quiet -p airflow list_queues name type")
    assert "cloudwalker_q1\tquorum" in queues
    output = lab.playbook("site.yml", "-e", variables, *lab.with_load)
    assert changed(output) == 0, output
