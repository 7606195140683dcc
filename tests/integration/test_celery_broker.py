# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patches of kombu against a real Redis: gone between taking a message and noting it, or for too long."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import redis
from test_airflow_queue_membership import PASSWORD, Broker, celery_python, stop

__all__ = ["celery_python"]
USER = "worker"
FILES = Path(__file__).resolve().parents[2] / "roles/airflow_common/files"

# How both programs below begin.
CLIENT = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from celery import Celery
from kombu.transport import redis as transport
app = Celery(broker=sys.argv[2])
app.conf.broker_transport_options = {
    "global_keyprefix": "{airflow}:", "socket_connect_timeout": 1, "visibility_timeout": 1
}
app.set_current()
app.set_default()
if sys.argv[3] == "ours":
    import airflowops_runtime.celery_config
"""

# Takes one message as a worker does; between the two commands of that it waits for a line.
TAKER = (
    CLIENT
    + """
note = transport.QoS.append
def wait_and_note(*arguments):
    print("taken", flush=True)
    sys.stdin.readline()
    note(*arguments)
transport.QoS.append = wait_and_note
with app.connection_for_read() as connection:
    try:
        connection.default_channel.basic_get("tasks")
    except Exception as error:
        print(type(error).__name__, flush=True)
time.sleep(30)
"""
)


def url(broker: Broker) -> str:
    return broker.url.replace("://:", f"://{USER}:")


def start(broker: Broker):
    # The broker's user reaches keys with the prefix alone, as with our role.
    user = f"{USER} on >{PASSWORD} ~{{airflow}}:* &{{airflow}}:* +@all -@admin -@dangerous"
    argv = [*broker.argv, "--appendonly", "yes", "--user", *user.split()]
    server = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    client = redis.Redis(port=broker.port, password=PASSWORD)
    for _ in range(100):
        try:
            if client.ping():
                break
        except redis.RedisError:
            time.sleep(0.05)
    return server, client


def publish(broker: Broker, python: str) -> None:
    program = (
        "import sys; from celery import Celery; app = Celery(broker=sys.argv[1]);"
        "app.conf.broker_transport_options = {'global_keyprefix': '{airflow}:'};"
        "app.send_task('anything', queue='tasks')"
    )
    subprocess.run([python, "-c", program, url(broker)], check=True, timeout=60)


def back_in_queue(tmp_path: Path, python: str, whose: str) -> int:
    broker = Broker(tmp_path)
    server, client = start(broker)
    taker = None
    try:
        publish(broker, python)
        assert client.llen("{airflow}:tasks") == 1
        taker = subprocess.Popen(
            [python, "-c", TAKER, str(FILES), url(broker), whose],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert taker.stdout.readline() == "taken\n"
        assert client.llen("{airflow}:tasks") == 0
        stop(server)
        taker.stdin.write("\n")
        taker.stdin.flush()
        assert "Error" in taker.stdout.readline()
        server, client = start(broker)
        deadline = time.monotonic() + 5
        while not client.llen("{airflow}:tasks") and time.monotonic() < deadline:
            time.sleep(0.1)
        return client.llen("{airflow}:tasks") + client.hlen("{airflow}:unacked")
    finally:
        stop(server)
        if taker:
            stop(taker)


def test_message_that_the_broker_took_with_it_is_put_back(tmp_path, celery_python):
    assert back_in_queue(tmp_path, celery_python, "ours") == 1


def test_without_it_the_message_is_lost(tmp_path, celery_python):
    """When this fails, kombu has fixed it, and the patch lost-message can go."""
    assert back_in_queue(tmp_path, celery_python, "kombu's") == 0


# Two workers' channels in one process: the first takes a message and holds it for longer than the visibility
# timeout, so that it is offered again and the second takes it. Then the first hands back what it held.
HOLDERS = (
    CLIENT
    + """
with app.connection_for_read() as one, app.connection_for_read() as other:
    assert one.default_channel.basic_get("tasks")
    if sys.argv[4] == "overdue":
        time.sleep(1.5)
        other.default_channel.qos.restore_visible(interval=1)
        assert other.default_channel.basic_get("tasks")
    one.default_channel.qos.restore_unacked_once()
    client = other.default_channel.client
    print(client.llen("tasks"), client.hlen("unacked"), flush=True)
    # Without the tidying up of a process that ends, which would hand back what is held.
    os._exit(0)
"""
)


def queued_and_held(tmp_path: Path, python: str, whose: str, how: str) -> str:
    broker = Broker(tmp_path)
    server, _ = start(broker)
    try:
        publish(broker, python)
        argv = [python, "-c", HOLDERS, str(FILES), url(broker), whose, how]
        return subprocess.run(argv, check=True, timeout=60, capture_output=True, text=True).stdout.strip()
    finally:
        stop(server)


def test_what_is_with_another_worker_is_not_handed_back(tmp_path, celery_python):
    assert queued_and_held(tmp_path, celery_python, "ours", "overdue") == "0 1"


def test_without_it_a_second_copy_is_queued(tmp_path, celery_python):
    """When this fails, kombu has fixed it, and the patch foreign-message can go."""
    assert queued_and_held(tmp_path, celery_python, "kombu's", "overdue") == "1 0"


def test_what_a_worker_holds_itself_is_handed_back(tmp_path, celery_python):
    assert queued_and_held(tmp_path, celery_python, "ours", "in time") == "1 0"


# Sends a message, waits for a line, sends another one as Airflow's scheduler does.
SENDER = (
    CLIENT
    + """
app.conf.task_publish_retry_policy = {
    "max_retries": 30, "interval_start": 0.1, "interval_step": 0.2, "interval_max": 0.5
}
app.send_task("anything", queue="tasks")
print("first", flush=True)
sys.stdin.readline()
try:
    app.send_task("anything", queue="tasks")
    print("sent", flush=True)
except Exception as error:
    print(type(error).__name__, flush=True)
"""
)


def sent_while_nobody_owns_the_slot(tmp_path: Path, python: str, whose: str) -> tuple[str, int]:
    broker = Broker(tmp_path)
    # By default 10000 above the port, which may be too high.
    broker.argv += ["--cluster-port", str(broker.port - 10000)]
    broker.argv += ["--cluster-enabled", "yes", "--cluster-config-file", str(tmp_path / "nodes.conf")]
    server, client = start(broker)
    sender = None
    try:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        while client.cluster("INFO")["cluster_state"] != "ok":
            time.sleep(0.1)
        sender = subprocess.Popen(
            [python, "-c", SENDER, str(FILES), url(broker), whose],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert sender.stdout.readline() == "first\n"
        client.execute_command("CLUSTER", "DELSLOTSRANGE", 0, 16383)
        sender.stdin.write("\n")
        sender.stdin.flush()
        time.sleep(1.5)
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        word = sender.stdout.readline().strip()
        while client.cluster("INFO")["cluster_state"] != "ok":
            time.sleep(0.1)
        return word, client.llen("{airflow}:tasks")
    finally:
        stop(server)
        if sender:
            stop(sender)


def test_message_sent_while_the_slot_changes_hands_arrives_once(tmp_path, celery_python):
    assert sent_while_nobody_owns_the_slot(tmp_path, celery_python, "ours") == ("sent", 2)


def test_without_it_sending_fails(tmp_path, celery_python):
    """When this fails, kombu has fixed it, and the patch slot-owner can go."""
    word, count = sent_while_nobody_owns_the_slot(tmp_path, celery_python, "kombu's")
    assert (word != "sent", count) == (True, 1)
