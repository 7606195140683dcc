# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller without the CA that the hosts trust changes nothing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.airflowops.cluster.plugins.module_utils.host.authorities import (
    authorities,
    fingerprints,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.authority import (
    authority_facts,
    check_authority,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import Problems

NOBODY = 65534


def make_certificate(path: Path, name: str) -> Path:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-subj", f"/CN={name}", "-days", "1", "-keyout", path.with_suffix(".key"), "-out", path],
        check=True, capture_output=True,
    )  # fmt: skip
    return path


def ca(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    return make_certificate(path, "airflowops.cluster CA")


def judge(facts: dict[str, Any], **trusted: list[str]) -> list[str]:
    """The problems of hosts that trust what is given as their fingerprints."""
    hosts = {
        host: {"authority": facts, "probe": {"authorities": {"metastore-ca.crt": prints} if prints else {}}}
        for host, prints in trusted.items()
    }  # fmt: skip
    problems = Problems(hosts)
    check_authority({"hosts": hosts}, problems)
    return problems.sentences()


def test_a_first_run_finds_no_ca_anywhere(tmp_path: Path) -> None:
    assert judge(authority_facts(str(tmp_path / "prod-pki")), one=[], two=[]) == []


def test_the_folder_of_the_ca_is_missing_or_another(tmp_path: Path) -> None:
    theirs = fingerprints(ca(tmp_path / "theirs/ca.crt").read_text())
    missing = judge(authority_facts(str(tmp_path / "prod-pki")), one=theirs, two=[])
    assert len(missing) == 1
    assert f"{tmp_path}/prod-pki on the controller, has no CA, but there is one that one trusts" in missing[0]
    assert "copy that folder" in missing[0] and "certificates_replace_ca=true" in missing[0]
    ca(tmp_path / "prod-pki/ca.crt")
    another = judge(authority_facts(str(tmp_path / "prod-pki")), one=theirs, two=theirs)
    assert len(another) == 1 and "holds another CA than the one that one, two trusts" in another[0]


def test_every_moment_of_a_rotation_passes(tmp_path: Path) -> None:
    """Hosts trust one, both, the next; the controller has them as ca, ca-next and ca-previous."""
    names = {name: ca(tmp_path / f"{name}.crt").read_text() for name in ("old", "new")}
    (old,), (new,) = (fingerprints(text) for text in names.values())
    folder = tmp_path / "pki"
    folder.mkdir()
    for here in (
        {"ca": "old"},
        {"ca": "old", "ca-next": "new"},
        {"ca": "new", "ca-previous": "old"},
        {"ca": "new"},
    ):
        for path in folder.glob("*.crt"):
            path.unlink()
        for name, text in here.items():
            (folder / f"{name}.crt").write_text(names[text])
        facts = authority_facts(str(folder))
        for trusted in ([old], [old, new], [new, old]):
            if {"old": old, "new": new}[here["ca"]] in trusted or len(here) > 1:
                assert judge(facts, one=trusted, two=trusted) == []
    # One that was off meanwhile gets what the others have.
    assert judge(facts, one=[old], two=[new]) == []


def test_a_ca_of_others_says_nothing(tmp_path: Path) -> None:
    text = make_certificate(tmp_path / "redis-ca.crt", "CA of the site").read_text()
    assert fingerprints(text + "-----BEGIN CERTIFICATE-----\n%%\n-----END CERTIFICATE-----") == []
    assert authorities(str(tmp_path), "*-ca.crt") == {}


def test_a_cluster_without_it_is_not_judged(tmp_path: Path) -> None:
    theirs = fingerprints(ca(tmp_path / "theirs/ca.crt").read_text())
    assert judge(authority_facts(str(tmp_path / "none"), needed=False), one=theirs) == []


@pytest.mark.parametrize("folder", ["pki", "~/pki", None])
def test_the_folder_has_to_be_an_absolute_path(folder: Any) -> None:
    assert "is no absolute path" in judge(authority_facts(folder), one=[])[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="makes folders of another user")
@pytest.mark.parametrize("what", ["folder", "parent", "key"])
def test_what_the_user_may_not_read_is_named(what: str, tmp_path: Path) -> None:
    """In a process of another user, as root may read everything."""
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    folder = tmp_path / "pki"
    if what != "parent":
        ca(folder / "ca.crt")
        folder.chmod(0o700)
    if what == "key":
        os.chown(folder, NOBODY, NOBODY)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        os.write(write, authority_facts(str(folder))["problem"].encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    problem = os.read(read, 4096).decode()
    os.close(read)
    expected = {
        "folder": f"may not read or write {folder}: ",
        "key": f"may not read or write {folder}/ca.key: ",
        "parent": f"may not make it in {tmp_path}: ",
    }
    assert expected[what] in problem and "nobody" in problem
