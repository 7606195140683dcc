# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What host_probe reads of foreign things on a host, in folders that stand for its root."""

from __future__ import annotations

import hashlib
import re
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.airflowops.cluster.plugins.module_utils.host import (
    filesystems,
    foreign,
    pgdg,
    surroundings,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.host import probe as host_probe
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.users import HOME

ROLES = Path(__file__).parents[2] / "roles"


def write(root: Path, path: str, text: str = "") -> None:
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


DROP_IN = "/run/systemd/system/service.d/zzz-lxc-service.conf"


@pytest.mark.parametrize("line", ["LoadCredential=", "LoadCredentialEncrypted =  "])
def test_a_drop_in_that_takes_the_credentials_of_all_services(tmp_path: Path, line: str) -> None:
    assert surroundings.blank_credentials(str(tmp_path)) == []
    write(tmp_path, DROP_IN, f"[Service]\nProcSubset=all\n{line}\nPrivateNetwork=no\n")
    assert surroundings.blank_credentials(str(tmp_path)) == [DROP_IN]
    # What is named alike and counts more hides it: the fix that preflight names.
    write(tmp_path, "/etc/systemd/system/service.d/zzz-lxc-service.conf", "[Service]\nProcSubset=all\n")
    assert surroundings.blank_credentials(str(tmp_path)) == []


def test_other_drop_ins_are_none(tmp_path: Path) -> None:
    write(tmp_path, DROP_IN, "[Service]\n#LoadCredential=\nLoadCredential=a:/b\nImportCredential=\n")
    write(tmp_path, "/etc/systemd/system/service.d/notes.txt", "LoadCredential=\n")
    write(tmp_path, "/etc/systemd/system/nginx.service.d/x.conf", "[Service]\nLoadCredential=\n")
    assert surroundings.blank_credentials(str(tmp_path)) == []


def test_the_real_host_is_read_cheaply() -> None:
    before = time.process_time()
    surroundings.surroundings()
    assert time.process_time() - before < 0.1


OURS = "airflow:x:998:998::/var/lib/airflow:/usr/sbin/nologin\n"


def test_the_user_of_the_files(tmp_path: Path) -> None:
    assert surroundings.user_facts(root=str(tmp_path)) is None
    write(tmp_path, "/etc/passwd", f"root:x:0:0:root:/root:/bin/bash\nbroken\nairflow2:x:1:1::/:/x\n{OURS}")
    write(tmp_path, "/etc/group", "root:x:0:\nairflow:x:998:\n")
    ours = {"local": True, "home": "/var/lib/airflow", "shell": "/usr/sbin/nologin", "group": True}
    assert surroundings.user_facts(root=str(tmp_path)) == ours
    write(tmp_path, "/etc/group", "root:x:0:\nusers:x:100:airflow\n")
    assert surroundings.user_facts(root=str(tmp_path)) == {**ours, "group": False}


def test_the_user_of_a_directory_service(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "nobody-of-etc-passwd"
    assert surroundings.user_facts(name) is None
    monkeypatch.setattr(surroundings, "known_elsewhere", lambda _find, _name: True)
    assert surroundings.user_facts(name) == {"local": False, "home": "", "shell": "", "group": False}


# --- Services that serve something else

MD5 = {
    text: hashlib.new("md5", text.encode(), usedforsecurity=False).hexdigest() for text in ("default", "site")
}
STATUS = f"""Package: nginx-common
Status: install ok installed
Conffiles:
 /etc/nginx/nginx.conf {MD5["default"]}
 /etc/nginx/sites-available/default {MD5["site"]}
 /etc/nginx/conf.d/new.conf newconffile

Package: haproxy
Conffiles:
 /etc/haproxy/haproxy.cfg {MD5["default"]} obsolete
 /etc/prometheus/prometheus.yml {MD5["default"]}
 /etc/default/etcd {MD5["default"]}
"""
CONFIGS = {
    "etcd": "/etc/default/etcd",
    "haproxy": "/etc/haproxy/haproxy.cfg",
    "nginx": "/etc/nginx/nginx.conf",
    "prometheus": "/etc/prometheus/prometheus.yml",
}


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A host on which the packages are installed, and nothing else was done."""
    write(tmp_path, "/var/lib/dpkg/status", STATUS)
    for path in CONFIGS.values():
        write(tmp_path, path, "default")
    write(tmp_path, "/etc/nginx/sites-available/default", "site")
    (tmp_path / "etc/nginx/sites-enabled").mkdir()
    (tmp_path / "etc/nginx/sites-enabled/default").symlink_to("/etc/nginx/sites-available/default")
    return tmp_path


def test_packages_as_they_were_installed_are_nobodys(host: Path) -> None:
    assert foreign.foreign_services(str(host)) == {}


def test_a_bare_host_has_nothing(tmp_path: Path) -> None:
    assert foreign.foreign_services(str(tmp_path)) == {}
    assert foreign.postgresql_clusters(str(tmp_path)) == []


@pytest.mark.parametrize("service", sorted(CONFIGS))
def test_a_changed_configuration_is_somebodys(host: Path, service: str) -> None:
    write(host, CONFIGS[service], "listen shop")
    assert foreign.foreign_services(str(host)) == {service: [CONFIGS[service]]}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/etc/nginx/sites-enabled/shop", True),
        ("/etc/nginx/conf.d/shop.conf", True),
        ("/etc/nginx/conf.d/shop.conf.off", False),
        ("/etc/nginx/conf.d/new.conf", False),
        ("/etc/nginx/sites-available/default", True),
    ],
)
def test_sites_of_nginx(host: Path, path: str, expected: bool) -> None:
    write(host, path, "server {}")
    found = "/etc/nginx/sites-enabled/default" if path.endswith("available/default") else path
    assert foreign.foreign_services(str(host)) == ({"nginx": [found]} if expected else {})


def test_sites_that_our_nginx_does_not_include_are_no_matter(host: Path) -> None:
    write(host, "/etc/nginx/sites-enabled/shop", "server {}")
    write(host, CONFIGS["nginx"], "http {\n    upstream airflow_masters {\n}")
    assert foreign.foreign_services(str(host)) == {}


def test_units_of_another_airflow(host: Path) -> None:
    path = "/etc/systemd/system/airflow-scheduler.service"
    write(host, path, "[Service]\nExecStart=/home/airflow/venv/bin/airflow scheduler\n")
    assert foreign.foreign_services(str(host)) == {"airflow": [path]}
    write(host, path, "[Service]\nExecStart=/opt/airflow/versions/3.3.2/bin/airflow scheduler\n")
    assert foreign.foreign_services(str(host)) == {}


@pytest.mark.parametrize("service", sorted(foreign.SERVICES))
def test_ours_is_known_by_what_the_roles_write(host: Path, service: str) -> None:
    """A host that we installed is never refused: the marks are in what the roles write."""
    own = foreign.SERVICES[service]
    templates = {
        "nginx": "nginx_lb/templates/nginx/upstreams.conf.j2",
        "prometheus": "observability/vars/main/main.yml",
    }
    if service in templates:
        written = (ROLES / templates[service]).read_text()
        assert any(word in written for word in own.our_words)
    else:
        (path,) = own.our_files
        files = [*ROLES.glob("*/vars/**/*.yml"), *ROLES.glob("*/tasks/*.yml")]
        variables = "".join(file.read_text() for file in files)
        assert f"/{path}" in variables
        write(host, own.config, "anything")
        write(host, path)
        assert foreign.foreign_services(str(host)) == {}


def test_units_of_ours_name_a_release() -> None:
    unit = (ROLES / "airflow_common/templates/airflow.service.j2").read_text()
    assert "ExecStart={{ __airflow_release }}/bin/" in unit
    variables = (ROLES / "airflow_common/vars/main/main.yml").read_text()
    assert '__airflow_release: "{{ __airflow_prefix }}/versions/' in variables
    assert re.search(
        "__topology_airflow_prefix: /opt/airflow$", (ROLES / "topology/vars/main.yml").read_text(), re.M
    )


def cluster_of(host: Path, *numbers: int, config: str = "") -> dict[str, Any]:
    write(host, "/etc/postgresql/15/main/postgresql.conf", config)
    for number in (1, 4, 5, *numbers):
        (host / "var/lib/postgresql/15/main/base" / str(number)).mkdir(parents=True, exist_ok=True)
    (found,) = foreign.postgresql_clusters(str(host))
    return found


def test_databases_of_a_postgresql(host: Path) -> None:
    empty = {
        "version": "15", "name": "main", "data": "/var/lib/postgresql/15/main", "databases": 0, "ours": False
    }  # fmt: skip
    assert cluster_of(host) == empty
    assert cluster_of(host, 16384, 24576) == {**empty, "databases": 2}
    elsewhere = cluster_of(
        host, 16384, config="#data_directory = '/x'\ndata_directory = '/data/pg'\t\t# why\n"
    )
    assert (elsewhere["data"], elsewhere["databases"]) == ("/data/pg", 0)


@pytest.mark.parametrize(
    "path",
    ["/etc/postgresql/15/main/conf.d/airflow.conf", *(f"/{path}" for path in foreign.OUR_METASTORE)],
)
def test_a_metastore_of_ours(host: Path, path: str) -> None:
    assert not cluster_of(host, 16384)["ours"]
    write(host, path)
    assert cluster_of(host, 16384)["ours"]


def test_the_file_system_of_a_folder(tmp_path: Path) -> None:
    facts = filesystems.folder_facts(str(tmp_path / "a/b"))
    assert (facts["place"], facts["exists"], facts["dangling"]) == (str(tmp_path / "a/b"), False, False)
    assert Path(facts["mount"]).is_mount() and str(tmp_path).startswith(facts["mount"])
    assert facts["free"] == host_probe.disk_free(str(tmp_path))
    (tmp_path / "link").symlink_to(tmp_path / "data")
    link = filesystems.folder_facts(str(tmp_path / "link"))
    assert (link["link"], link["dangling"], facts["link"]) == (True, True, False)
    (tmp_path / "data").mkdir()
    assert not filesystems.folder_facts(str(tmp_path / "link"))["dangling"]
    assert filesystems.folder_facts("/proc/sys")["mount"].startswith("/proc")
    assert filesystems.folder_facts("/dev/shm")["noexec"] == ("noexec" in options_of("/dev/shm"))


def options_of(mount: str) -> list[str]:
    """Of the mount that lies above all others there."""
    lines = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return next((line[3].split(",") for line in reversed(lines) if line[1] == mount), [])


# --- PostgreSQL's own repository

PGDG_LIST = "deb [signed-by=/x.asc] https://apt.postgresql.org/pub/repos/apt bookworm-pgdg main\n"
PGDG_SOURCES = "Types: deb\nURIs: https://apt.postgresql.org/pub/repos/apt\nSuites: bookworm-pgdg\n"


@pytest.mark.parametrize(
    ("path", "text", "named"),
    [
        ("/etc/apt/sources.list", f"deb http://deb.debian.org/debian bookworm main\n{PGDG_LIST}", True),
        ("/etc/apt/sources.list.d/pgdg.list", PGDG_LIST, True),
        ("/etc/apt/sources.list.d/pgdg.list", f"# {PGDG_LIST}", False),
        ("/etc/apt/sources.list.d/pgdg.list.save", PGDG_LIST, False),
        ("/etc/apt/sources.list.d/pgdg.sources", PGDG_SOURCES, True),
        ("/etc/apt/sources.list.d/pgdg.sources", f"{PGDG_SOURCES}Enabled: no\n", False),
        ("/etc/apt/sources.list.d/all.sources", f"Types: deb\nEnabled: no\n\n{PGDG_SOURCES}", True),
    ],
)
def test_the_repository_of_postgresql(tmp_path: Path, path: str, text: str, named: bool) -> None:
    write(tmp_path, path, text)
    assert pgdg.sources(str(tmp_path)) == ([path] if named else [])


@pytest.mark.parametrize(
    ("status", "version"),
    [
        ("Package: postgresql\nStatus: install ok installed\nVersion: 15+248+deb12u2\n", "15"),
        (
            "Package: a\n\nPackage: postgresql\nStatus: install ok installed\nVersion: 18+287.pgdg12\n",
            "18",
        ),
        ("Package: postgresql\nStatus: deinstall ok config-files\nVersion: 18\n", ""),
        ("Package: postgresql-15\nStatus: install ok installed\nVersion: 15.14-0\n", ""),
        ("", ""),
    ],
)
def test_the_installed_version_of_postgresql(status: str, version: str) -> None:
    assert pgdg.installed_version(status) == version


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("topology/vars/main.yml", "__topology_metastore_tls_directory: /etc/airflowops/metastore\n"),
        ("postgres_metastore/vars/main/main.yml", "/main/conf.d/airflow.conf\n"),
        (
            "postgres_metastore/tasks/files.yml",
            "/etc/systemd/system/patroni.service.d/airflowops.conf\n",
        ),
        ("airflow_common/vars/main/main.yml", f"__airflow_home: {HOME}\n"),
        ("airflow_common/vars/main/main.yml", "__airflow_user: airflow\n"),
    ],
)
def test_marks_are_where_the_roles_put_them(file: str, line: str) -> None:
    assert line in (ROLES / file).read_text()
