# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on a host that the collection did not bring, as host_probe reads it. No program is run."""

from __future__ import annotations

import grp
import pwd
import re
from pathlib import Path
from typing import Any, Callable

from ansible_collections.airflowops.cluster.plugins.module_utils.host.filesystems import filesystems
from ansible_collections.airflowops.cluster.plugins.module_utils.host.foreign import (
    foreign_services,
    postgresql_clusters,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.host.pgdg import postgresql_package
from ansible_collections.airflowops.cluster.plugins.module_utils.host.probe import names_in, read_text

# In the order in which they count: a file in an earlier one hides those of its name in the later ones.
UNIT_DIRECTORIES = (
    "etc/systemd/system",
    "run/systemd/system",
    "run/systemd/generator",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
)
BLANK_CREDENTIALS = re.compile(r"^\s*LoadCredential(?:Encrypted)?\s*=\s*$", re.MULTILINE)


def blank_credentials(root: str = "/") -> list[str]:
    """Drop-ins for all services that take their credentials away."""
    found: dict[str, Path] = {}
    for directory in UNIT_DIRECTORIES:
        for name in names_in(str(Path(root, directory, "service.d"))):
            if name.endswith(".conf"):
                found.setdefault(name, Path(root, directory, "service.d", name))
    return sorted(
        f"/{path.relative_to(root)}" for path in found.values() if BLANK_CREDENTIALS.search(read_text(path))
    )


def entry_of(text: str, name: str) -> list[str]:
    """The fields of a user or group in the text of /etc/passwd or /etc/group; none where it is not there."""
    for line in text.splitlines():
        fields = line.split(":")
        if fields[0] == name and len(fields) > 3:
            return fields
    return []


def known_elsewhere(find: Callable[[str], Any], name: str) -> bool:
    """Whether the system knows the user or group at all, as from LDAP."""
    try:
        find(name)
    except KeyError:
        return False
    return True


def user_facts(name: str = "airflow", root: str = "/") -> dict[str, Any] | None:
    """What is known of a user; none where there is none. Only who is not in the files is asked of others."""
    fields = entry_of(read_text(Path(root, "etc/passwd")), name)
    group = bool(entry_of(read_text(Path(root, "etc/group")), name))
    if len(fields) > 6:
        group = group or (root == "/" and known_elsewhere(grp.getgrnam, name))
        return {"local": True, "home": fields[5], "shell": fields[6], "group": group}
    if root == "/" and known_elsewhere(pwd.getpwnam, name):
        return {"local": False, "home": "", "shell": "", "group": group}
    return None


def surroundings(root: str = "/") -> dict[str, Any]:
    """All that is read here."""
    return {
        "airflow_user": user_facts(root=root),
        "blank_credentials": blank_credentials(root),
        "filesystems": filesystems(),
        "foreign": foreign_services(root),
        "postgresql_clusters": postgresql_clusters(root),
        "postgresql_package": postgresql_package(root),
    }
