# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which package of the collection may import which: a new arrow is a decision, made here."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
PREFIX = "ansible_collections.airflowops.cluster.plugins."
# {package: packages that it may import}. What runs on hosts imports nothing of the controller's.
ALLOWED = {
    "action": {
        "filter",
        "module_utils.host",
        "module_utils.unlogged_module",
        "plugin_utils",
        "plugin_utils.health",
        "plugin_utils.preflight",
    },
    "filter": {
        "module_utils.host",
        "plugin_utils",
        "plugin_utils.health",
        "plugin_utils.preflight",
        "plugin_utils.roles",
    },
    "modules": {
        "module_utils.airflow",
        "module_utils.celery",
        "module_utils.etcd",
        "module_utils.firewall",
        "module_utils.health",
        "module_utils.host",
        "module_utils.postgres",
        "module_utils.redis",
        "module_utils.unlogged_module",
    },
    "plugin_utils": {
        "module_utils.airflow",
        "module_utils.firewall",
        "module_utils.host",
        "module_utils.redis",
        "plugin_utils.preflight",
    },
    "plugin_utils.health": {
        "module_utils.celery",
        "module_utils.redis",
        "plugin_utils",
        "plugin_utils.roles",
    },
    "plugin_utils.preflight": {
        "module_utils.airflow",
        "module_utils.host",
        "module_utils.redis",
        "plugin_utils",
    },
    "plugin_utils.roles": {"plugin_utils"},
    "module_utils": set(),
    "module_utils.airflow": set(),
    "module_utils.celery": set(),
    "module_utils.etcd": set(),
    "module_utils.firewall": {"module_utils.host"},
    "module_utils.health": {
        "module_utils.airflow",
        "module_utils.etcd",
        "module_utils.host",
        "module_utils.redis",
    },
    "module_utils.host": set(),
    "module_utils.postgres": set(),
    "module_utils.redis": set(),
}


def package_of(path: Path) -> str:
    return ".".join(path.relative_to(PLUGINS).parent.parts)


def imported_packages(path: Path) -> set[str]:
    """The packages of the collection that a file imports, without its own."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith(PREFIX):
            continue
        name = (node.module or "").removeprefix(PREFIX)
        for target in {f"{name}.{alias.name}" for alias in node.names} | {name}:
            where = PLUGINS / target.replace(".", "/")
            if where.with_suffix(".py").exists():
                package = target.rpartition(".")[0]
                found.add(target if package == "module_utils" else package)
    return found - {package_of(path)}


@pytest.mark.parametrize(
    "path", sorted(PLUGINS.rglob("*.py")), ids=lambda path: str(path.relative_to(PLUGINS))
)
def test_a_file_imports_from_the_packages_that_it_may(path: Path) -> None:
    package = package_of(path)
    unexpected = imported_packages(path) - ALLOWED.get(package, set())
    assert not unexpected, f"{package} does not import from {', '.join(sorted(unexpected))}: see ALLOWED"


def test_what_runs_on_hosts_never_imports_from_the_controller() -> None:
    for package, allowed in ALLOWED.items():
        if package.startswith("module"):
            assert not any(name.startswith("plugin_utils") for name in allowed), package
