# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metastore is backed up, spoiled and restored with many task instances in it: with --long, 200,000."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import BIN, ROOT, Lab, changed, wait_until
from test_2_verify import run_dag

pytestmark = pytest.mark.topology("single_node")
REPOSITORY = "/var/lib/pgbackrest"


def sql(lab: Lab, statement: str) -> str:
    command = f'cd / && sudo -u postgres psql -d airflow -Atq -v ON_ERROR_STOP=1 -c "{statement}"'
    return lab.host(lab.group("postgres_metastore")[0]).check_output(command)


def refused(lab: Lab, playbook: str, *arguments: str) -> str:
    """The error, on one line, of a run that must change nothing."""
    output = lab.playbook(ROOT / "playbooks" / playbook, *arguments, check=False)
    assert changed(output) == 0
    assert "fatal:" in output
    return " ".join(output.split("fatal:")[1].split("PLAY RECAP")[0].split())


@pytest.fixture(scope="module", autouse=True)
def task_instances(lab: Lab, pytestconfig: pytest.Config) -> Iterator[int]:
    number = 200_000 if pytestconfig.getoption("--long") else 20_000
    run_dag(lab, "hello_world2")
    sql(
        lab,
        "INSERT INTO task_instance SELECT (jsonb_populate_record(rows.one, jsonb_build_object("
        "'id', gen_random_uuid(), 'map_index', number))).* "
        "FROM (SELECT one FROM task_instance AS one LIMIT 1) AS rows, "
        f"generate_series(1000, {999 + number}) AS number",
    )
    yield number
    sql(lab, "DELETE FROM task_instance WHERE map_index >= 1000")


def test_the_first_run_began_a_backup(lab: Lab) -> None:
    host = lab.host(lab.group("postgres_metastore")[0])
    shown = host.check_output("sudo -u postgres pgbackrest --stanza=airflow info")
    assert "full backup" in shown
    assert "metastore-backup-full.timer" in host.check_output("systemctl list-timers --no-legend")


def test_a_disk_without_room_is_told_before_anything_is_written(lab: Lab) -> None:
    host = lab.host(lab.group("postgres_metastore")[0])
    small = "/run/small-disk"
    host.run_expect([0], f"mkdir -p {small} && mount -t tmpfs -o size=500m tmpfs {small}")
    host.run_expect([0], f"cp -a {REPOSITORY}/. {small} && mount --bind {small} {REPOSITORY}")
    left = int(host.check_output(f"df --output=avail -B1 {small} | tail -n 1"))
    host.run_expect([0], f"fallocate -l {left - 20_000_000} {small}/full")
    try:
        problem = refused(lab, "backup.yml", "-e", "backup=full")
    finally:
        host.run_expect([0], f"umount {REPOSITORY} && umount {small}")
    assert f"Free disk for the backups in {REPOSITORY} on {lab.group('postgres_metastore')[0]} is" in problem
    assert "postgres_metastore_backup_retention_full" in problem


def test_what_cannot_be_restored_is_refused(lab: Lab) -> None:
    too_early = refused(lab, "restore.yml", "-e", "restore_to='2020-01-01 00:00:00+00:00'")
    assert "give a moment between the end of the first backup" in too_early
    assert "cannot be restored" in refused(lab, "restore.yml", "-e", "restore_to=yesterday")
    assert "-e restore_stop_airflow=true" in refused(lab, "restore.yml")


def test_a_dropped_table_comes_back_with_all_up_to_the_second_before(lab: Lab, task_instances: int) -> None:
    lab.playbook(ROOT / "playbooks/backup.yml", "-e", "backup=full")
    # What follows is in the WAL alone.
    assert run_dag(lab, "hello_world2")["state"] == "success"
    # The clock counts whole seconds.
    time.sleep(1.1)
    runs, moment = sql(lab, "SELECT count(*), date_trunc('second', now()) FROM dag_run").split("|")
    time.sleep(2)
    sql(lab, "DROP TABLE task_instance CASCADE")
    started = time.monotonic()
    lab.playbook(
        ROOT / "playbooks/restore.yml", "-e", f"restore_to='{moment}:00'", "-e", "restore_stop_airflow=true"
    )
    print(f"restored with {task_instances} task instances: {time.monotonic() - started:.0f} s")
    assert sql(lab, "SELECT count(*) FROM dag_run") == runs
    assert int(sql(lab, "SELECT count(*) FROM task_instance")) > task_instances
    assert run_dag(lab, "hello_world2")["state"] == "success"


def test_what_was_there_before_is_kept(lab: Lab) -> None:
    host = lab.host(lab.group("postgres_metastore")[0])
    assert "main.before-restore-" in host.check_output("ls /var/lib/postgresql/*/")
    host.run_expect([0], "rm -r /var/lib/postgresql/*/main.before-restore-*")


def test_backups_are_verified_and_backing_up_goes_on_after_a_restore(lab: Lab, task_instances: int) -> None:
    lab.playbook(ROOT / "playbooks/backup.yml")
    output = " ".join(lab.playbook(ROOT / "playbooks/backup_verify.yml").split())
    assert "accepted by `airflow db check` and `airflow db check-migrations`" in output
    counted = int(output.split("task_instance|")[1].split(",")[0])
    assert counted > task_instances
    assert changed(lab.playbook("site.yml")) == 0


TLS_FRONT = """
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen s3
    bind 127.0.0.1:9443 ssl crt /etc/airflowops/s3.pem
    server moto {address}:{port}
"""


@pytest.fixture
def object_store(lab: Lab, tmp_path: Path) -> Iterator[dict[str, str]]:
    """S3 as moto plays it on this machine. An HAProxy on the host speaks TLS for it, which it does badly."""
    host = lab.host(lab.group("postgres_metastore")[0])
    address = host.check_output("ip route show default").split()[2]
    with socket.socket() as free:
        free.bind((address, 0))
        port = free.getsockname()[1]
    pair = tmp_path / "s3.crt", tmp_path / "s3.key"
    lab.run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-out", pair[0], "-keyout", pair[1], "-days", "2", "-subj", "/CN=s3.lab.test",
        "-addext", "subjectAltName=DNS:s3.lab.test",
    )  # fmt: skip
    for path, text in {
        "/etc/airflowops/s3.crt": pair[0].read_text(),
        "/etc/airflowops/s3.pem": pair[0].read_text() + pair[1].read_text(),
        "/etc/airflowops/s3.cfg": TLS_FRONT.format(address=address, port=port),
    }.items():
        host.run_expect([0], f"cat > {path} <<'END'\n{text}\nEND")
    host.run_expect([0], "grep -q s3.lab.test /etc/hosts || echo 127.0.0.1 s3.lab.test >> /etc/hosts")
    server = subprocess.Popen(
        [BIN / "moto_server", "-H", address, "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        # It would take the host's first word for a bucket.
        env={**os.environ, "S3_IGNORE_SUBDOMAIN_BUCKETNAME": "true"},
    )  # fmt: skip
    host.run_expect([0], "systemd-run --collect --unit=lab-s3 haproxy -W -f /etc/airflowops/s3.cfg")

    def make_bucket() -> bool:
        request = urllib.request.Request(f"http://{address}:{port}/airflow-backups", method="PUT")
        return urllib.request.urlopen(request, timeout=5).status == 200

    try:
        wait_until("a bucket", make_bucket, timeout=30)
        yield {
            "bucket": "airflow-backups",
            "endpoint": "s3.lab.test:9443",
            "region": "eu-central-1",
            "key": "a-key",
            "key_secret": "a-secret-key",
            "uri_style": "path",
            "ca_file": "/etc/airflowops/s3.crt",
        }
    finally:
        host.run("systemctl stop lab-s3; rm /etc/airflowops/s3.*")
        server.terminate()
        server.wait(10)


@pytest.mark.usefixtures("long")
def test_backups_in_an_object_store_encrypted(lab: Lab, object_store: dict[str, str]) -> None:
    settings = {
        "postgres_metastore_backup_s3": object_store,
        "postgres_metastore_backup_passphrase": "a passphrase of some length",
    }
    there = ("-e", json.dumps(settings))
    lab.playbook("site.yml", *there, "--tags", "postgres_metastore")
    lab.playbook(ROOT / "playbooks/backup.yml", *there, "-e", "backup=full")
    output = " ".join(lab.playbook(ROOT / "playbooks/backup_verify.yml", *there).split())
    assert "accepted by `airflow db check`" in output
    shown = lab.host(lab.group("postgres_metastore")[0]).check_output(
        "sudo -u postgres pgbackrest --stanza=airflow info"
    )
    assert "cipher: aes-256-cbc" in shown
    # Back to the host's own disk, where the repository is still there.
    lab.playbook("site.yml", "--tags", "postgres_metastore")
    lab.playbook(ROOT / "playbooks/backup.yml")
