# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with secrets other than the ten of `secrets`: whatever an argument spec calls `no_log`.

A shell expression or a template that stands where a secret should is public, and whoever wrote it believes it
is a secret. The cluster's description is that of `preflight`.
"""

from __future__ import annotations

import re
from typing import Any, Iterator, Mapping, NamedTuple
from urllib.parse import unquote, urlsplit

from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import Problems
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import (
    SECRETS,
    SECRETS_FILE,
    is_placeholder,
    text_problem,
    unrendered_problem,
)

# Names of what Airflow masks in its logs (DEFAULT_SENSITIVE_FIELDS of its secrets_masker), and of keys.
SENSITIVE = re.compile(
    "access_token|api_?key|authorization|passphrase|passwd|password|private_key|secret|token|access_key|auth_key",
    re.IGNORECASE,
)
# Of entries that are not secret by their names: Airflow's variables may hold templates.
ENCRYPTED = "is still encrypted text of ansible-vault"


class Found(NamedTuple):
    """A value that an argument spec calls a secret, or that lies in a dictionary that it calls so.

    name: the option, or the entry's own name in a dictionary without options.
    declared: whether a spec has this very option, which then holds one secret and nothing else.
    """

    path: str
    name: str
    value: str
    declared: bool


def secrets_in(path: str, option: Mapping[str, Any], value: Any) -> Iterator[Found]:
    """All that is secret in the value of an option of an argument spec."""
    options = option.get("options") or {}
    if isinstance(value, Mapping) and options:
        for name, entry in value.items():
            known = options.get(name, {})
            inherited = {"no_log": option.get("no_log", False), **known}
            yield from secrets_in(f"{path}.{name}", inherited, entry)
    elif isinstance(value, list) and options:
        for index, entry in enumerate(value):
            yield from secrets_in(f"{path}[{index}]", {**option, "type": "dict"}, entry)
    elif option.get("no_log"):
        declared = option.get("type", "str") == "str"
        yield from texts_in(path, path.rpartition(".")[2], value, declared)


def texts_in(path: str, name: str, value: Any, declared: bool) -> Iterator[Found]:
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield from texts_in(f"{path}.{key}", str(key), entry, declared)
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from texts_in(f"{path}[{index}]", name, entry, declared)
    elif isinstance(value, str) and value:
        yield Found(path, name, value, declared)


def input_problem(found: Found) -> str:
    """What is wrong with a secret, in words that do not show it; empty if nothing is."""
    if not found.declared and not SENSITIVE.search(found.name):
        return ENCRYPTED if "$ANSIBLE_VAULT;" in found.value else ""
    if found.name.endswith("_url"):
        return unrendered_problem(found.value) or unrendered_problem(password_of(found.value))
    problem = unrendered_problem(found.value)
    # Keys in PEM are several lines. What other software's objects may hold is for it to say.
    if problem or not found.declared or "-----BEGIN " in found.value:
        return problem
    return text_problem(found.value) or ("is a placeholder" if is_placeholder(found.value) else "")


def password_of(url: str) -> str:
    try:
        return unquote(urlsplit(url).password or "")
    except ValueError:
        # What is wrong with the URL itself is reported where it is checked.
        return ""


def check_secret_inputs(cluster: dict[str, Any], problems: Problems) -> None:
    options = cluster["known_variables"]
    for host, entry in cluster["hosts"].items():
        for name, value in entry.get("given", {}).items():
            if name in SECRETS or name not in options:
                continue
            for found in secrets_in(name, options[name], value):
                if problem := input_problem(found):
                    problems.add(
                        f"{found.path} {problem} on {{hosts}}: put the secret itself into {SECRETS_FILE}, "
                        "encrypted with ansible-vault",
                        host,
                    )
