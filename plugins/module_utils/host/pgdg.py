# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which major version of PostgreSQL the package `postgresql` is, where a repository brings others."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

from ansible_collections.airflowops.cluster.plugins.module_utils.host.probe import names_in, read_text

REPOSITORY = "apt.postgresql.org"


def sources(root: str = "/") -> list[str]:
    """apt's lists of repositories in which that of PostgreSQL's own project is in use."""
    base = Path(root, "etc/apt")
    files = [base / "sources.list"]
    files += [base / "sources.list.d" / name for name in sorted(names_in(str(base / "sources.list.d")))]
    return [
        f"/{path.relative_to(root)}"
        for path in files
        if path.suffix in (".list", ".sources") and any(map(names_repository, blocks(path)))
    ]


def blocks(path: Path) -> list[str]:
    """The lines of one format, the paragraphs of the other, without comments."""
    text = "\n".join(line for line in read_text(path).splitlines() if not line.lstrip().startswith("#"))
    return text.splitlines() if path.suffix == ".list" else text.split("\n\n")


def names_repository(block: str) -> bool:
    off = re.search(r"^Enabled:\s*(no|false|0)\s*$", block, re.MULTILINE | re.IGNORECASE)
    return REPOSITORY in block and not off


def major(version: str) -> str:
    """``15+248+deb12u2`` is 15."""
    found = re.match(r"(?:\d+:)?(\d+)", version)
    return found[1] if found else ""


def installed_version(status: str) -> str:
    """The major version of the package that is installed, from the text of /var/lib/dpkg/status."""
    for paragraph in status.split("\n\n"):
        if paragraph.lstrip().startswith("Package: postgresql\n"):
            version = re.search(r"^Version: (\S+)", paragraph, re.MULTILINE)
            if version and "\nStatus: install ok installed" in paragraph:
                return major(version[1])
    return ""


def candidate_version() -> str:
    """The major version that apt would install, with its pins; nothing where that is not known."""
    try:
        apt_pkg: Any = importlib.import_module("apt_pkg")
    except ImportError:
        return ""
    try:
        apt_pkg.init()
        # Nothing is written, and nothing printed.
        apt_pkg.config.set("Dir::Cache::pkgcache", "")
        apt_pkg.config.set("Dir::Cache::srcpkgcache", "")
        cache = apt_pkg.Cache(progress=None)
        if "postgresql" not in cache:
            return ""
        candidate = apt_pkg.DepCache(cache).get_candidate_ver(cache["postgresql"])
        return major(candidate.ver_str) if candidate else ""
    except (apt_pkg.Error, KeyError, SystemError):
        return ""


def postgresql_package(root: str = "/") -> dict[str, object]:
    """apt's own data are read only where there is such a repository: that takes some tenths of a second."""
    found = sources(root)
    version = installed_version(read_text(Path(root, "var/lib/dpkg/status")))
    if not version and found and root == "/":
        version = candidate_version()
    return {"sources": found, "version": version}
