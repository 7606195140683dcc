# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each of Airflow's processes finds in its environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FILES = Path(__file__).resolve().parents[2] / "roles/airflow_common/files"


def seen(folder: Path, program: str, **environment: str) -> dict[str, str]:
    """What a Python process prints of its environment, with the credentials in the folder."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(FILES), "CREDENTIALS_DIRECTORY": str(folder)}
        | environment,
        check=True, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.stderr == ""
    return json.loads(done.stdout)


PRINT = "import json, os; print(json.dumps(dict(os.environ)))"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "AIRFLOWOPS_ENVIRONMENT").write_text(json.dumps({"THREADS": "8", "PROXY": "http://proxy"}))
    (tmp_path / "AIRFLOW_CONN_ETL").write_text('{"key_file": "${CREDENTIALS_DIRECTORY}/KEY"}')
    return tmp_path


def test_what_is_sealed_is_there(folder: Path) -> None:
    there = seen(folder, PRINT, PROXY="of the unit")
    assert (there["THREADS"], there["PROXY"]) == ("8", "http://proxy")
    assert there["AIRFLOW_CONN_ETL"] == f'{{"key_file": "{folder}/KEY"}}'


def test_what_a_worker_has_of_its_own_stays(folder: Path) -> None:
    there = seen(folder, PRINT, THREADS="2", AIRFLOWOPS_WORKER_ENV_NAMES="THREADS OTHER")
    assert (there["THREADS"], there["PROXY"]) == ("2", "http://proxy")


def test_what_a_task_gives_its_programs_stays(folder: Path) -> None:
    program = (
        "import os, subprocess, sys;"
        f"subprocess.run([sys.executable, '-c', {PRINT!r}], env=os.environ | {{'PROXY': ''}}, check=True)"
    )
    there = seen(folder, program)
    assert (there["THREADS"], there["PROXY"]) == ("8", "")


# --- Proxies

OWN = ["localhost", "127.0.0.1", "::1", "worker1", "10.0.0.1"]


@pytest.fixture
def configuration(tmp_path: Path) -> str:
    (tmp_path / "own_hosts").write_text("worker1\n10.0.0.1\n")
    return str(tmp_path / "airflow.cfg")


@pytest.mark.parametrize(
    "name", ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
)
def test_no_proxy_names_our_hosts_where_a_proxy_is_named(
    tmp_path: Path, configuration: str, name: str
) -> None:
    there = seen(tmp_path, PRINT, AIRFLOW_CONFIG=configuration, **{name: "http://proxy:3128"})
    assert there["no_proxy"].split(",") == there["NO_PROXY"].split(",") == OWN
    assert there[name] == "http://proxy:3128"


def test_a_proxy_among_the_encrypted_variables_counts(tmp_path: Path, configuration: str) -> None:
    (tmp_path / "AIRFLOWOPS_ENVIRONMENT").write_text(json.dumps({"http_proxy": "http://proxy"}))
    assert seen(tmp_path, PRINT, AIRFLOW_CONFIG=configuration)["no_proxy"].split(",") == OWN


def test_without_a_proxy_the_environment_stays(tmp_path: Path, configuration: str) -> None:
    there = seen(tmp_path, PRINT, AIRFLOW_CONFIG=configuration, http_proxy="", no_proxy=".example.org")
    assert there["no_proxy"] == ".example.org"
    assert "NO_PROXY" not in there


def test_a_no_proxy_of_the_user_is_kept_and_extended(tmp_path: Path, configuration: str) -> None:
    environment = {
        "AIRFLOW_CONFIG": configuration,
        "https_proxy": "http://proxy",
        "NO_PROXY": ".example.org, worker1",
    }
    there = seen(tmp_path, PRINT, **environment)
    expected = [".example.org", "worker1", "localhost", "127.0.0.1", "::1", "10.0.0.1"]
    assert there["no_proxy"].split(",") == there["NO_PROXY"].split(",") == expected
    assert seen(tmp_path, PRINT, **environment | {"NO_PROXY": "*"})["no_proxy"] == "*"


def test_without_the_list_of_hosts_loopback_is_spared(tmp_path: Path) -> None:
    there = seen(
        tmp_path, PRINT, AIRFLOW_CONFIG=str(tmp_path / "none/airflow.cfg"), http_proxy="http://proxy"
    )
    assert there["no_proxy"].split(",") == OWN[:3]


@pytest.mark.parametrize("client", ["httpx", "requests", "urllib"])
def test_clients_ask_our_hosts_directly_and_others_by_the_proxy(
    tmp_path: Path, configuration: str, client: str
) -> None:
    """As the task SDK (httpx), the API server (requests) and most DAGs do it."""
    program = {
        "httpx": "import httpx; c = httpx.Client();"
        "asked = lambda url: type(c._transport_for_url(httpx.URL(url))._pool).__name__ == 'HTTPProxy'",
        "requests": "from requests.utils import get_environ_proxies;"
        "asked = lambda url: bool(get_environ_proxies(url))",
        "urllib": "import urllib.request as r; from urllib.parse import urlsplit;"
        "asked = lambda url: not r.proxy_bypass(urlsplit(url).netloc)",
    }[client]
    if client != "urllib":
        pytest.importorskip(client)
    urls = ["http://127.0.0.1:18080/x", "http://worker1:8793/x", "http://10.0.0.1:8080/x", "http://other:80/"]
    program += f"; import json; print(json.dumps({{url: asked(url) for url in {urls!r}}}))"
    there = seen(tmp_path, program, AIRFLOW_CONFIG=configuration, http_proxy="http://proxy:3128")
    assert there == dict(zip(urls, [False, False, False, True], strict=True))
