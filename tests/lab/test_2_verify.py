# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at the cluster from the outside and on its hosts; `molecule verify` runs this file too."""

from __future__ import annotations

import base64
import gzip
import json
import re
import shlex
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from ansible_collections.airflowops.cluster.plugins.module_utils.host.diagnostics import forms
from lab import MASTER_UNITS, Lab, wait_until
from lab import credential as opened


def units_of(lab: Lab, host: str) -> list[str]:
    """The units that a host must run, by its groups."""
    variables = lab.variables(host)
    units = []
    if host in lab.group("redis_cluster"):
        ports = variables.get("redis_cluster_ports", [7000, 7001])
        units += [f"redis-cluster@{port}" for port in ports]
    if host in lab.group("airflow_master"):
        units += MASTER_UNITS
    if host in lab.group("airflow_worker"):
        units += [f"airflow-worker@{worker['name']}" for worker in variables["airflow_workers"]]
        units += ["airflow-task-logs"]
    if host in lab.group("flower"):
        units += ["flower"]
    if host in lab.group("nginx_lb"):
        units += ["nginx"]
    if {host} & {*lab.group("airflow_master"), *lab.group("airflow_worker"), *lab.group("flower")}:
        units += ["haproxy"]
    return units


def redis_info(lab: Lab, avoid: str | None = None, **arguments: object) -> dict:
    """As the other hosts see it, if one is to be avoided, as it is cut off or off."""
    hosts = [name for name in lab.group("redis_cluster") if name != avoid]
    host = hosts[0]
    ports = lab.variables(host).get("redis_cluster_ports", [7000, 7001])
    nodes = [{"host": lab.address(name), "port": port} for name in hosts for port in ports]
    return lab.module(
        host, "airflowops.cluster.redis_cluster_info", nodes=nodes, password=lab.secret("redis"), **arguments
    )


def test_units_run_and_start_at_boot(lab: Lab) -> None:
    for host in lab.hosts:
        units = units_of(lab, host)
        names = " ".join(units)
        if units:
            assert lab.host(host).run(f"systemctl is-active {names}").stdout.split() == ["active"] * len(
                units
            ), host
            assert lab.host(host).run(f"systemctl is-enabled {names}").stdout.split() == ["enabled"] * len(
                units
            ), host


def test_no_unit_has_failed(lab: Lab) -> None:
    for host in lab.hosts:
        assert lab.host(host).check_output("systemctl --failed --plain --no-legend") == ""


def test_units_can_do_little_more_than_they_must(lab: Lab) -> None:
    """Those that the collection writes; 0 is nothing, 10 everything: systemd-analyze(1)."""
    seen = 0
    for host in lab.hosts:
        written = lab.host(host).check_output(
            "grep -l '^# Ansible managed' /etc/systemd/system/*.service | xargs -rn1 basename"
        )
        for unit in written.split():
            if unit.endswith("@.service"):
                unit = unit.replace("@.", "@1.")
            text = lab.host(host).check_output(f"systemd-analyze security --no-pager {unit} | tail -1")
            level = re.search(r"exposure level for \S+: ([0-9.]+)", text)
            assert level, text
            assert float(level[1]) <= 3.0, (host, text)
            assert lab.host(host).check_output(f"systemctl show -P User {unit}") not in ("", "root")
            seen += 1
    assert seen >= 10


def test_old_logs_are_removed(lab: Lab) -> None:
    """By the rule that is there, with an age of a second in place of its days."""
    worker = lab.host(lab.group("airflow_worker")[0])
    folder = "/var/log/airflow/dag_id=old"
    worker.run_expect([0], f"install -d -o airflow {folder} && touch {folder}/1.log")
    rule = "/etc/tmpfiles.d/airflow.conf"
    assert worker.check_output(f"grep -c ' 30d$' {rule}") == "1"
    worker.run_expect([0], f"systemd-tmpfiles --clean {rule}")
    assert worker.file(f"{folder}/1.log").exists
    worker.run_expect([0], f"sleep 2; sed 's/ 30d$/ 1s/' {rule} | systemd-tmpfiles --clean -")
    assert not worker.file(f"{folder}/1.log").exists
    assert worker.service("systemd-tmpfiles-clean.timer").is_running


def test_the_distributions_redis_stays_out(lab: Lab) -> None:
    for host in lab.group("redis_cluster"):
        assert not lab.host(host).socket("tcp://0.0.0.0:6379").is_listening
        assert lab.host(host).service("redis-server").is_masked


def test_redis_cli_agrees_with_the_module(lab: Lab) -> None:
    info = redis_info(lab)
    assert info["cluster_state"] == "ok"
    assert info["slots_covered"] == 16384
    host = lab.group("redis_cluster")[0]
    node = info["topology"][0]
    check = lab.host(host).run(
        f"REDISCLI_AUTH={shlex.quote(lab.secret('redis'))}"
        f" redis-cli --cluster check {node['host']}:{node['port']}"
    )
    assert check.rc == 0, check.stdout
    assert "[OK] All 16384 slots covered." in check.stdout
    assert check.stdout.count("M: ") == sum(node["role"] == "master" for node in info["topology"])
    assert check.stdout.count("S: ") == sum(node["role"] == "replica" for node in info["topology"])
    for node in info["topology"]:
        assert node["id"] in check.stdout


@pytest.mark.topology("multi_node")
def test_no_archive_is_left_of_the_release_that_was_offered(lab: Lab) -> None:
    for master in lab.group("airflow_master"):
        assert lab.host(master).check_output("find /var/lib /opt/airflow -name release.tar") == ""
        assert not lab.host(master).service("airflow-release").is_running


@pytest.mark.topology("multi_node")
def test_no_replica_shares_a_host_with_its_master(lab: Lab) -> None:
    topology = {node["id"]: node for node in redis_info(lab)["topology"]}
    replicas = [node for node in topology.values() if node["role"] == "replica"]
    assert len(replicas) == 3
    for replica in replicas:
        assert replica["host"] != topology[replica["master_id"]]["host"]
    assert len({node["host"] for node in topology.values() if node["role"] == "master"}) == 3


def test_redis_keeps_what_it_is_given(lab: Lab) -> None:
    host = lab.group("redis_cluster")[0]
    settings = lab.host(host).check_output(
        f"REDISCLI_AUTH={shlex.quote(lab.secret('redis'))} redis-cli -p 7000"
        " config get maxmemory-policy appendonly cluster-require-full-coverage"
    )
    assert "noeviction" in settings
    assert "appendonly\nyes" in settings
    refused = lab.host(host).run("redis-cli -p 7000 ping")
    assert "NOAUTH" in refused.stdout + refused.stderr


def test_the_brokers_user_reaches_the_brokers_keys_alone(lab: Lab) -> None:
    """Through the endpoint of a worker, as whoever can read its secrets could."""
    redis = lab.host(lab.group("redis_cluster")[0])
    owner = redis_info(lab, key="{airflow}:x")["owner_of"]
    login = f"REDISCLI_AUTH={shlex.quote(lab.secret('broker'))} redis-cli --user airflow"
    commands = {
        "set {airflow}:of-a-test 1": "OK",
        "del {airflow}:of-a-test": "1",
        "get {other}:key": "NOPERM",
        "publish other 1": "NOPERM",
        "keys *": "NOPERM",
        "flushall": "NOPERM",
        "config get requirepass": "NOPERM",
        "cluster failover": "NOPERM",
        "acl list": "NOPERM",
        "client kill type normal": "NOPERM",
    }
    for command, answer in commands.items():
        reported = redis.run(f"{login} -h {owner['host']} -p {owner['port']} {command}")
        assert answer in reported.stdout + reported.stderr, (command, reported.stdout)
    everything = lab.host(lab.group("airflow_worker")[0]).run(
        f"grep -rlF {shlex.quote(lab.secret('redis'))} /etc /opt/airflow/current/runtime /var/lib/airflow"
    )
    if lab.group("airflow_worker")[0] not in lab.group("redis_cluster"):
        assert everything.stdout == "", "the administrator's password is on a worker"


def test_endpoints_listen_on_loopback_alone(lab: Lab) -> None:
    for host in lab.hosts:
        if "haproxy" in units_of(lab, host):
            listening = lab.host(host).check_output("ss --listening --tcp --numeric --no-header").split()
            for port in (16379, 15432, 18080):
                sockets = [address for address in listening if address.endswith(f":{port}")]
                assert sockets == [f"127.0.0.1:{port}"], f"{port} on {host}"


def test_metastore_lets_each_host_in_for_what_it_does_alone(lab: Lab) -> None:
    host = lab.group("postgres_metastore")[0]
    rules = lab.host(host).check_output("cat $(cd / && sudo -u postgres psql -Atc 'show hba_file')")
    assert "trust" not in rules
    allowed: dict[tuple[str, str], set[str]] = {}
    for line in rules.splitlines():
        if line.startswith("host"):
            kind, database, roles, address, method = line.split()[:5]
            assert kind == "hostssl"
            if method == "cert":  # Members of several among themselves.
                continue
            assert method == "scram-sha-256"
            allowed.setdefault((database, roles), set()).add(address)
    masters = {f"{lab.address(name)}/32" for name in lab.group("airflow_master")}
    workers = {f"{lab.address(name)}/32" for name in lab.group("airflow_worker")}
    assert allowed == {
        ("airflow", "airflow,airflow_next,airflow_owner"): masters,
        ("airflow_results", "airflow_results,airflow_results_next"): masters | workers,
    }
    stored = lab.host(host).check_output(
        'cd / && sudo -u postgres psql -Atc "select rolname, left(rolpassword, 14) from pg_authid '
        "where rolname like 'airflow%' order by rolname\""
    )
    assert stored.split() == [
        "airflow|SCRAM-SHA-256$",
        "airflow_monitor|",
        "airflow_owner|SCRAM-SHA-256$",
        "airflow_results|SCRAM-SHA-256$",
    ]


def sql(lab: Lab, host: str, credential: str, statement: str, database: str = "") -> str:
    """What a program with that way into PostgreSQL gets from it: the first row, or the error."""
    code = (
        "import os, sys, psycopg2\n"
        "from sqlalchemy import make_url\n"
        f"text = open(os.environ['CREDENTIALS_DIRECTORY'] + '/{credential}').read()\n"
        "url = make_url(text.removeprefix('db+')).set(drivername='postgresql')\n"
        f"url = url.set(database={database!r} or url.database)\n"
        "try:\n"
        "    link = psycopg2.connect(url.render_as_string(hide_password=False))\n"
        "    cursor = link.cursor()\n"
        f"    cursor.execute({statement!r})\n"
        "    print(cursor.fetchone())\n"
        "except psycopg2.Error as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    return lab.host(host).check_output(
        "systemd-run --pipe --wait --quiet --collect --uid=airflow "
        f"{opened(credential)} /opt/airflow/current/bin/python -c {shlex.quote(code)}"
    )


def where_in_clear(lab: Lab, host: str, secrets: list[str], look: str) -> str:
    """What commands report that use $find, which is a grep for the secrets."""
    # sudo notes its commands in the journal, and the list of processes shows this one.
    not_in_clear = base64.b64encode(gzip.compress("\n".join(secrets).encode())).decode()
    file = "/run/to-be-found"
    prepare = f"umask 077; cd /; echo {not_in_clear} | base64 -d | gunzip > {file}; find='grep -aFf {file}'"
    look = f"{prepare}; {look}; rm {file}"
    return lab.host(host).run_expect([0], look).stdout.replace(f"{file}\n", "")


WORKERS_WAY = "AIRFLOW__CELERY__RESULT_BACKEND"
MASTERS_WAY = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"


def test_a_workers_credentials_do_not_reach_airflows_tables(lab: Lab) -> None:
    """What its unit hands to a worker, whatever else is on the host."""
    worker = lab.group("airflow_worker")[0]
    folders = "/run/credentials/airflow-worker@*.service"
    names = lab.host(worker).check_output(f"ls {folders}/* | xargs -n1 basename").split()
    # And by what way Python packages come, where the inventory says so.
    assert {*names} - {"AIRFLOWOPS_PACKAGES"} == {
        "AIRFLOW__CELERY__BROKER_URL",
        "AIRFLOW__CELERY__RESULT_BACKEND",
    }
    handed_out = lab.host(worker).check_output(f"cat {folders}/*")
    for name in ("postgres", "postgres-owner", "fernet", "jwt", "admin"):
        assert lab.secret(name) not in handed_out, name
    # Its own database serves.
    assert sql(lab, worker, WORKERS_WAY, "SELECT count(*) >= 0 FROM celery_taskmeta") == "(True,)"
    # Airflow's lets it not even in: neither by pg_hba.conf, nor where that would, by right.
    assert "no pg_hba.conf entry" in sql(lab, worker, WORKERS_WAY, "SELECT 1", database="airflow")
    metastore = lab.host(lab.group("postgres_metastore")[0])
    as_postgres = "cd / && sudo -u postgres psql -d airflow"
    for statement in ("SELECT * FROM dag", "SELECT * FROM connection", "SELECT * FROM variable"):
        reported = metastore.run(f"{as_postgres} -c 'SET ROLE airflow_results' -c {shlex.quote(statement)}")
        assert "permission denied" in reported.stderr, statement
    may = "SELECT has_database_privilege('airflow_results', 'airflow', 'CONNECT')"
    assert metastore.check_output(f'cd / && sudo -u postgres psql -Atc "{may}"') == "f"


def test_the_application_changes_rows_and_no_table(lab: Lab) -> None:
    master = lab.group("airflow_master")[0]
    assert sql(lab, master, MASTERS_WAY, "SELECT count(*) > 0 FROM dag") == "(True,)"
    for statement in (
        "DROP TABLE dag",
        "ALTER TABLE dag ADD COLUMN x int",
        "TRUNCATE dag",
        "CREATE TABLE x (i int)",
        "CREATE ROLE x",
        "SELECT rolpassword FROM pg_authid",
        "COPY dag TO PROGRAM 'true'",
    ):
        assert sql(lab, master, MASTERS_WAY, statement).startswith("InsufficientPrivilege"), statement
    # Not even in memory.
    kept = where_in_clear(lab, master, [lab.secret("postgres-owner")], "$find -rl /run")
    assert kept == "", "the owner's password is kept"


def test_who_watches_sees_figures_and_no_row(lab: Lab) -> None:
    metastore = lab.host(lab.group("postgres_metastore")[0])
    login = "cd / && sudo -u postgres psql -U airflow_monitor -d airflow -Atc"
    assert int(metastore.check_output(f"{login} 'SELECT count(*) FROM pg_stat_activity'")) > 0
    assert "permission denied" in metastore.run(f"{login} 'SELECT * FROM dag'").stderr


def test_a_host_holds_what_its_parts_need(lab: Lab) -> None:
    for host in lab.hosts:
        machine = lab.host(host)
        if "haproxy" in units_of(lab, host):
            folder = "/etc/airflow/credentials"
            assert machine.file(folder).mode == 0o700
            held = machine.check_output(f"ls {folder}")
            assert ("AIRFLOW__CORE__FERNET_KEY" in held) == (host in lab.group("airflow_master"))
            assert ("FLOWER_BASIC_AUTH" in held) == (host in lab.group("flower"))
            assert set(machine.check_output(f"stat -c %a:%U {folder}/*").split()) == {"600:root"}
        if host in lab.group("redis_cluster"):
            assert machine.file("/var/lib/redis-cluster/7000").mode == 0o700


def test_no_secret_in_clear_text(lab: Lab) -> None:
    """On no disk, in no process list, no journal and no unit's properties. Left out: memory."""
    known = [lab.secret(path.name) for path in (lab.directory / "secrets").iterdir()]
    # As URLs, JSON, Python and HAProxy write them.
    secrets = sorted({form.decode() for secret in known for form in forms(secret) if len(form) >= 16})
    # Nor in what Ansible had sudo do, which is noted there; but what these tests do themselves is left out.
    elsewhere = " ".join(f"--exclude-dir={name}" for name in ("proc", "sys", "dev", "run", "journal"))
    look = (
        f"$find -rl {elsewhere} /;"
        " ps -ww -eo args | $find;"
        " systemctl show '*' | $find;"
        " journalctl --no-pager -o cat | awk '!/COMMAND=|command continued/ || /BECOME-SUCCESS/' | $find"
    )
    with ThreadPoolExecutor() as pool:
        found = pool.map(lambda host: where_in_clear(lab, host, secrets, look), lab.hosts)
        assert not {host: text for host, text in zip(lab.hosts, found, strict=True) if text}


def test_haproxy_takes_over_its_configuration_without_a_restart(lab: Lab) -> None:
    """Its login at the broker is encrypted, and must be readable by what checks the configuration before."""
    machine = lab.host(lab.group("airflow_worker")[0])
    pid = machine.check_output("systemctl show -P MainPID haproxy")
    machine.run_expect([0], "systemctl reload haproxy")
    assert machine.check_output("systemctl show -P MainPID haproxy") == pid


def test_airflow_command_simply_works(lab: Lab) -> None:
    for host in (lab.group("airflow_master")[0], lab.group("airflow_worker")[0]):
        assert lab.host(host).check_output("airflow version").strip().endswith("3.3.2")
    master = lab.host(lab.group("airflow_master")[0])
    assert master.run("airflow db check").rc == 0
    assert "hello_world2" in master.check_output("airflow dags list")


def test_every_part_is_healthy(lab: Lab) -> None:
    with urllib.request.urlopen(f"{lab.url}/api/v2/monitor/health", timeout=10) as answer:
        health = json.load(answer)
    for part in ("metadatabase", "scheduler", "triggerer", "dag_processor"):
        assert health[part]["status"] == "healthy", health


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_what_nginx_shows_and_what_it_hides(lab: Lab) -> None:
    assert status(f"{lab.url}/api/v2/version") == 200
    assert status(f"{lab.url}/api/v2/dags") == 401
    assert status(f"{lab.url}/execution/health") == 404
    assert status(f"{lab.url}/flower/") == 401
    assert status(f"{lab.url}/flower/metrics") == 404
    assert status(f"{lab.url}/flower/healthcheck") == 404


def run_dag(lab: Lab, dag_id: str, **arguments: object) -> dict:
    host = lab.group("nginx_lb")[0]
    return lab.module(
        host, "airflowops.cluster.airflow_dag_run",
        url=lab.url if lab.ca else "http://127.0.0.1",
        ca_path="/etc/airflowops/front-ca.crt" if lab.ca else None,
        use_proxy=False,
        username="admin", password=lab.secret("admin"), dag_id=dag_id, **arguments,
    )  # fmt: skip


def test_tasks_run_where_their_queue_is_served(lab: Lab) -> None:
    served: dict[str, set[str]] = {}
    for host in lab.group("airflow_worker"):
        for worker in lab.variables(host)["airflow_workers"]:
            for queue in worker["queues"]:
                served.setdefault(queue, set()).add(lab.own_name(host))
    for dag_id, count in (("hello_world2", 2), ("test_ha_celery_workers", 9)):
        run = run_dag(lab, dag_id)
        assert run["state"] == "success"
        assert len(run["tasks"]) == count
        for task in run["tasks"]:
            assert task["state"] == "success"
            assert task["try_number"] == 1
            assert task["host"] in served[task["queue"]], task


def served_by(task: dict) -> str:
    """What the sample DAG prints, with the first part of the host's name."""
    return f"served by {task['host'].partition('.')[0]}"


def test_the_log_of_each_task_comes_from_its_worker(lab: Lab) -> None:
    run = run_dag(lab, "hello_world2")
    for task in run["tasks"]:
        path = f"dags/hello_world2/dagRuns/{run['run_id']}/taskInstances/{task['task_id']}/logs/1"
        # The worker writes the last lines when the task has ended.
        content = wait_until(
            f"the log of {task['task_id']}",
            lambda path=path, task=task: (
                text if served_by(task) in (text := json.dumps(lab.airflow.get(path))) else None
            ),
            timeout=10,
        )
        assert "Could not read served logs" not in content
