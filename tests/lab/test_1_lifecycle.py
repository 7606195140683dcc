# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From bare machines to a cluster, by each of the three ways in which the collection is used."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab import ROOT, Lab, changed, recap


@pytest.fixture(autouse=True)
def only_on_a_fresh_lab(keep: bool) -> None:
    if keep:
        pytest.skip("--keep uses the lab as it is")


def test_molecule_creates_the_hosts(lab: Lab) -> None:
    lab.molecule("destroy")
    lab.molecule("create")
    # More of them than the machine's limit allows would die while they boot, without a word of the reason.
    limit = Path("/proc/sys/fs/inotify/max_user_instances").read_text()
    assert int(limit) >= 128 + 10 * len(lab.hosts)
    for host in lab.hosts:
        assert lab.host(host).run("systemctl is-system-running --wait").stdout.strip() == "running"


def test_bad_input_is_refused_before_anything_changes(lab: Lab) -> None:
    output = lab.playbook(
        "site.yml", "-e", "redis_cluster_port=7000", "-e", "redis_cluster_password=changeme", check=False
    )
    assert "redis_cluster_port on" in output
    assert "did you mean redis_cluster_ports" in output
    assert "redis_cluster_password" in output
    assert "changeme" not in output
    assert changed(output) == 0
    assert not lab.host(lab.hosts[0]).exists("redis-server")


# The gate has time for one of the two: what check mode reports is the same on both.
@pytest.mark.topology("single_node")
def test_check_mode_on_bare_hosts(lab: Lab) -> None:
    output = lab.molecule("check")
    assert "check mode cannot foretell" in " ".join(output.replace("│", "").split())
    for host in lab.hosts:
        assert not lab.host(host).file("/opt/airflow").exists
        assert not lab.host(host).file("/etc/redis-cluster").exists


def test_first_run_by_molecule(lab: Lab) -> None:
    lab.molecule("converge")


def test_second_run_from_the_checkout_changes_nothing(lab: Lab) -> None:
    output = lab.playbook("site.yml")
    assert changed(output) == 0, recap(output)


@pytest.mark.topology("single_node")
def test_check_mode_on_the_running_cluster(lab: Lab) -> None:
    output = lab.playbook("site.yml", "--check", "--diff")
    assert changed(output) == 0, recap(output)
    for name in ("redis", "postgres", "fernet", "api", "jwt", "admin", "flower"):
        assert lab.secret(name) not in output


# The gate has time for one of the two.
@pytest.mark.topology("multi_node")
def test_the_demo_reuses_what_is_there(lab: Lab) -> None:
    """The very script of `make demo`, on the cluster that runs."""
    output = lab.run("tests/tools/demo", "up", lab.topology)
    # Hosts, site.yml, sample DAGs: a recap each.
    hosts, site, _ = (changed("PLAY RECAP" + part) for part in output.split("PLAY RECAP")[1:])
    assert (hosts, site) == (0, 0), output[-3000:]
    table = (lab.directory / "demo.txt").read_text()
    assert table in output
    for queue in ("cloudwalker_q1", "cloudwalker_q2"):
        assert queue in table, table
    assert table.count("success") == 11, table  # two and nine tasks
    assert lab.url in table, table


@pytest.mark.topology("single_node")
def test_installed_collection_from_an_empty_directory(lab: Lab, tmp_path: Path) -> None:
    """The tarball that Galaxy would serve; its dependencies are those of the PyPI package `ansible`."""
    lab.run("ansible-galaxy", "collection", "build", "--output-path", tmp_path, ROOT)
    (tarball,) = tmp_path.glob("airflowops-cluster-*.tar.gz")
    collections, empty = tmp_path / "collections", tmp_path / "empty"
    empty.mkdir()
    environment = {"ANSIBLE_COLLECTIONS_PATH": str(collections)}
    lab.run(
        "ansible-galaxy", "collection", "install", "--offline", "--no-deps", "-p", collections, tarball,
        env=environment, cwd=empty,
    )  # fmt: skip
    assert not (collections / "ansible_collections/airflowops/cluster/.lab").exists()
    output = lab.playbook("airflowops.cluster.site", env=environment, cwd=empty)
    assert changed(output) == 0, recap(output)
