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
