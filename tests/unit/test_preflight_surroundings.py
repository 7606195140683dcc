# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Foreign things on a host: one sentence with host, cause and fix; none for a host that is ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.checks import find_problems
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.foreign import POSTGRESQL_VERSIONS
from clusters import MULTI_NODE, Cluster, make_cluster, single_node

HOST = "one"


def seen(**facts: Any) -> Cluster:
    """A single node of which host_probe reports this as well."""
    cluster = single_node()
    cluster["hosts"][HOST]["probe"].update(facts)
    return cluster


def problem_of(cluster: Cluster) -> str:
    problems = find_problems(cluster)
    assert len(problems) == 1, problems
    assert HOST in problems[0]
    return problems[0]


def test_a_drop_in_that_takes_all_secrets_is_refused() -> None:
    problem = problem_of(seen(blank_credentials=["/run/systemd/system/service.d/zzz-lxc-service.conf"]))
    assert "/run/systemd/system/service.d/zzz-lxc-service.conf on one has an empty LoadCredential=" in problem
    assert "security.nesting" in problem
    assert "/etc/systemd/system/service.d/zzz-lxc-service.conf" in problem
    assert find_problems(seen(blank_credentials=[])) == []


OWN_USER = {"local": True, "home": "/var/lib/airflow", "shell": "/usr/sbin/nologin", "group": True}


@pytest.mark.parametrize(
    "user",
    [None, OWN_USER, {**OWN_USER, "home": "/var/lib/airflow/"}, {**OWN_USER, "shell": "/bin/bash"}],
)
def test_no_user_or_our_own_passes(user: dict[str, Any] | None) -> None:
    assert find_problems(seen(airflow_user=user)) == []


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ({**OWN_USER, "home": "/home/airflow", "shell": "/bin/bash"}, "home /home/airflow, shell /bin/bash"),
        ({**OWN_USER, "home": "/home/airflow", "group": False}, "set ansible_user to another user"),
        ({**OWN_USER, "group": False}, "groupadd --system airflow"),
        ({"local": False, "home": "", "shell": "", "group": False}, "filter_users"),
    ],
)
def test_somebody_elses_user_is_refused(user: dict[str, Any], words: str) -> None:
    assert words in problem_of(seen(airflow_user=user))


def test_a_host_without_airflow_may_have_such_a_user() -> None:
    cluster = make_cluster(MULTI_NODE)
    cluster["hosts"]["redis1"]["probe"]["airflow_user"] = {**OWN_USER, "home": "/home/airflow"}
    assert find_problems(cluster) == []


SHOP = ["/etc/nginx/sites-enabled/shop"]
DATA = {
    "version": "15", "name": "main", "data": "/var/lib/postgresql/15/main", "databases": 1, "ours": False
}  # fmt: skip


@pytest.mark.parametrize("service", ["nginx", "haproxy", "airflow"])
def test_a_service_that_serves_something_else_is_refused(service: str) -> None:
    cluster = seen(foreign={service: SHOP})
    problem = problem_of(cluster)
    assert "serves something else already (/etc/nginx/sites-enabled/shop)" in problem
    assert f"set preflight_takeover: [{service}]" in problem
    cluster["hosts"][HOST]["values"]["preflight_takeover"] = ["postgresql", service]
    assert find_problems(cluster) == []


def test_services_that_the_host_needs_not_are_no_matter() -> None:
    # One host has no Patroni, and no monitoring in this inventory.
    assert find_problems(seen(foreign={"patroni": SHOP, "etcd": SHOP, "prometheus": SHOP})) == []
    cluster = make_cluster(MULTI_NODE)
    cluster["hosts"]["redis1"]["probe"]["foreign"] = {"nginx": SHOP, "haproxy": SHOP}
    assert find_problems(cluster) == []


def test_a_postgresql_with_databases_of_others_is_refused() -> None:
    cluster = seen(postgresql_clusters=[DATA])
    assert "PostgreSQL on one serves something else already (/var/lib/postgresql/15/main)" in problem_of(
        cluster
    )
    cluster["hosts"][HOST]["values"]["preflight_takeover"] = ["postgresql"]
    assert find_problems(cluster) == []


@pytest.mark.parametrize("change", [{"ours": True}, {"databases": 0}, {"version": "13"}, {"name": "shop"}])
def test_other_postgresqls_pass(change: dict[str, Any]) -> None:
    assert find_problems(seen(postgresql_clusters=[{**DATA, **change}])) == []


def test_another_postgresql_at_the_port_is_refused() -> None:
    def listener(unit: str) -> list[dict[str, Any]]:
        return [{"address": "0.0.0.0", "port": 5432, "pid": 9, "process": "postgres", "unit": unit}]

    assert "postgresql@13-main.service" in problem_of(seen(listening=listener("postgresql@13-main.service")))
    for unit in ("postgresql@15-main.service", "patroni.service"):
        assert find_problems(seen(listening=listener(unit))) == []


# --- Disks

FOLDER = {
    "place": "",
    "exists": False,
    "link": False,
    "dangling": False,
    "mount": "/",
    "free": 50 << 30,
    "noexec": False,
}
FOLDERS = (
    "/opt/airflow",
    "/var/lib/airflow",
    "/var/lib/dpkg",
    "/var/lib/postgresql",
    "/var/lib/redis-cluster",
)


def disks(**changes: dict[str, Any]) -> Cluster:
    """A single node with other facts of all folders below one of the root, or of one by its own name."""
    folders = {
        folder: {
            **FOLDER,
            "place": folder,
            **changes.get(folder.split("/")[1], {}),
            **changes.get(folder.split("/")[-1], {}),
        }
        for folder in FOLDERS
    }
    return seen(filesystems=folders)


OPT = {"opt": {"mount": "/opt", "free": 1500 << 20}}


def test_room_on_all_file_systems_passes() -> None:
    assert find_problems(disks()) == []
    assert find_problems(disks(opt={"mount": "/opt"}, var={"mount": "/var"})) == []


def test_a_small_opt_is_refused_and_a_small_root_beside_it_is_not() -> None:
    problem = problem_of(disks(**OPT))
    assert problem.startswith("Free disk on /opt is 1500 MiB on one, but /opt/airflow needs 2048 MiB there")
    cluster = disks(opt={"mount": "/opt"}, var={"mount": "/var"})
    cluster["hosts"][HOST]["probe"]["disk_free"] = 100 << 20
    assert find_problems(cluster) == []


def test_a_file_system_of_several_folders_is_named_once() -> None:
    assert "Free disk on /var is 200 MiB on one, but /var/lib/dpkg needs 1024 MiB" in problem_of(
        disks(var={"mount": "/var", "free": 200 << 20})
    )


def test_the_root_is_asked_for_less_where_the_release_is_elsewhere() -> None:
    problem = problem_of(disks(opt={"mount": "/opt"}, var={"free": 500 << 20}))
    assert "Free disk on / is 500 MiB on one, but /var/lib/dpkg needs 1024 MiB" in problem


def test_a_small_disk_for_data() -> None:
    cluster = disks(postgresql={"mount": "/var/lib/postgresql", "free": 100 << 20})
    assert "/var/lib/postgresql needs 256 MiB" in problem_of(cluster)


def test_a_host_with_the_release_is_not_refused_for_room() -> None:
    """Its disk is a matter of the health check: a run has to be possible there most of all."""
    cluster = disks(**OPT, var={"mount": "/var", "free": 1 << 20})
    cluster["hosts"][HOST]["probe"]["disk_free"] = 1 << 20
    cluster["hosts"][HOST]["release"]["in_use"] = "3.3.2"
    assert find_problems(cluster) == []


def test_an_opt_that_runs_nothing_is_refused() -> None:
    problem = problem_of(disks(opt={"mount": "/opt", "noexec": True}))
    assert problem.startswith("/opt is mounted noexec on one")
    assert "mount -o remount,exec /opt" in problem
    assert find_problems(disks(var={"mount": "/var", "noexec": True})) == []


def test_links() -> None:
    assert find_problems(disks(opt={"place": "/data/airflow", "exists": True})) == []
    # Of /var/lib/airflow alone.
    state = disks(airflow={"place": "/data/state", "link": True})
    assert "mount /data/state there instead" in problem_of(state)
    missing = problem_of(disks(opt={"place": "/data/airflow", "dangling": True}))
    assert "/opt/airflow on one is a link to /data/airflow, which is not there" in missing
    assert "homes are hidden" in problem_of(disks(opt={"place": "/home/data", "exists": True}))
    # Debian's unit of PostgreSQL hides nothing.
    assert find_problems(disks(postgresql={"place": "/home/data", "exists": True})) == []


# --- PostgreSQL's own repository

PGDG = ["/etc/apt/sources.list.d/pgdg.list"]


@pytest.mark.parametrize(
    ("package", "words"),
    [
        ({"sources": PGDG, "version": "18"}, "is version 18 by /etc/apt/sources.list.d/pgdg.list"),
        ({"sources": [], "version": "18"}, "is version 18, and the metastore needs"),
        ({"sources": PGDG, "version": ""}, "apt has no lists yet"),
    ],
)
def test_another_version_of_postgresql_is_refused(package: dict[str, Any], words: str) -> None:
    cluster = seen(postgresql_package=package)
    problem = problem_of(cluster)
    assert words in problem
    assert "`Pin: release o=apt.postgresql.org`" in problem
    # A metastore of ours of the right version runs there.
    cluster["hosts"][HOST]["probe"]["postgresql_clusters"] = [{**DATA, "ours": True}]
    assert find_problems(cluster) == []


@pytest.mark.parametrize("sources", [[], PGDG])
def test_the_version_of_the_distribution_passes(sources: list[str]) -> None:
    assert find_problems(seen(postgresql_package={"sources": sources, "version": "15"})) == []
    assert find_problems(seen(postgresql_package={"sources": [], "version": ""})) == []


def test_versions_are_those_of_the_role() -> None:
    text = (Path(__file__).parents[2] / "roles/postgres_metastore/vars/main/main.yml").read_text()
    versions = yaml.safe_load(text)["__postgres_metastore_versions"]
    ours = {f"{system.capitalize()}-{release.split('.')[0]}": version
            for (system, release), version in POSTGRESQL_VERSIONS.items()}  # fmt: skip
    assert ours.items() <= versions.items()
