# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with Airflow's version. The cluster's description is that of `preflight`."""

from __future__ import annotations

import re
from typing import Any, Mapping

from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import (
    Problems,
    known_hosts,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import RUNS_AIRFLOW
from ansible_collections.airflowops.cluster.plugins.plugin_utils.providers import PROVIDERS
from ansible_collections.airflowops.cluster.plugins.plugin_utils.runtime_package import tested_versions

PROVIDER_PACKAGE = "apache-airflow-providers-"


def check_packages(release: Mapping[str, Any], auth_type: str, problems: Problems) -> None:
    """A class that is not there keeps a service from starting."""
    packages = release.get("packages", [])
    there = tuple(
        f"{PROVIDERS}{name.removeprefix(PROVIDER_PACKAGE).replace('-', '.')}."
        for name in packages
        if name.startswith(PROVIDER_PACKAGE)
    )
    for variable, classpath in release.get("needs", []):
        if not classpath.startswith(there):
            package = classpath.removeprefix(PROVIDERS).split(".")[0]
            problems.add(
                f"{variable} needs {classpath}, which nothing in {release['lock_file']} has: add its "
                f"package, {PROVIDER_PACKAGE}{package} or one that begins so, to airflow_lock_file"
            )
    if auth_type == "AUTH_OAUTH" and "authlib" not in packages:
        problems.add(
            f"airflow_auth_config has AUTH_OAUTH, which needs the package authlib, and nothing in "
            f"{release['lock_file']} has it: add it to airflow_lock_file"
        )


def check_tested(release: Mapping[str, Any], allowed: bool, problems: Problems) -> None:
    """What the runtime package changes has the versions that it was tested with."""
    versions = release.get("versions", {})
    untested = [
        f"{name} {versions[name]} (tested: {', '.join(tested)})"
        for name, tested in tested_versions().items()
        if name in versions and versions[name] not in tested
    ]
    if untested and not allowed:
        problems.add(
            f"{release['lock_file']} has versions with which the runtime package was not tested: "
            f"{'; '.join(untested)}. Use the tested ones, or set preflight_allow_untested_packages: true: "
            "patches that do not fit are skipped then, and docs/runtime.md says what is missed without them"
        )


def check_release(cluster: dict[str, Any], problems: Problems) -> None:
    """A change of version has an order of its own, which the playbooks made for it keep."""
    for host in known_hosts(cluster, *RUNS_AIRFLOW, "flower"):
        release = cluster["hosts"][host].get("release")
        # What is no text is reported where types are checked.
        if not release or not isinstance(release["wanted"], str):
            continue
        wanted, in_use = release["wanted"], release["in_use"]
        if not release["lock_there"]:
            problems.add(
                f"airflow_lock_file names {release['lock_file']}, which the controller has not: the "
                "collection carries lock files for some versions of Airflow; for another make one with "
                "`uv pip compile --universal --generate-hashes`"
            )
        else:
            check_packages(release, auth_type_of(cluster, host), problems)
            values = cluster["hosts"][host].get("values", {})
            check_tested(release, bool(values.get("preflight_allow_untested_packages")), problems)
        kind = kind_of_change(in_use, wanted)
        if kind and kind != release["change"]:
            problems.add(
                f"airflow_version is {wanted}, but Airflow {in_use} is in use on {{hosts}}: run the playbook "
                f"airflowops.cluster.airflow_{kind}, which changes it without losing a task, or set "
                f'airflow_version to "{in_use}"',
                host,
            )


def patches_not_on(hosts: Mapping[str, Any]) -> list[str]:
    """What is to be known of the runtime package's patches, and is no reason to stop."""
    off: set[str] = set()
    skipped: set[str] = set()
    for host, entry in hosts.items():
        named = entry.get("values", {}).get("airflow_patches_off")
        off |= {str(name) for name in named} if isinstance(named, list) else set()
        for unit, patches in ((entry.get("probe") or {}).get("airflow_patches") or {}).items():
            skipped |= {
                f"{name} in {unit} on {host} ({result['reason']})"
                for name, result in patches.items()
                if result["state"] == "skipped"
            }
    lines = []
    if off:
        lines.append(f"airflow_patches_off switches off {', '.join(sorted(off))}: see docs/runtime.md.")
    if skipped:
        lines.append(
            f"Patches are skipped, as they do not fit: {'; '.join(sorted(skipped))}: see docs/runtime.md."
        )
    return lines


def auth_type_of(cluster: dict[str, Any], host: str) -> str:
    """What the host's API servers, if it has any, know of how people log in."""
    settings = cluster["hosts"][host].get("given", {}).get("airflow_auth_config")
    if host not in known_hosts(cluster, "airflow_master") or not isinstance(settings, Mapping):
        return ""
    return str(settings.get("AUTH_TYPE", ""))


def kind_of_change(in_use: str, wanted: str) -> str:
    """`upgrade`, `rollback`, or nothing where there is none to be made; `in_use` is empty on a new host."""
    if not in_use or in_use == wanted:
        return ""
    return "upgrade" if order(wanted) > order(in_use) else "rollback"


def order(version: str) -> tuple[tuple[int, ...], bool, str]:
    """3.3.2rc1 comes before 3.3.2, and 3.9 before 3.10."""
    found = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    numbers = found.group() if found else ""
    rest = version[len(numbers) :]
    return tuple(int(number) for number in numbers.split(".") if number), not rest, rest
