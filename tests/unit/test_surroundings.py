# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What host_probe reads of foreign things on a host, in folders that stand for its root."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from ansible_collections.airflowops.cluster.plugins.module_utils.host import surroundings


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
    monkeypatch.setattr(surroundings, "known_elsewhere", lambda _name: True)
    assert surroundings.user_facts(name) == {"local": False, "home": "", "shell": "", "group": False}
