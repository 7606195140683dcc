# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The patch git-bundle with a real repository, whose server goes away and comes back."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from test_airflow_dag_run import airflow_python

FILES = Path(__file__).resolve().parents[2] / "roles/airflow_common/files"
GIT = ("git", "-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "init.defaultBranch=main")

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
if sys.argv[2] == "ours":
    from airflowops_runtime import git_bundle
    git_bundle.FETCH_SECONDS = 3
    Bundle = git_bundle.GitBundle
else:
    from airflow.providers.git.bundles.git import GitDagBundle as Bundle
bundle = Bundle(name="etl", tracking_ref="main", repo_url=sys.argv[3], version=sys.argv[4] or None)
bundle.initialize()
print("serves", bundle.get_current_version().version, sorted(path.name for path in bundle.path.glob("*.py")))
"""


class Repository:
    def __init__(self, folder: Path) -> None:
        self.work, self.server, self.home = folder / "work", folder / "server.git", folder / "home"
        self.python = airflow_python()
        self.git(folder, "init", "--quiet", str(self.work))
        self.first = self.commit("first.py")
        self.git(folder, "clone", "--quiet", "--bare", str(self.work), str(self.server))

    def git(self, folder: Path, *arguments: str) -> str:
        return subprocess.run(
            [*GIT, *arguments], cwd=folder, check=True, capture_output=True, text=True
        ).stdout.strip()

    def commit(self, name: str) -> str:
        (self.work / name).write_text("# a dag of airflow\n")
        self.git(self.work, "add", name)
        self.git(self.work, "commit", "--quiet", "--message", name)
        if self.server.exists():
            self.git(self.work, "push", "--quiet", str(self.server), "main")
        return self.git(self.work, "rev-parse", "HEAD")

    def serve(self, side: str = "ours", version: str = "", url: str = "") -> Any:
        """A process that starts, as a DAG processor or a worker does."""
        return subprocess.run(
            [self.python, "-c", PROGRAM, str(FILES), side, url or str(self.server), version],
            timeout=60,
            capture_output=True,
            text=True,
            check=False,
            env={
                "PATH": os.environ["PATH"],
                "AIRFLOW_HOME": str(self.home),
                "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(self.home / "bundles"),
            },
        )

    def go_away(self) -> None:
        self.server.rename(self.server.with_name("away.git"))

    def come_back(self) -> None:
        self.server.with_name("away.git").rename(self.server)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_serves_what_it_has_while_the_server_is_away(repository: Repository) -> None:
    assert f"serves {repository.first} ['first.py']" in repository.serve().stdout
    repository.go_away()
    assert f"serves {repository.first} ['first.py']" in repository.serve().stdout
    assert f"serves {repository.first} ['first.py']" in repository.serve(version=repository.first).stdout
    repository.come_back()
    second = repository.commit("second.py")
    assert f"serves {second} ['first.py', 'second.py']" in repository.serve().stdout


def test_follows_the_repository_to_another_server(repository: Repository) -> None:
    assert f"serves {repository.first} ['first.py']" in repository.serve().stdout
    repository.server = repository.server.rename(repository.server.with_name("moved.git"))
    second = repository.commit("second.py")
    assert f"serves {second} ['first.py', 'second.py']" in repository.serve().stdout


def test_a_server_that_never_answers_is_not_waited_for(repository: Repository) -> None:
    assert f"serves {repository.first} ['first.py']" in repository.serve().stdout
    with socket.create_server(("127.0.0.1", 0)) as silent:
        shown = repository.serve(url=f"git://127.0.0.1:{silent.getsockname()[1]}/etl.git")
    assert f"serves {repository.first} ['first.py']" in shown.stdout
    assert "cannot be fetched: goes on with what is here" in shown.stdout + shown.stderr


def test_says_so_when_it_has_nothing(repository: Repository) -> None:
    repository.go_away()
    shown = repository.serve()
    assert shown.returncode != 0
    assert "serves" not in shown.stdout


def test_the_provider_still_throws_its_copy_away(repository: Repository) -> None:
    """When this fails, the Git provider has fixed it, and the patch git-bundle can go."""
    assert "serves" in repository.serve("theirs").stdout
    repository.go_away()
    assert repository.serve("theirs").returncode != 0
    assert not (repository.home / "bundles/etl/bare").exists()
