# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The patch s3-bundle with a store that checks keys and goes away, and the provider's own bundle."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from ansible_collections.airflowops.cluster.plugins.plugin_utils import dag_bundles
from moto_store import AWAY, Store, shared_store
from test_airflow_dag_run import airflow_python

FILES = Path(__file__).resolve().parents[2] / "roles/airflow_common/files"
# A start, as of a DAG processor or a task.
PROGRAM = """
import time
from airflow.dag_processing.bundles.manager import DagBundlesManager
for bundle in DagBundlesManager().get_all_dag_bundles():
    try:
        bundle.initialize()
        there = sorted(path for path in bundle.path.rglob("*") if path.is_file())
        names = [path.relative_to(bundle.path) for path in there]
        print(bundle.name, "serves", *names, *(path.read_text() for path in bundle.path.glob("*.py")))
    except Exception as error:
        print(bundle.name, "fails:", error)
    wait, bundle._looked = bundle.refresh_interval, time.monotonic() - 60
    print("look after", wait, "then after", bundle.refresh_interval)
"""
SERVED = "serves first.py lib/values.py # first dag of airflow\n"


class Host:
    def __init__(self, store: Store, home: Path) -> None:
        self.store, self.home = store, home
        self.python = airflow_python()

    def bundle(self, name: str, place: str = "s3://dags/etl/", **others: Any) -> dict[str, Any]:
        return {"name": name, **self.store.place(place), **others}

    def run(self, *arguments: str, bundles: list[dict[str, Any]], away: bool) -> tuple[int, str]:
        configs = dag_bundles.bundle_config(bundles, folder=False)
        for config in configs:
            if config["name"] == "theirs":
                config["classpath"] = "airflow.providers.amazon.aws.bundles.s3.S3DagBundle"
        shown = subprocess.run(
            [self.python, *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={
                # As on a host without git.
                "PATH": str(Path(self.python).parent),
                "PYTHONPATH": str(FILES),
                "AIRFLOW_HOME": str(self.home),
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(self.home / "bundles"),
                "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(configs),
                **dag_bundles.bundle_secrets(bundles, ""),
                **(AWAY if away else {}),
            },
        )
        return shown.returncode, shown.stdout + shown.stderr

    def serve(self, *bundles: dict[str, Any], away: bool = False) -> str:
        code, shown = self.run("-c", PROGRAM, bundles=[*bundles], away=away)
        assert code == 0, shown
        return shown

    def check(self, *bundles: dict[str, Any], away: bool = False) -> dict[str, str]:
        """{name: what is wrong}, as it is reported before the services start."""
        code, shown = self.run("-m", "airflowops_runtime.fetch_bundles", bundles=[*bundles], away=away)
        names = {bundle["name"] for bundle in bundles}
        reported = dict(line.split(": ", 1) for line in shown.splitlines() if line.split(": ")[0] in names)
        assert code == bool(reported), shown
        return reported


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    store = shared_store()
    store.s3.create_bucket(Bucket="dags")
    store.put("dags", "etl/first.py", "# first dag of airflow")
    store.put("dags", "etl/lib/values.py", "VALUE = 1")
    return Host(store, tmp_path_factory.mktemp("host"))


def test_what_cannot_be_read_is_named(host: Host) -> None:
    reported = host.check(
        host.bundle("lake"),
        host.bundle("key", secret_key="another-key-than-its-own"),
        host.bundle("bucket", "s3://none-of-it/etl"),
        host.bundle("place", "s3://dags/nowhere"),
    )
    assert sorted(reported) == ["bucket", "key", "place"]
    assert "NoSuchBucket" in reported["bucket"]
    assert "SignatureDoesNotMatch" in reported["key"]
    assert reported["place"] == "there is nothing in s3://dags/nowhere/"


def test_it_follows_what_is_in_the_store(host: Host) -> None:
    lake, theirs = host.bundle("lake"), host.bundle("theirs")
    shown = host.serve(lake, theirs)
    assert f"lake {SERVED}" in shown
    assert f"theirs {SERVED}" in shown
    folder = host.home / "bundles/lake/dags"
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__/first.pyc").touch()
    # The clock of a host that is ahead, and as many bytes as before.
    ahead = (folder / "first.py").stat().st_mtime + 4
    os.utime(folder / "first.py", (ahead, ahead))
    host.store.put("dags", "etl/first.py", "# FIRST dag of airflow")
    host.store.s3.delete_object(Bucket="dags", Key="etl/lib/values.py")
    shown = host.serve(lake)
    assert "lake serves __pycache__/first.pyc first.py # FIRST dag of airflow\n" in shown
    assert not (folder / "lib").exists()
    # Another DAG processor may have looked by then: this one has not.
    assert "look after 60 then after 0\n" in shown


def test_what_is_here_is_served_while_the_store_is_away(host: Host) -> None:
    lake, theirs, new = host.bundle("lake"), host.bundle("theirs"), host.bundle("new")
    assert list(host.check(lake, new, away=True)) == ["new"]
    shown = host.serve(lake, theirs, new, away=True)
    assert "lake serves __pycache__/first.pyc first.py # FIRST dag of airflow\n" in shown
    assert "new fails: Failed to connect" in shown
    # When this fails, Amazon's provider has fixed it.
    assert "theirs fails: Failed to connect" in shown


def test_a_copy_from_elsewhere_does_not_count(host: Host) -> None:
    shown = host.serve(host.bundle("lake", "s3://dags/elsewhere"), away=True)
    assert "lake fails: Failed to connect" in shown


@pytest.fixture
def https(host: Host, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The store by HTTPS: its endpoint, and the CA that no host knows by itself."""
    key, certificate = tmp_path / "store.key", tmp_path / "store.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=store"
        f" -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {certificate}"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while some := await reader.read(65536):
                writer.write(some)
                await writer.drain()
        except OSError:
            pass  # Who does not trust the certificate hangs up.
        writer.close()

    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        store = urlsplit(host.store.url)
        there, back = await asyncio.open_connection(store.hostname, store.port)
        await asyncio.gather(carry(reader, back), carry(there, writer))

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(visit, "127.0.0.1", 0, ssl=context))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", certificate
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    server.close()


def test_a_store_with_a_ca_of_its_own(host: Host, https: tuple[str, Path]) -> None:
    endpoint, ca_file = https
    known = host.bundle("known", "s3://dags/etl", endpoint=endpoint, ca_file=str(ca_file))
    unknown = host.bundle("unknown", "s3://dags/etl", endpoint=endpoint)
    reported = host.check(known, unknown)
    assert list(reported) == ["unknown"]
    assert "certificate verify failed" in reported["unknown"]
    shown = host.serve(known, unknown)
    assert "known serves first.py" in shown
    assert "unknown fails: " in shown
