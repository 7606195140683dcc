# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What host_vars give one host counts for that host alone, whichever host of the run works it out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

CHECKOUT = Path(__file__).parents[2]
ROLES = CHECKOUT / "roles"
HOSTS = ["n1", "n2", "n3"]
GROUPS = ["redis_cluster", "postgres_metastore", "airflow_master", "airflow_worker", "flower", "nginx_lb"]
WITH_VARS = ["service_endpoints", "nginx_lb", "airflow_worker", "etcd"]
OF_N1 = {
    "airflow_workers": [{"name": "gpu", "queues": ["gpu"], "concurrency": 2}],
    "redis_cluster_ports": [7100],
    "postgres_metastore_port": 5499,
    "postgres_metastore_patroni_port": 8099,
    "etcd_client_port": 2499,
    "etcd_peer_port": 2498,
    "airflow_master_api_port": 8199,
    "airflow_master_execution_port": 8198,
    "flower_port": 5599,
}


def template(path: str) -> str:
    return "{{ lookup('ansible.builtin.template', '" + str(ROLES / path) + "') }}"


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """{host: what it works out}, each for itself."""
    directory = tmp_path_factory.mktemp("host-values")
    hosts = {
        host: {"ansible_host": f"192.0.2.{number}", **(OF_N1 if host == "n1" else {})}
        for number, host in enumerate(HOSTS, 1)
    }
    inventory = {
        "all": {
            "hosts": hosts,
            "vars": {
                "ansible_connection": "local",
                "ansible_python_interpreter": sys.executable,
                "redis_cluster_broker_password": "x",
            },
            "children": {group: {"hosts": dict.fromkeys(HOSTS)} for group in GROUPS},
        }
    }
    (directory / "hosts.yml").write_text(yaml.safe_dump(inventory))
    wanted = {
        "queues": "{{ __topology_queues }}",
        "required": "{{ __airflow_worker_required_queues }}",
        "nodes": "{{ __topology_redis_nodes }}",
        "etcd": "{{ __topology_etcd_endpoints }}",
        "peers": "{{ __etcd_peer_urls }}",
        "haproxy": template("service_endpoints/templates/haproxy.cfg.j2"),
        "upstreams": template("nginx_lb/templates/nginx/upstreams.conf.j2"),
    }
    write = {
        "ansible.builtin.copy": {
            "content": "{{ wanted | to_json }}",
            "dest": f"{directory}/{{{{ inventory_hostname }}}}.json",
        },
        "vars": {"wanted": wanted},
    }
    play = {
        "hosts": "all",
        "gather_facts": True,
        "gather_subset": ["!all", "min"],
        "vars": {"airflow_base_url": "http://n1.example.org", "nginx_lb_acme_webroot": ""},
        "vars_files": [
            *(f"{ROLES}/{role}/defaults/main.yml" for role in ("service_endpoints", "nginx_lb")),
            *(f"{ROLES}/{role}/vars/main.yml" for role in WITH_VARS),
        ],
        "roles": ["airflowops.cluster.topology"],
        "tasks": [write],
    }
    (directory / "play.yml").write_text(yaml.safe_dump([play], width=10000))
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-i", "hosts.yml", "play.yml"],
        cwd=directory,
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".collections"),
            "ANSIBLE_NOCOLOR": "1",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {host: json.loads((directory / f"{host}.json").read_text()) for host in HOSTS}


def test_each_host_comes_to_the_same_result(seen: dict[str, dict[str, Any]]) -> None:
    for name in seen["n1"]:
        assert seen["n1"][name] == seen["n2"][name] == seen["n3"][name], name


@pytest.mark.parametrize("host", HOSTS)
def test_queues_are_required_of_the_workers_that_serve_them(
    seen: dict[str, dict[str, Any]], host: str
) -> None:
    assert seen[host]["queues"] == {"gpu": ["n1"], "default": ["n2", "n3"]}
    assert seen[host]["required"] == {"gpu": 1, "default": 2}


@pytest.mark.parametrize("host", HOSTS)
def test_redis_nodes_have_the_ports_of_their_hosts(seen: dict[str, dict[str, Any]], host: str) -> None:
    nodes = [f"{node['host']}:{node['port']}" for node in seen[host]["nodes"]]
    assert nodes == [
        "192.0.2.1:7100",
        *(f"192.0.2.{number}:{port}" for number in (2, 3) for port in (7000, 7001)),
    ]


@pytest.mark.parametrize("host", HOSTS)
def test_etcd_is_reached_at_the_ports_of_its_hosts(seen: dict[str, dict[str, Any]], host: str) -> None:
    assert seen[host]["etcd"] == ["192.0.2.1:2499", "192.0.2.2:2379", "192.0.2.3:2379"]
    assert seen[host]["peers"] == [f"https://192.0.2.{n}:{p}" for n, p in ((1, 2498), (2, 2380), (3, 2380))]


@pytest.mark.parametrize("host", HOSTS)
def test_haproxy_and_nginx_lead_to_the_ports_of_each_host(seen: dict[str, dict[str, Any]], host: str) -> None:
    text = seen[host]["haproxy"]
    servers = [line.split()[1:] for line in text.splitlines() if line.strip().startswith("server n")]
    by_port = [(name, address, rest[1] if rest[:1] == ["port"] else "") for name, address, *rest in servers]
    expected = [
        *(("n1", "5499", "8099"), ("n2", "5432", "8008"), ("n3", "5432", "8008")),
        *(("n1", "8198", ""), ("n2", "8081", ""), ("n3", "8081", "")),
        *(("n1", "8199", ""), ("n2", "8080", ""), ("n3", "8080", "")),
        *(("n1", "5599", ""), ("n2", "5555", ""), ("n3", "5555", "")),
    ]
    assert by_port == [(name, f"192.0.2.{name[1]}:{port}", check) for name, port, check in expected]
    upstreams = seen[host]["upstreams"]
    for address in ("192.0.2.1:8199", "192.0.2.2:8080", "192.0.2.3:8080"):
        assert f"server {address} backup;" in upstreams
