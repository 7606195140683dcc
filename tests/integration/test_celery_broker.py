# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""airflowops_broker against a real Redis that is gone between taking a message and noting it."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import redis
from test_airflow_queue_membership import PASSWORD, Broker, celery_python, stop

__all__ = ["celery_python"]
FILES = Path(__file__).resolve().parents[2] / "roles/airflow_common/files"

# Takes one message as a worker does; between the two commands of that it waits for a line.
TAKER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from celery import Celery
from kombu.transport import redis as transport
app = Celery(broker=sys.argv[2])
app.conf.broker_transport_options = {"global_keyprefix": "{airflow}:", "socket_connect_timeout": 1}
app.set_current()
app.set_default()
if sys.argv[3] == "ours":
    import airflowops_broker
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


def start(broker: Broker):
    argv = [*broker.argv, "--appendonly", "yes"]
    server = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    client = redis.Redis(port=broker.port, password=PASSWORD)
    for _ in range(100):
        try:
            if client.ping():
                break
        except redis.RedisError:
            time.sleep(0.05)
    return server, client


def back_in_queue(tmp_path: Path, python: str, whose: str) -> int:
    broker = Broker(tmp_path)
    server, client = start(broker)
    taker = None
    try:
        publish = (
            "import sys; from celery import Celery; app = Celery(broker=sys.argv[1]);"
            "app.conf.broker_transport_options = {'global_keyprefix': '{airflow}:'};"
            "app.send_task('anything', queue='tasks')"
        )
        subprocess.run([python, "-c", publish, broker.url], check=True, timeout=60)
        assert client.llen("{airflow}:tasks") == 1
        taker = subprocess.Popen(
            [python, "-c", TAKER, str(FILES), broker.url, whose],
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
    """When this fails, kombu has mended it, and airflowops_broker can go."""
    assert back_in_queue(tmp_path, celery_python, "kombu's") == 0
