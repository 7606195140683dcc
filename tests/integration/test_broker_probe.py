# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe of a broker, against a real Redis with users."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.broker_login import broker_problem

SERVER = shutil.which("redis-server")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    if not SERVER:
        pytest.skip("Redis is not installed")
    folder: Path = tmp_path_factory.mktemp("redis")
    number = free_port()
    users = "user default on >Pass@of:default/1 ~* +@all\nuser airflow on >Kd83 ~* +@all\n"
    (folder / "users.acl").write_text(users, encoding="utf-8")
    command = [SERVER, "--port", str(number), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    with subprocess.Popen([*command, "--aclfile", str(folder / "users.acl")]) as running:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", number), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield number
        running.terminate()


@pytest.mark.parametrize(
    ("login", "says"),
    [
        (":Pass%40of%3Adefault%2F1@", ""),
        ("airflow:Kd83@", ""),
        ("airflow:wrong-one@", "the server refuses its login (WRONGPASS)"),
        ("", "the server asks for a password, and the URL has none"),
    ],
)
def test_the_login_to_redis(port: int, login: str, says: str) -> None:
    found = broker_problem(f"redis://{login}127.0.0.1:{port}/0")
    assert says in found
    assert bool(found) is bool(says)
    assert "wrong-one" not in found


def test_a_broker_that_is_not_there(port: int) -> None:
    away = f"127.0.0.1:{free_port()}"
    assert broker_problem(f"amqp://u:p@{away}/v").startswith(f"{away}: ")
    # RabbitMQ is asked for no more than a connection, and one sentinel is enough.
    assert broker_problem(f"amqp://u:p@127.0.0.1:{port}/v") == ""
    assert broker_problem(f"sentinel://{away};sentinel://127.0.0.1:{port}") == ""
    assert broker_problem("sqs://key:secret@") == ""


def test_tls_with_a_server_without_it(port: int) -> None:
    assert broker_problem(f"rediss://127.0.0.1:{port}/0").startswith(f"127.0.0.1:{port}: ")
