# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the role preflight. They carry Ansible's data to the pure functions in module_utils and back."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any, Iterable, Mapping

import yaml
from ansible.errors import AnsibleError, AnsibleFilterError
from ansible_collections.airflowops.cluster.plugins.module_utils import preflight, preflight_secrets

# .../plugins/filter/preflight.py: the same in a checkout and in an installed collection.
ROLES = Path(__file__).parent.parent.parent / "roles"


@lru_cache(maxsize=None)
def known_variables(roles: Path = ROLES) -> dict[str, list[str]]:
    """The variables that the roles document in their argument specs, with the keys of their entries."""
    known: dict[str, list[str]] = {}
    for path in sorted(roles.glob("*/meta/argument_specs.yml")):
        try:
            specs = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("argument_specs") or {}
        except (OSError, yaml.YAMLError) as error:
            raise AnsibleFilterError(f"Cannot read the variables of a role from {path}: {error}") from error
        for entry_point in specs.values():
            for name, option in (entry_point.get("options") or {}).items():
                known[name] = sorted({*known.get(name, []), *((option or {}).get("options") or {})})
    return known


def unknown_variables(names: Iterable[str]) -> list[str]:
    """Which of the names begin like a variable of this collection, but are none."""
    return preflight.unknown_variables(names, known_variables())


def secret_problem(value: Any, name: str) -> str:
    """What is wrong with the value of the secret of this name, without the value; empty if nothing is."""
    if name not in preflight_secrets.SECRETS:
        raise AnsibleFilterError(f"secret_problem knows no secret of the name {name}")
    return preflight_secrets.secret_problem(name, as_text(value))


def as_text(value: Any) -> Any:
    """A value as it is, but one that ansible-core 2.17 has yet to decrypt as the text that it stands for."""
    if type(value).__name__ == "AnsibleVaultEncryptedUnicode":
        return str(value)
    return value


def fingerprints(hostvars: Mapping[str, Any], hosts: Iterable[str]) -> dict[str, dict[str, str]]:
    """A digest of each secret on each host, to be compared and forgotten.

    A secret that comes from the play is not among a host's own variables; it is the same everywhere.
    """
    digests: dict[str, dict[str, str]] = {}
    for host in hosts:
        variables = hostvars[host]
        for name in preflight_secrets.SECRETS:
            try:
                value = as_text(variables[name]) if name in variables else None
            except (AnsibleError, KeyError):
                # Not to be evaluated: the host itself has found that, and says so.
                continue
            if isinstance(value, str):
                digests.setdefault(name, {})[host] = hashlib.sha256(value.encode()).hexdigest()
    return digests


def inventory_problems(
    hostvars: Mapping[str, Any],
    hosts: Iterable[str],
    roles: Mapping[str, Mapping[str, Any]],
    groups: Mapping[str, list[str]],
) -> list[str]:
    """All that is wrong with the inventory and its hosts, one sentence each."""
    described = {}
    for host in hosts:
        description = hostvars[host].get("__preflight_host")
        if isinstance(description, Mapping):
            described[host] = {**description, "probe": probe_of(hostvars[host])}
    return preflight.find_problems(
        {
            "roles": roles,
            "inventory_groups": groups,
            "known_variables": known_variables(),
            "fingerprints": fingerprints(hostvars, described) if len(described) > 1 else {},
            "hosts": described,
        }
    )


def probe_of(variables: Mapping[str, Any]) -> dict[str, Any] | None:
    """What host_probe told of a host; nothing if it did not run or failed."""
    probe = variables.get("__preflight_probe")
    return dict(probe) if isinstance(probe, Mapping) and "listening" in probe else None


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {
            "inventory_problems": inventory_problems,
            "secret_problem": secret_problem,
            "unknown_variables": unknown_variables,
        }
