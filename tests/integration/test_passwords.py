# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever password preflight accepts, servers and clients take: real ones, with hundreds of passwords.

PostgreSQL's are in test_postgres_probe.py, those of systemd, HAProxy, pgBackRest and Alertmanager in
tests/lab/test_4_passwords.py.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.airflowops.cluster.plugins.filter.topology import (
    redis_command,
    redis_quote,
    url_quote,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import (
    SECRETS,
    new_secret,
    secret_problem,
)
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from odd_passwords import BASE, PASSWORDS, SPECIAL
from test_airflow_dag_run import airflow_python, environment, free_port

ROOT = Path(__file__).resolve().parents[2]
PLAIN = [name for name in SECRETS if name not in ("airflow_fernet_key", "flower_password")]
ACCEPTED = [password for password in PASSWORDS if not secret_problem("redis_cluster_password", password)]
FOR_FLOWER = [password for password in PASSWORDS if not secret_problem("flower_password", password)]


# --- What is refused, and why


@pytest.mark.parametrize("name", PLAIN)
def test_refused_are_blanks_at_the_ends_alone(name: str) -> None:
    refused = {password: secret_problem(name, password) for password in PASSWORDS}
    wrong = {password: problem for password, problem in refused.items() if problem}
    assert wrong.keys() == {f" {BASE}", f"{BASE} "}
    assert all("white space" in problem for problem in wrong.values())


def test_flower_is_refused_what_it_could_not_take() -> None:
    for password in PASSWORDS:
        problem = secret_problem("flower_password", password)
        if password != password.strip():
            assert "white space" in problem
        elif "," in password:
            assert "comma" in problem
        else:
            assert ("ASCII" in problem) == (not password.isascii()), password


@pytest.mark.parametrize("character", [*map(chr, range(32)), "\x7f", "\x85", "\u2028", "\u2029", "\ud800"])
def test_a_control_character_is_refused_by_every_secret(character: str) -> None:
    for name in PLAIN:
        assert "control character" in secret_problem(name, f"{BASE}{character}{BASE}"), name


def test_no_secret_of_ours_needs_care() -> None:
    for _ in range(2000):
        value = new_secret("flower_password")
        assert value[0].isalnum() and value[-1].isalnum() and not secret_problem("flower_password", value)
    for _ in range(200):
        key = new_secret("airflow_fernet_key")
        assert key[0].isalnum() and not secret_problem("airflow_fernet_key", key)


# --- Redis


@pytest.fixture(scope="module")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A Redis with a user for each password: by digest as in users.acl, and quoted as in redis.conf."""
    if not shutil.which("redis-server"):
        pytest.skip("no redis-server here")
    folder = tmp_path_factory.mktemp("redis")
    port = free_port()
    lines = [f"port {port}", "bind 127.0.0.1", 'save ""', f"dir {folder}"]
    for number, password in enumerate(ACCEPTED):
        digest = hashlib.sha256(password.encode()).hexdigest()
        lines.append(f"user digest{number} on #{digest} ~* &* +@all")
        lines.append(f"user quoted{number} on {redis_quote('>' + password)} ~* &* +@all")
    (folder / "redis.conf").write_text("\n".join(lines) + "\n")
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(["redis-server", folder / "redis.conf"], stdout=log, stderr=log)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert server.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
        yield port
    finally:
        server.terminate()
        server.wait()


def test_redis_takes_them_from_both_files_in_the_form_of_haproxys_check(redis_port: int) -> None:
    with socket.create_connection(("127.0.0.1", redis_port), 5) as connection:
        answers = connection.makefile("rb")
        for number, password in enumerate(ACCEPTED):
            for kind in ("digest", "quoted"):
                connection.sendall(bytes.fromhex(redis_command(["AUTH", f"{kind}{number}", password])))
                assert answers.readline() == b"+OK\r\n", (kind, password)
        connection.sendall(bytes.fromhex(redis_command(["AUTH", "digest0", ACCEPTED[1]])))
        assert answers.readline().startswith(b"-WRONGPASS")


IN_AIRFLOWS_VENV = {
    # Publishes by the URL that the services have, as Celery and kombu read it.
    "celery": """
        from celery import Celery
        refused = []
        for url in given:
            app = Celery(broker=url, set_as_current=False)
            try:
                with app.connection_for_write() as connection:
                    connection.default_channel.client.ping()
            except Exception as error:
                refused.append([url, repr(error)])
        print(json.dumps(refused))
        """,
    # The option as Flower's own parser reads it; then a request over HTTP to Flower's own handler.
    "flower": """
        import base64
        from celery import Celery
        from flower.app import Flower
        from flower.options import default_options
        from flower.urls import handlers, settings
        from tornado.httpclient import AsyncHTTPClient
        from tornado.ioloop import IOLoop
        from tornado.options import options

        async def status(login):
            header = "Basic " + base64.b64encode(login.encode()).decode()
            url = f"http://127.0.0.1:{port}/api/task/types"
            answer = await AsyncHTTPClient().fetch(url, headers={"Authorization": header}, raise_error=False)
            return answer.code

        async def all_of_them():
            found = {}
            for password in given:
                options.parse_command_line(["flower", f"--basic-auth=flower:{password}"])
                found[password] = [await status(f"flower:{password}"), await status("flower:another")]
            return found

        app = Flower(capp=Celery(), options=options, handlers=handlers, **settings)
        app.listen(port, "127.0.0.1")
        print(json.dumps(IOLoop.current().run_sync(all_of_them, timeout=300)))
        """,
    # The command that the role runs, all in one process, and what Airflow then has of each user.
    "airflow": """
        import runpy, contextlib, io
        setup = runpy.run_path(setup_file)
        with contextlib.redirect_stdout(io.StringIO()):
            for number, password in enumerate(given):
                os.environ.update(AIRFLOWOPS_USER=f"-user{number}", AIRFLOWOPS_EMAIL=f"{number}@example.org",
                                  AIRFLOWOPS_PASSWORD=password)
                setup["run"](setup["command"]("user"))
        from airflow.providers.fab.auth_manager.models import User
        from airflow.utils.session import create_session
        from airflow.models.log import Log
        from werkzeug.security import check_password_hash
        with create_session() as session:
            kept = {user.username: user.password for user in session.query(User)}
            logged = " ".join(str(log.extra) for log in session.query(Log))
        refused = [password for number, password in enumerate(given)
                   if not check_password_hash(kept.get(f"-user{number}", "scrypt:1:1:1$x$0"), password)]
        # As a list in JSON: a quote or a backslash is escaped there.
        shown = [password for password in given if json.dumps(password)[1:-1] in logged]
        print(json.dumps([refused, shown]))
        """,
}


def in_venv(what: str, given: Any, extra: dict[str, str] | None = None, **names: Any) -> Any:
    """What a program in the virtualenv of the locked Airflow prints as its last line."""
    lines = IN_AIRFLOWS_VENV[what].splitlines()
    code = "\n".join(line[8:] for line in lines)
    prefix = "import json, os, sys\ngiven = json.load(sys.stdin)\n"
    prefix += "".join(f"{name} = {value!r}\n" for name, value in names.items())
    done = subprocess.run(
        [airflow_python(), "-c", prefix + code], input=json.dumps(given), capture_output=True, text=True,
        check=False, timeout=500, env={**os.environ, **(extra or {})}, cwd="/",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_celery_logs_in_by_url(redis_port: int) -> None:
    urls = [
        f"redis://digest{number}:{url_quote(password)}@127.0.0.1:{redis_port}/0"
        for number, password in enumerate(ACCEPTED)
    ]
    wrong = f"redis://digest0:{url_quote(ACCEPTED[1])}@127.0.0.1:{redis_port}/0"
    refused = in_venv("celery", [*urls, wrong])
    assert [url for url, _ in refused] == [wrong], refused[:3]


# --- Flower and Airflow


def test_flower_accepts_what_preflight_does_and_no_other() -> None:
    statuses = in_venv("flower", PASSWORDS, port=free_port())
    wrong = {password: statuses[password] for password in FOR_FLOWER if statuses[password] != [200, 401]}
    assert wrong == {}
    # The reasons for which preflight refuses others are true.
    others = [password for password in PASSWORDS if "," in password or not password.isascii()]
    assert {password for password in others if statuses[password][0] != 200} == set(others)


def test_airflow_makes_its_first_user_with_any_of_them(tmp_path: Path) -> None:
    # Each takes the command a second. Only at the beginning may a character mean something to a command line.
    some = [f"{character}{BASE}" for character in "-@='\"%$"] + [
        f"--password={BASE}",
        f"--{BASE}",
        "-h " + BASE,
    ]
    some += [SPECIAL[0], SPECIAL[-1]]
    assert not [password for password in some if secret_problem("airflow_admin_password", password)]
    python = airflow_python()
    home = tmp_path / "home"
    settings = environment(home, free_port())
    settings["AIRFLOW__CORE__AUTH_MANAGER"] = (
        "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
    )
    shutil.copy(python.parents[1] / "template" / "airflow.db", home / "airflow.db")
    for command in (["db", "migrate"], ["fab-db", "migrate"]):
        subprocess.run(
            [python, "-m", "airflow", *command],
            env={**os.environ, **settings},
            check=True,
            capture_output=True,
        )
    setup = str(ROOT / "roles/airflow_common/files/airflow_setup.py")
    refused, shown = in_venv("airflow", some, settings, setup_file=setup)
    assert refused == []
    assert shown == [], "Airflow's log of commands shows passwords"


# --- The CA


def test_a_passphrase_of_the_ca_opens_its_key() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    for password in ACCEPTED:
        encrypted = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password.encode()),
        )
        serialization.load_pem_private_key(encrypted, password.encode())
