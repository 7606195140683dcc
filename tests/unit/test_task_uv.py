# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What uv finds in its environment when a task calls it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "roles/airflow_common/files/task_uv.py"
WORDS = ["pip", "install", "a b"]
PRINTER = """#!{python}
import json, os, sys
print(json.dumps({{"arguments": sys.argv[1:], "environment": dict(os.environ)}}))
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH with the wrapper first, and behind it a uv that prints what it finds."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    shutil.copy(SCRIPT, ours / "uv")
    (ours / "uv").chmod(0o755)
    (theirs / "uv").write_text(PRINTER.format(python=sys.executable))
    (theirs / "uv").chmod(0o755)
    return f"{ours}:{theirs}:/usr/bin:/bin"


def run(
    path: str, site: dict[str, str] | None = None, arguments: Sequence[str] = WORDS, **environment: str
) -> dict:
    folder = Path(path.split(":")[0]).parent
    if site is not None:
        (folder / "AIRFLOWOPS_PACKAGES").write_text(json.dumps(site))
    done = subprocess.run(
        ["uv", *arguments],
        executable=f"{folder}/ours/uv",
        env={"PATH": path, "CREDENTIALS_DIRECTORY": str(folder), **environment},
        check=True, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    return json.loads(done.stdout)


def test_arguments_and_environment_are_passed_on(path: str) -> None:
    seen = run(path, WORD="ä $x")
    assert seen["arguments"] == WORDS
    assert seen["environment"]["WORD"] == "ä $x"
    assert seen["environment"]["UV_SYSTEM_CERTS"] == "true"


def test_index_proxy_and_ca_of_the_site_are_there(path: str) -> None:
    site = {
        "UV_INDEX_URL": "https://u:p@mirror/simple",
        "https_proxy": "http://proxy",
        "SSL_CERT_FILE": "/ca",
    }
    assert site.items() <= run(path, site)["environment"].items()


def test_what_the_task_has_comes_first(path: str) -> None:
    site = {"https_proxy": "http://proxy", "UV_LINK_MODE": "hardlink"}
    seen = run(path, site, https_proxy="http://other")["environment"]
    assert (seen["https_proxy"], seen["UV_LINK_MODE"]) == ("http://other", "hardlink")


@pytest.mark.parametrize("name", ["UV_DEFAULT_INDEX", "UV_INDEX"])
def test_an_index_of_the_task_replaces_those_of_the_site(path: str, name: str) -> None:
    """As Airflow passes index_urls on."""
    site = {
        "UV_INDEX_URL": "https://mirror",
        "UV_EXTRA_INDEX_URL": "https://more",
        "https_proxy": "http://proxy",
    }
    seen = run(path, site, **{name: "https://own"})["environment"]
    assert seen[name] == "https://own"
    assert not {"UV_INDEX_URL", "UV_EXTRA_INDEX_URL"} & set(seen)
    assert seen["https_proxy"] == "http://proxy"


def test_a_virtualenvs_python_stands_for_the_one_that_it_was_made_of(path: str, tmp_path: Path) -> None:
    venv, system = tmp_path / "venv", tmp_path / "system"
    (venv / "bin").mkdir(parents=True)
    (venv / "pyvenv.cfg").touch()
    system.mkdir()
    (system / "python3.11").touch(mode=0o755)
    (system / "python3.9").touch(mode=0o755)
    (venv / "bin/python").symlink_to(system / "python3.11")
    path = f"{path}:{venv}/bin:{system}"
    for name, used in (
        ("python", f"{system}/python3.11"),
        ("python3.9", "python3.9"),
        ("python3.99", "python3.99"),
        (f"{venv}/bin/python", f"{venv}/bin/python"),
    ):
        arguments = ["venv", "--seed", "--python", name, "/tmp/x"]
        assert run(path, arguments=arguments)["arguments"] == ["venv", "--seed", "--python", used, "/tmp/x"]


def test_without_another_uv_the_error_names_the_fix(path: str) -> None:
    ours = path.split(":")[0]
    done = subprocess.run(
        [f"{ours}/uv"], env={"PATH": f"{ours}:{Path(ours).parent}"}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "run site.yml" in done.stderr
