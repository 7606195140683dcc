# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of variables that look like inputs of the collection and are none. See `preflight`."""

from __future__ import annotations

import difflib
from fnmatch import fnmatch
from typing import Any, Iterable

from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import (
    Problems,
    nearest,
    values_of,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.renamed_inputs import (
    FORMER_INPUTS,
    former_input_problem,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import SECRETS

PREFIXES = (
    "redis_cluster_",
    "postgres_metastore_",
    "etcd_",
    "airflow_",
    "flower_",
    "nginx_lb_",
    "service_endpoints_",
    "firewall_",
    "logs_",
    "observability_",
    "preflight_",
)
# Prefixes too common to be ours alone: only names next to one of our variables are taken for typos.
COMMON_PREFIXES = ("cluster_", "health_", "packages_")

# A name of the user's own may resemble one of ours: only what is nearly the same is taken for a typo.
NEARLY_THE_SAME = 0.9
# Of Ansible, and internals.
NOT_JUDGED = ("ansible_", "_", "inventory_", "playbook_", "role_", "vault_")


def accepted_names(cluster: dict[str, Any], variable: str) -> list[str]:
    """The patterns in a list variable, of all hosts together."""
    names: set[str] = set()
    for host in cluster["hosts"]:
        value = values_of(cluster, host).get(variable)
        if isinstance(value, list):
            names.update(map(str, value))
    return sorted(names)


def unknown_variables(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Those of the names that are former inputs of ours, or look like inputs but that no role knows."""
    known = {*known, *SECRETS}
    return sorted(
        name
        for name in names
        if name not in known and (name in FORMER_INPUTS or looks_like_ours(name, known))
    )


def looks_like_ours(name: str, known: set[str]) -> bool:
    if name.startswith(PREFIXES):
        return True
    if name.startswith(NOT_JUDGED):
        return False
    common = [other for other in known if other.startswith(COMMON_PREFIXES)]
    if difflib.get_close_matches(name, common, n=1, cutoff=0.85):
        return True
    return bool(
        difflib.get_close_matches(name, known, n=1, cutoff=NEARLY_THE_SAME)
    ) or begins_nearly_like_ours(name)


def begins_nearly_like_ours(name: str) -> bool:
    """Whether its first words are those of a prefix of several words, but for a letter or two."""
    for prefix in PREFIXES:
        words = prefix.count("_")
        begin = "_".join(name.split("_")[:words]) + "_"
        if words > 1 and difflib.SequenceMatcher(None, begin, prefix).ratio() >= NEARLY_THE_SAME:
            return True
    return False


def check_variables(cluster: dict[str, Any], problems: Problems) -> None:
    known = {*cluster["known_variables"], *SECRETS}
    accepted = accepted_names(cluster, "preflight_ignore_variables")
    for host in cluster["hosts"]:
        for name in cluster["hosts"][host].get("unknown_variables", []):
            if name in FORMER_INPUTS and name not in accepted:  # A pattern does not hide a setting of ours.
                problems.add(former_input_problem(name), host)
            elif not any(fnmatch(name, pattern) for pattern in accepted):
                problems.add(
                    f"{name} on {{hosts}} is not a variable of this collection{nearest(name, known)}: "
                    "correct it, or list it in preflight_ignore_variables",
                    host,
                )
