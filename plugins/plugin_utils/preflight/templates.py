# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values with Jinja that cannot be evaluated: which of them is a mistake, and which only a task of a role can
evaluate. The cluster's description is that of `preflight`.
"""

from __future__ import annotations

import re
from typing import Any, Iterator, Mapping

from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import Problems

UNDEFINED = re.compile(r"'([A-Za-z_][A-Za-z0-9_]*)' is undefined")
ATTRIBUTE = re.compile(r"(?:'?dict'?(?: object')?|'dict object') has no attribute '([^']+)'")
SYNTAX = re.compile(
    r"(?i)syntax error|template error|unexpected|expected token|encountered unknown|missing end"
)
# Internals of roles, facts, and what Ansible defines in a task of a role alone.
OF_TASKS = re.compile(r"__.*|ansible_.*|item|role_.*|omit|play_hosts|hostvars|vars|groups|environment")
# What Airflow defines in a template of its own.
OF_AIRFLOW = (
    *("conn", "dag", "dag_run", "data_interval_end", "data_interval_start", "ds", "ds_nodash", "inlets"),
    *(
        "logical_date",
        "macros",
        "map_index",
        "outlets",
        "params",
        "prev_ds",
        "run_id",
        "task",
        "task_instance",
    ),
    *("task_instance_key_str", "test_mode", "ti", "triggering_asset_events", "try_number"),
    *("ts", "ts_nodash", "ts_nodash_with_tz", "var", "execution_date", "exception", "filename", "rendered"),
)
FOR_AIRFLOW = (
    *("airflow_config", "airflow_connections", "airflow_environment", "airflow_variables"),
    *("airflow_auth_config", "airflow_celery_config", "airflow_secrets_backend"),
    *("observability_alertmanager_config", "observability_rule_groups", "observability_scrape_configs"),
)
UNSAFE = "if Airflow or another program is to evaluate it, write !unsafe before the quoted text"


class NotEvaluated:
    """Stands for a value that could not be evaluated.

    error: what Ansible said. text: the template, as far as it is known. Neither is shown.
    """

    def __init__(self, error: str = "", text: str = "") -> None:
        self.error = error
        self.text = text


def check_templates(cluster: dict[str, Any], problems: Problems) -> None:
    known = {*cluster["known_variables"]}
    for host, entry in cluster["hosts"].items():
        for name, value in sorted(entry.get("given", {}).items()):
            for path, found in not_evaluated(name, value):
                problem = template_problem(name, found, known)
                if problem:
                    what, fix = problem
                    problems.add(f"{path} {what} on {{hosts}}: {fix}", host)


def not_evaluated(path: str, value: Any) -> Iterator[tuple[str, NotEvaluated]]:
    """Each value within a value that could not be evaluated, and where it is."""
    if isinstance(value, NotEvaluated):
        yield path, value
    elif isinstance(value, Mapping):
        for name, entry in value.items():
            yield from not_evaluated(f"{path}.{name}", entry)
    elif isinstance(value, list):
        for number, entry in enumerate(value):
            yield from not_evaluated(f"{path}[{number}]", entry)


def template_problem(name: str, found: NotEvaluated, known: set[str]) -> tuple[str, str] | None:
    """What is wrong with a template, and the fix; none where a task of a role may evaluate it."""
    for_airflow = name in FOR_AIRFLOW
    undefined = UNDEFINED.search(found.error)
    if undefined:
        missing = undefined.group(1)
        if missing in known or OF_TASKS.fullmatch(missing):
            return None
        if missing in OF_AIRFLOW and for_airflow:
            return f"refers to {missing}, which Ansible does not know", UNSAFE
        also = f"; {UNSAFE}" if for_airflow else ""
        return f"refers to {missing}, which is undefined", f"define it, or correct its name{also}"
    attribute = ATTRIBUTE.search(found.error)
    if attribute:
        # Facts are gathered later, and hostvars of others may hold more then.
        if re.search(r"ansible_|hostvars|__|item", found.text) or not found.text:
            return None
        return f"refers to {attribute.group(1)}, which its dictionary lacks", "define it, or correct its name"
    if SYNTAX.search(found.error) and "{" in found.text:
        return "is no valid template of Jinja", f"correct it; {UNSAFE}" if for_airflow else "correct it"
    return None
