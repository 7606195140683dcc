# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's CA is replaced, and all its certificates with it, while tasks run."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab import ROOT, Lab, changed
from metastore import THREE
from test_2_verify import run_dag
from test_4_faults import Load, load_dag
from test_4_version import answered

__all__ = ["load_dag"]
TLS = ("-e", '{"redis_cluster_tls": true}')


def shown(lab: Lab) -> dict[str, str]:
    """{host:port: what its certificate is signed by}, as each service shows it."""
    found = {}
    for host in lab.hosts:
        for port, options in (
            ("7000", ""),
            ("5432", "-starttls postgres"),
            ("8008", ""),
            ("2379", ""),
            ("443", ""),
        ):
            if lab.host(host).run(f"ss -Hltn sport = :{port}").stdout:
                reported = lab.host(host).check_output(
                    f"openssl s_client -connect {lab.address(host)}:{port} {options} </dev/null 2>/dev/null"
                    " | openssl x509 -noout -ext authorityKeyIdentifier | tail -1"
                )
                found[f"{host}:{port}"] = reported.strip()
    return found


@pytest.mark.usefixtures("long", "load_dag")
def test_a_new_ca_under_tasks(lab: Lab) -> None:
    more: tuple[str | Path, ...] = ()
    if lab.topology == "multi_node":
        three = lab.directory / "three.yml"
        three.write_text(THREE)
        more = ("-i", three)
    arguments = (*TLS, *lab.with_load, *more)
    lab.playbook("site.yml", *arguments)
    before, old = shown(lab), (lab.directory / "pki/ca.crt").read_text()
    assert len({*before.values()}) == 1
    ports = {name.split(":")[1] for name in before}
    assert {"7000", "5432"} <= ports
    if more:
        assert {"8008", "2379"} <= ports

    load = Load(lab, tasks=300, seconds=10)
    load.under_way(5)
    with answered(lab) as wrong:
        lab.playbook(ROOT / "playbooks/rotate_certificates.yml", *arguments)
    load.all_done(timeout=600)
    # Who knows one CA alone has to be reported of the other: meanwhile nginx shows what is not in the file.
    assert [error for error in wrong if "certificate verify failed" not in error] == []

    after = shown(lab)
    assert {*after} == {*before}
    assert len({*after.values()}) == 1
    assert not {*before.values()} & {*after.values()}
    new = (lab.directory / "pki/ca.crt").read_text()
    assert new != old
    for host in lab.hosts:
        held = lab.host(host).run("cat /etc/airflowops/*-ca.crt").stdout
        assert set(held.split("-----END CERTIFICATE-----\n")) <= {new.split("-----END")[0], ""}, host
    assert changed(lab.playbook("site.yml", *arguments)) == 0
    assert run_dag(lab, "hello_world2")["state"] == "success"


@pytest.mark.parametrize(
    "arguments", [("--limit", "all"), ("--check",), ("--tags", "nginx_lb"), ("--skip-tags", "flower")]
)
def test_for_a_part_it_is_refused(lab: Lab, arguments: tuple[str, ...]) -> None:
    files = {path.name for path in (lab.directory / "pki").iterdir()}
    output = lab.playbook(ROOT / "playbooks/rotate_certificates.yml", *arguments, check=False)
    assert "leave --limit, --tags, --skip-tags and --check away. Nothing was changed." in " ".join(
        output.split()
    )
    assert changed(output) == 0
    assert {path.name for path in (lab.directory / "pki").iterdir()} == files
