# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""postgres_probe logs in to a real PostgreSQL, in every way that it knows."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.airflowops.cluster.plugins.filter.postgres import scram_verifier, sql_quote
from ansible_collections.airflowops.cluster.plugins.filter.topology import url_quote
from odd_passwords import BASE, PASSWORDS, SPECIAL
from redis_servers import free_port, run_module
from test_airflow_dag_run import airflow_python

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
PASSWORD = "p/w with @ and é"
QUOTED = "p%2Fw%20with%20%40%20and%20%C3%A9"


@dataclass
class Server:
    port: int
    directory: Path

    def url(self, user: str, options: str = "", *, password: str = QUOTED, database: str = "postgres") -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}?{options}"


def as_postgres(*command: str | Path, stdin: str = "") -> None:
    prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*prefix, *map(str, command)], input=stdin, capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    if not PROGRAMS:
        pytest.skip("PostgreSQL is not installed")
    programs = PROGRAMS[-1]
    # A folder that the user postgres may walk to.
    directory = Path(tempfile.mkdtemp(prefix="postgres-probe."))
    port = free_port("127.0.0.1")
    try:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-keyout", directory / "tls.key", "-out", directory / "tls.crt", "-days", "2",
             "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
            check=True, capture_output=True,
        )  # fmt: skip
        (directory / "tls.key").chmod(0o600)
        if os.geteuid() == 0:
            postgres = pwd.getpwnam("postgres")
            for path in (directory, directory / "tls.key", directory / "tls.crt"):
                os.chown(path, postgres.pw_uid, postgres.pw_gid)
        data = directory / "data"
        as_postgres(programs / "initdb", "-D", data, "-A", "trust", "-U", "postgres")
        rules = [
            f"local all postgres trust\nhostssl all {name} 127.0.0.1/32 {method}"
            for name, method in [("scram,+odd", "scram-sha-256"), ("hashed", "md5"), ("plain", "password")]
        ]
        settings = (
            f"port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{directory}'\n"
            f"ssl = on\nssl_cert_file = '{directory}/tls.crt'\nssl_key_file = '{directory}/tls.key'\n"
        )
        as_postgres("tee", data / "pg_hba.conf", stdin="\n".join(rules) + "\nhostnossl all bare all trust\n")
        as_postgres("tee", "--append", data / "postgresql.conf", stdin=settings)
        as_postgres(programs / "pg_ctl", "-D", data, "-l", directory / "log", "-w", "start")
        try:
            statements = [
                f"CREATE ROLE scram LOGIN PASSWORD '{scram_verifier(PASSWORD, 'scram')}'",
                f"SET password_encryption = 'md5'; CREATE ROLE hashed LOGIN PASSWORD '{PASSWORD}'",
                f"CREATE ROLE plain LOGIN PASSWORD '{PASSWORD}'",
                "CREATE ROLE bare LOGIN",
            ]
            as_postgres(programs / "psql", "-h", directory, "-p", str(port), "-v", "ON_ERROR_STOP=1",
                        stdin=";\n".join(statements) + ";\n")  # fmt: skip
            yield Server(port, directory)
        finally:
            as_postgres(programs / "pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(directory)


def probe(*urls: str, timeout: int = 5) -> list[dict[str, Any]]:
    """What the module returns of each URL, run by a Python that has psycopg2."""
    arguments = {"urls": dict(enumerate(urls)), "timeout": timeout}
    found = run_module("postgres_probe", python=str(airflow_python()), **arguments)
    assert found["driver"] is True, found
    return list(found["servers"].values())


@pytest.mark.parametrize("user", ["scram", "hashed", "plain"])
def test_each_kind_of_password_is_accepted(server: Server, user: str) -> None:
    (found,) = probe(server.url(user, f"sslmode=verify-full&sslrootcert={server.directory}/tls.crt"))
    assert found["problem"] == ""
    assert found["server"] == f"127.0.0.1:{server.port}"
    assert int(found["server_version"].split(".")[0]) >= 13
    assert found["read_only"] is False


def test_a_wrong_password_is_reported_and_not_shown(server: Server) -> None:
    users = ["scram", "hashed", "plain"]
    for user, found in zip(users, probe(*(server.url(user, password="wrong-one") for user in users))):
        assert f'password authentication failed for user "{user}"' in found["problem"]
        assert "wrong-one" not in found["problem"]


def test_a_url_that_libpq_refuses_does_not_show_its_password(server: Server) -> None:
    # libpq quotes what it cannot decode, if it gets the URL itself.
    (found,) = probe(server.url("scram", "sslmode=nonsense", password="100%wrong-one"))
    assert "sslmode" in found["problem"]
    assert "wrong-one" not in found["problem"]


def test_a_database_that_is_not_there_is_reported(server: Server) -> None:
    (found,) = probe(server.url("scram", database="nowhere"))
    assert 'database "nowhere" does not exist' in found["problem"]


def test_a_host_that_pg_hba_does_not_name_is_reported(server: Server) -> None:
    (found,) = probe(server.url("nobody"))
    assert "no pg_hba.conf entry" in found["problem"]


def test_a_server_that_is_not_there_is_reported() -> None:
    port = free_port("127.0.0.1")
    (found,) = probe(f"postgresql://u:p@127.0.0.1:{port}/airflow")
    assert f"port {port} failed" in found["problem"] and "refused" in found["problem"]


def test_a_certificate_of_an_unknown_authority_is_reported(server: Server) -> None:
    (found,) = probe(
        server.url("scram", "sslmode=verify-full&sslrootcert=/etc/ssl/certs/ca-certificates.crt")
    )
    assert "certificate" in found["problem"]


def test_the_second_server_is_asked_where_the_first_is_down(server: Server) -> None:
    dead = free_port("127.0.0.1")
    url = f"postgresql://scram:{QUOTED}@/postgres?host=127.0.0.1:{dead}&host=127.0.0.1:{server.port}"
    (found,) = probe(url)
    assert found["server"] == f"127.0.0.1:{server.port}"


def test_a_server_that_only_reads_is_reported(server: Server) -> None:
    psql = (PROGRAMS[-1] / "psql", "-h", server.directory, "-p", str(server.port))
    as_postgres(*psql, "-c", "ALTER ROLE scram SET default_transaction_read_only = on")
    try:
        found, refused = probe(server.url("scram"), server.url("scram", "target_session_attrs=read-write"))
        assert found["read_only"] is True
        assert "read-only" in refused["problem"]
    finally:
        as_postgres(*psql, "-c", "ALTER ROLE scram RESET default_transaction_read_only")


def test_the_revision_of_the_tables_in_a_database_is_read(server: Server) -> None:
    def revision(user: str = "scram") -> str:
        return probe(server.url(user))[0]["revision"]

    assert revision() == ""
    psql = [PROGRAMS[-1] / "psql", "-h", server.directory, "-p", str(server.port), "-v", "ON_ERROR_STOP=1"]
    table = "CREATE TABLE alembic_version (version_num text); GRANT SELECT ON alembic_version TO scram"
    try:
        as_postgres(*psql, "-c", table)
        assert revision() == ""
        as_postgres(*psql, "-c", "INSERT INTO alembic_version VALUES ('5f2621c13b39')")
        assert revision() == "5f2621c13b39"
        # A role that may not read it learns nothing, and logs in all the same.
        assert revision("plain") == ""
    finally:
        as_postgres(*psql, "-c", "DROP TABLE alembic_version")


def test_without_psycopg2_nothing_is_claimed(tmp_path: Path) -> None:
    """As a bare host is: preflight installs it then, and asks again."""
    bare = tmp_path / "bare"
    subprocess.run([airflow_python(), "-m", "venv", "--without-pip", bare], check=True)
    found = run_module("postgres_probe", python=str(bare / "bin/python"), urls={"airflow_database_url": "x"})
    assert found["driver"] is False
    assert "psycopg2" in found["msg"]
    assert found["servers"]["airflow_database_url"]["server_version"] == ""


def test_the_module(server: Server) -> None:
    """As preflight runs it: names in, no password out."""
    urls = {"good": server.url("scram"), "bad": server.url("scram", password="wrong-one")}
    module = ["-m", "airflowops.cluster.postgres_probe", "-a", json.dumps({"urls": urls})]
    interpreter = ["-e", f"ansible_python_interpreter={airflow_python()}"]
    command = ["ansible", "localhost", "-c", "local", *interpreter, *module]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "password authentication failed" in " ".join(done.stdout.split())
    assert f"127.0.0.1:{server.port}" in done.stdout
    assert "wrong-one" not in done.stdout
    assert QUOTED not in done.stdout


def test_any_password_logs_in_by_our_verifier_and_by_postgresqls_own(server: Server) -> None:
    """By libpq: psycopg2, and psycopg for what is asynchronous."""
    # What SASLprep does, and what is no character of a word: there our code may be of another opinion.
    special = {password for password in PASSWORDS if password in SPECIAL or not password.isascii()}
    statements = ["SET password_encryption = 'scram-sha-256'", "CREATE ROLE odd"]
    urls, special_urls = [], []
    # Elsewhere than at the beginning a character of ASCII means nothing to either.
    some = [password for password in PASSWORDS if password in special or password.endswith(BASE)]
    for number, password in enumerate(some):
        kinds = {"ours": scram_verifier(password, f"ours{number}")}
        if password in special:
            kinds["own"] = password
        for kind, kept in kinds.items():
            statements.append(f"CREATE ROLE {kind}{number} LOGIN IN ROLE odd PASSWORD {sql_quote(kept)}")
            url = server.url(f"{kind}{number}", password=url_quote(password))
            (special_urls if password in special else urls).append(url)
    psql = (PROGRAMS[-1] / "psql", "-h", server.directory, "-p", str(server.port), "-v", "ON_ERROR_STOP=1")
    as_postgres(*psql, stdin=";\n".join(statements) + ";\n")
    code = """
import json, sys
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool
wrong = []
urls, special = json.load(sys.stdin)
for driver, some in (("psycopg2", urls + special), ("psycopg", special)):
    for url in some:
        try:
            url = url.replace("postgresql://", f"postgresql+{driver}://")
            engine = create_engine(url, poolclass=NullPool)
            with engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except Exception as error:
            wrong.append([url, driver, repr(error)[:300]])
print(json.dumps(wrong))
"""
    done = subprocess.run(
        [airflow_python(), "-c", code], input=json.dumps([urls, special_urls]),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
