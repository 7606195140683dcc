# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages, tags, brokers, certificates and sources of support: what the roles take from their inputs."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import lookup_loader
from ansible.template import Templar
from ansible_collections.airflowops.cluster.plugins.plugin_utils.roles import (
    airflow_services,
    certificates,
    logs,
    packages,
    topology,
)

HOST: dict[str, Any] = {
    "roles": ["redis_cluster", "airflow_common", "airflow_master"],
    "flavor": "redis",
    "many_metastores": False,
    "git": False,
    "ldap": False,
    "front_tls": False,
    "floating": False,
    "monitors": False,
    "old_time": False,
}


# --- Packages


def names(wanted: list[str], family: str = "Debian", more: Any = (), **host: Any) -> list[str]:
    return packages.package_names(wanted, family, {**HOST, **host}, more)


def test_packages_are_those_of_the_roles_each_once() -> None:
    assert names(["redis_cluster"]) == ["python3-redis", "redis-server", "redis-tools"]
    assert names(["redis_cluster"], flavor="valkey") == ["python3-redis", "valkey-server", "valkey-tools"]
    assert names(["redis_cluster"], "RedHat") == ["python3-redis", "redis"]
    assert names(["firewall", "firewall"], more=["nftables", "chrony"]) == ["chrony", "nftables"]
    assert names(["logs", "airflow_master"]) == []


def test_what_an_input_asks_for_is_installed() -> None:
    assert "git" in names(["airflow_common"], git=True)
    assert {"git-core", "openssh-clients"} <= {*names(["airflow_common"], "RedHat", git=True)}
    assert "python3-ldap" in names(["airflow_common"], ldap=True)
    assert "python3-ldap" not in names(["airflow_common"], ldap=True, roles=["airflow_worker"])
    assert names(["nginx_lb"]) == ["logrotate", "nginx"]
    assert "curl" in names(["nginx_lb"], front_tls=True)
    assert {"curl", "keepalived"} <= {*names(["nginx_lb"], floating=True)}
    assert {"patroni", "python3-etcd"} <= {*names(["postgres_metastore"], many_metastores=True)}


def test_exporters_come_with_the_services_they_are_for() -> None:
    found = names(["observability"])
    assert "prometheus-redis-exporter" in found and "prometheus-nginx-exporter" not in found
    assert "libmicrohttpd12t64" in found and "prometheus" not in found
    assert "libmicrohttpd12" in names(["observability"], old_time=True)
    assert {"prometheus", "prometheus-alertmanager"} <= {*names(["observability"], monitors=True)}


def test_a_clock_is_kept_once() -> None:
    assert packages.time_packages("Debian", ["haproxy"]) == ["systemd-timesyncd"]
    assert packages.time_packages("RedHat", []) == ["chrony"]
    assert packages.time_packages("Debian", ["ntpsec"]) == []
    assert packages.time_service("RedHat") == "chronyd"


# --- Roles and tags


def test_a_host_has_the_roles_whose_hosts_it_is_among() -> None:
    hosts = {"redis_cluster": ["a"], "flower": ["b"], "nginx_lb": ["a", "b"]}
    assert topology.host_roles("a", hosts, {"logs": "", "observability": True}) == [
        *("redis_cluster", "nginx_lb", "observability"),
    ]
    assert topology.host_roles("c", hosts) == []


@pytest.mark.parametrize(
    ("tags", "more"),
    [
        (["all"], []),
        (["postgres_metastore"], ["etcd"]),
        (["flower"], ["airflow_common"]),
        (["airflow_master"], []),
        (["airflow_common"], ["airflow_worker", "flower"]),
    ],
)
def test_a_tag_brings_what_belongs_to_it_on_the_host(tags: list[str], more: list[str]) -> None:
    roles = ["airflow_common", "airflow_worker", "flower"]
    assert topology.run_tags(tags, roles) == [*tags, *more]


# --- The broker


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("", "redis"),
        ("sentinel://x", "redis"),
        ("AMQPS://x", "amqp"),
        ("sqs://", "sqs"),
        ("rediss://x", "redis"),
    ],
)
def test_the_url_says_which_kind_the_broker_is(url: str, kind: str) -> None:
    assert topology.broker_kind(url) == kind


def test_options_of_the_user_are_merged_over_ours() -> None:
    settings = {"prefix": "{airflow}:", "visibility_timeout": 60}
    more = {"socket_timeout": 9, "sentinel_kwargs": {"password": "x"}, "master_name": "m"}
    found = topology.broker_options("redis", settings, more)
    assert found["secret"] == {"sentinel_kwargs": {"password": "x"}}
    assert found["open"]["socket_timeout"] == 9 and found["open"]["global_keyprefix"] == "{airflow}:"
    assert found["open"]["master_name"] == "m" and "sentinel_kwargs" not in found["open"]
    assert topology.broker_options("amqp", settings, {}) == {"open": {"confirm_publish": True}, "secret": {}}
    assert topology.broker_options("sqs", settings, {})["open"]["visibility_timeout"] == 60
    assert topology.merged({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}) == {"a": {"b": 1, "c": 3}}


def test_workers_are_found_by_their_units() -> None:
    lines = ["airflow-worker@q1.service loaded active running", "other.service loaded active running"]
    assert airflow_services.worker_names({"a": lines, "b": []}) == ["q1@a"]


# --- Certificates


def test_a_certificate_names_the_host_and_its_address_each_once() -> None:
    assert certificates.certificate_names("redis1", "192.0.2.11", ["example.org", "fd00::1", "10.0.0.1"]) == [
        *("DNS:redis1", "IP:192.0.2.11", "DNS:example.org", "IP:fd00::1", "IP:10.0.0.1"),
    ]
    assert certificates.certificate_names("localhost", "localhost") == ["DNS:localhost"]


def test_certificates_of_the_authority_are_found_among_others() -> None:
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def pem(name: str) -> str:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.datetime(2026, 1, 1)
        builder = x509.CertificateBuilder(
            subject, subject, key.public_key(), 1, now, now + datetime.timedelta(1)
        )
        return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    ours, other = pem("airflowops.cluster CA"), pem("other")
    assert certificates.named_certificates([other + ours, ours], "airflowops.cluster CA") == [ours]
    assert certificates.named_certificates(["nothing"], "airflowops.cluster CA") == []


# --- What is collected for support


def test_a_host_is_asked_for_what_its_roles_have() -> None:
    settings = {
        "flavor": "valkey",
        "redis_ports": [7000],
        "redis_password": "secret",
        "redis_ca_file": "/ca.crt",
        "postgres_port": 5432,
        "database": "airflow",
        "many_metastores": True,
        "api_url": "http://127.0.0.1:8080/api/v2/monitor/health",
    }
    bare = logs.support_sources([], settings)
    assert bare["sockets"] == [] and bare["urls"] == {}
    assert {"units.txt", "packages.txt"} <= {command["name"] for command in bare["commands"]}
    found = logs.support_sources(
        ["redis_cluster", "postgres_metastore", "airflow_common", "service_endpoints", "airflow_master"],
        settings,
    )
    commands = {command["name"]: command for command in found["commands"]}
    redis = commands["redis-7000-nodes.txt"]
    assert redis["argv"] == [
        *(
            "valkey-cli",
            "--no-auth-warning",
            "--tls",
            "--cacert",
            "/ca.crt",
            "-p",
            "7000",
            "CLUSTER",
            "NODES",
        ),
    ]
    assert redis["environment"] == {"REDISCLI_AUTH": "secret"}
    assert not any("secret" in argument for command in commands.values() for argument in command["argv"])
    assert {"patroni.txt", "dags.txt", "backups.txt"} <= {*commands}
    assert found["urls"] == {"airflow-health.json": settings["api_url"]}
    assert found["journals"]["airflow.log"] == ["--unit=airflow*"]
    alone = logs.support_sources(["postgres_metastore"], {**settings, "many_metastores": False})
    assert "patroni.txt" not in {command["name"] for command in alone["commands"]}


# --- Files of a template


def test_a_template_makes_a_file_for_each_item(tmp_path: Path) -> None:
    template = tmp_path / "unit.j2"
    template.write_text("Description={{ thing.text | b64encode }}\n", encoding="utf-8")
    loader = DataLoader()
    lookup = lookup_loader.get(
        "airflowops.cluster.rendered_files", loader=loader, templar=Templar(loader=loader, variables={})
    )
    items = [{"unit": "a.service", "text": "{{ x }}"}, {"unit": "b.service", "text": "y"}]
    options = {"items": items, "variable": "thing", "path": "/etc/{unit}.d/own.conf"}
    encoded = [base64.b64encode(text.encode()).decode() for text in ("{{ x }}", "y")]
    files = [
        {"path": f"/etc/{name}.service.d/own.conf", "content": f"Description={text}\n"}
        for name, text in zip("ab", encoded)
    ]
    assert lookup.run([str(template)], {}, **options) == files
    folders = [{"path": f"/etc/{name}.service.d", "directory": True} for name in "ab"]
    assert lookup.run([str(template)], {}, folders=True, **options) == [
        folders[0],
        files[0],
        folders[1],
        files[1],
    ]
