# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the role preflight. They carry Ansible's data to the pure functions in plugin_utils and back."""

from __future__ import annotations

import hashlib
import re
import socket
from functools import lru_cache
from pathlib import Path
from typing import Any, Iterable, Mapping
from urllib.parse import urlsplit

import yaml
from ansible.errors import AnsibleError, AnsibleFilterError
from ansible.module_utils.common.yaml import yaml_load
from ansible.release import __version__ as ansible_version
from ansible.utils.display import Display
from ansible_collections.airflowops.cluster.plugins.module_utils.host.vip import resolves
from ansible_collections.airflowops.cluster.plugins.plugin_utils import (
    dag_bundles,
    object_store,
    secrets_backends,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils import providers as provider_needs
from ansible_collections.airflowops.cluster.plugins.plugin_utils.certificate_problems import (
    certificate_problems,
    is_address,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight import authority
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight import broker as preflight_broker
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight import checks as preflight
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight import release as preflight_release
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight import secrets as preflight_secrets
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight import (
    variables as names_of_variables,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.airflow_config import (
    versions_without_data,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.kinds import HOST_NAME
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import Problems
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.templates import (
    NotEvaluated,
    check_templates,
)
from jinja2 import Environment, TemplateError, Undefined, meta

# .../plugins/filter/preflight.py: the same in a checkout and in an installed collection.
ROLES = Path(__file__).parent.parent.parent / "roles"
NOT_EVALUATED = NotEvaluated()
SINCE_2_19 = tuple(map(int, ansible_version.split(".")[:2])) >= (2, 19)
# Functions that every template has.
GLOBALS = ("lookup", "query", "q", "now", "undef", "range", "dict", "omit", "namespace", "cycler", "joiner")


@lru_cache(maxsize=None)
def known_variables(roles: Path = ROLES) -> dict[str, dict[str, Any]]:
    """The variables that the roles document in their argument specs, each with its option there."""
    known: dict[str, dict[str, Any]] = {}
    for path in sorted(roles.glob("*/meta/argument_specs.yml")):
        try:
            # By libyaml where it is there: ten times as fast, and every host's worker reads them.
            specs = (yaml_load(path.read_text(encoding="utf-8")) or {}).get("argument_specs") or {}
        except (OSError, yaml.YAMLError) as error:
            raise AnsibleFilterError(f"Cannot read the variables of a role from {path}: {error}") from error
        for entry_point in specs.values():
            for name, option in (entry_point.get("options") or {}).items():
                known[name] = option or {}
    return known


@lru_cache(maxsize=None)
def shared_inputs(roles: Path = ROLES) -> tuple[str, ...]:
    """The inputs of the role topology, which tasks of all roles use, and so do those of preflight."""
    specs = yaml_load((roles / "topology/meta/argument_specs.yml").read_text(encoding="utf-8"))
    return tuple(specs["argument_specs"]["inputs"]["options"])


def unknown_variables(names: Iterable[str]) -> list[str]:
    """Which of the names begin like a variable of this collection, but are none."""
    return names_of_variables.unknown_variables(names, known_variables())


def secret_problem(value: Any, name: str) -> str:
    """What is wrong with the value of the secret of this name, without the value; empty if nothing is."""
    if name not in preflight_secrets.SECRETS:
        raise AnsibleFilterError(f"secret_problem knows no secret of the name {name}")
    return preflight_secrets.secret_problem(name, as_text(value))


def broker_facts(url: Any) -> dict[str, Any]:
    """Of `airflow_broker_url`: whether none is given, its scheme, what is wrong with it. No password."""
    text = as_text(url)
    return {
        "own": not text,
        "scheme": str(text).partition(":")[0].lower(),
        "problem": preflight_broker.broker_url_problem(text),
    }


def front_facts(
    url: Any, certificate: Any = "", private_key: Any = "", flower_host: str = "", floating: str = ""
) -> dict[str, Any]:
    """Of `airflow_base_url` and what nginx is to show there: what preflight judges. No key."""
    try:
        address = urlsplit(str(url or ""))
    except ValueError:  # It is reported where URLs are judged.
        address = urlsplit("")
    https = address.scheme == "https"
    names = [name for name in (address.hostname or "", str(flower_host or "")) if HOST_NAME.fullmatch(name)]
    given = {"certificate": as_text(certificate) or "", "private_key": as_text(private_key) or ""}
    named = [name for name in names if not is_address(name)] if https or floating else []
    return {
        "https": https,
        "given": [name for name, text in given.items() if text],
        "certificate": certificate_problems(given["certificate"], given["private_key"], names)
        if https and all(given.values())
        else [],
        "names": named,
        "unresolved": [name for name in named if not resolves(name)],
    }


def as_text(value: Any) -> Any:
    """A value as it is, but one that ansible-core 2.17 has yet to decrypt as the text that it stands for."""
    if type(value).__name__ == "AnsibleVaultEncryptedUnicode":
        return str(value)
    return value


def given_values(variables: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Those of the named variables that the inventory or the command line gives a host."""
    return {name: evaluated(variables, name, variables) for name in names if name in variables}


def evaluated(container: Any, key: Any, variables: Mapping[str, Any] | None = None) -> Any:
    """An entry with all that is in it; NotEvaluated for what cannot be evaluated, or only by a role."""
    raw = getattr(container, "_vars", {})
    text = raw.get(key) if isinstance(raw, Mapping) else ""
    text = text if isinstance(text, str) else ""
    try:
        value = container[key]
    except (AnsibleError, TemplateError, KeyError) as error:
        return NotEvaluated(str(error), text)
    # ansible-core from 2.19 on returns an object that stands for the error.
    if isinstance(value, Undefined):
        return NotEvaluated(str(getattr(value, "_undefined_message", "")), text)
    if isinstance(value, Mapping):
        return {name: evaluated(value, name, variables) for name in value}
    if isinstance(value, list):
        return [evaluated(value, index, variables) for index in range(len(value))]
    return not_evaluated_text(value, variables) or as_text(value)


def not_evaluated_text(value: Any, variables: Mapping[str, Any] | None) -> NotEvaluated | None:
    """ansible-core before 2.19 returns a template as it is, where a variable in it is undefined."""
    if SINCE_2_19 or variables is None or not isinstance(value, str) or not re.search("{[{%]", value):
        return None
    if type(value).__name__ in ("AnsibleUnsafeText", "NativeJinjaUnsafeText"):
        return None
    try:
        names = sorted(meta.find_undeclared_variables(Environment(autoescape=True).parse(value)))
    except TemplateError as error:
        return NotEvaluated(f"syntax error: {error}", value)
    missing = [name for name in names if name not in variables and name not in GLOBALS]
    return NotEvaluated(f"'{missing[0]}' is undefined", value) if missing else None


def fingerprints(given: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """A digest of each secret on each host, to be compared and forgotten.

    A secret that comes from the play is not among a host's own variables; it is the same everywhere.
    """
    digests: dict[str, dict[str, str]] = {}
    for host, values in given.items():
        for name in preflight_secrets.SECRETS:
            value = values.get(name)
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
    given = {}
    for host in hosts:
        variables = hostvars[host]
        description = variables.get("__preflight_host")
        if isinstance(description, Mapping):
            given[host] = given_values(variables, {*known_variables(), *preflight_secrets.SECRETS})
            described[host] = {
                **description,
                "given": given[host],
                "resolved": resolved(description.get("values", {}).get("cluster_address")),
                "probe": probe_of(variables),
            }
    cluster = {
        "roles": roles,
        "inventory_groups": groups,
        "known_variables": known_variables(),
        "fingerprints": fingerprints(given) if len(given) > 1 else {},
        "hosts": described,
    }
    warn_of_versions(cluster)
    for text in preflight_release.patches_not_on(described):
        Display().warning(text)
    return preflight.find_problems(cluster)


def template_problems(hostvars: Mapping[str, Any], hosts: Iterable[str]) -> list[str]:
    """Values of the shared inputs that refer to what is undefined, one sentence each."""
    hosts = [host for host in hosts if host in hostvars]
    entries = {host: {"given": given_values(hostvars[host], shared_inputs())} for host in hosts}
    problems = Problems(hosts)
    check_templates({"known_variables": known_variables(), "hosts": entries}, problems)
    return problems.sentences()


def warn_of_versions(cluster: dict[str, Any]) -> None:
    for version in versions_without_data(cluster):
        Display().warning(
            f"The collection has no list of the options of Airflow {version}: the hosts compare "
            "airflow_config with the release once they have it, before a service is restarted."
        )


def resolved(name: Any) -> dict[str, Any] | None:
    """{addresses, error} of a name on the controller; nothing where none is given."""
    if not name or not isinstance(name, str):
        return None
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return {"addresses": [], "error": str(error)}
    return {"addresses": list(dict.fromkeys(str(entry[4][0]) for entry in found)), "error": ""}


def probe_of(variables: Mapping[str, Any]) -> dict[str, Any] | None:
    """What host_probe reported of a host; nothing if it did not run or failed."""
    probe = variables.get("__preflight_probe")
    return dict(probe) if isinstance(probe, Mapping) and "listening" in probe else None


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {
            "authority_facts": authority.authority_facts,
            "broker_facts": broker_facts,
            "bundle_problems": dag_bundles.bundle_problems,
            "front_facts": front_facts,
            "inventory_problems": inventory_problems,
            "lock_name": provider_needs.lock_name,
            "provider_needs": provider_needs.provider_needs,
            "remote_log_problems": object_store.remote_log_problems,
            "secret_problem": secret_problem,
            "template_problems": template_problems,
            "secrets_backend_problems": secrets_backends.backend_problems,
            "unknown_variables": unknown_variables,
        }
