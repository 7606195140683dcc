# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the values given is of a wrong type or shape. The cluster's description is that of `preflight`.

The argument specs say the types of variables, not what is in dictionaries of any names.
"""

from __future__ import annotations

from typing import Any, Callable, Collection, Mapping

from ansible_collections.airflowops.cluster.plugins.module_utils.airflow.objects import (
    ObjectsError,
    declared_connections,
    declared_roles,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import Problems
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.types import (
    kind_of,
    type_problem,
)

DECLARED: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "airflow_connections": declared_connections,
    "airflow_roles": declared_roles,
}


def check_types(cluster: dict[str, Any], problems: Problems, judged_elsewhere: Collection[str]) -> None:
    """Compares the values that were given with the argument specs: a default is of the right type."""
    options = {
        name: option for name, option in cluster["known_variables"].items() if name not in judged_elsewhere
    }
    for host, entry in cluster["hosts"].items():
        values = {**entry.get("values", {}), **entry.get("given", {})}
        for name in sorted({*values} & {*options}):
            problem = type_problem(values[name], options[name])
            if problem:
                what, fix = problem
                problems.add(f"{name} {what} on {{hosts}}: {fix}", host)
        check_sections(values.get("airflow_config"), host, problems)
        for name, declare in DECLARED.items():
            check_declared(name, values.get(name), declare, host, problems)


def check_sections(config: Any, host: str, problems: Problems) -> None:
    """airflow_config is a dictionary of dictionaries."""
    for section, options in config.items() if isinstance(config, Mapping) else ():
        kind = kind_of(options)
        if kind and not isinstance(options, Mapping):
            problems.add(
                f"The section {section} of airflow_config is {kind} on {{hosts}}: "
                "give each section a dictionary, as in {core: {parallelism: 64}}",
                host,
            )
        for option, value in options.items() if isinstance(options, Mapping) else ():
            if value is None:
                problems.add(
                    f"airflow_config has nothing for [{section}] {option} on {{hosts}}: give it a value, "
                    f"'' for an empty one, or remove it",
                    host,
                )
    celery = config.get("celery") if isinstance(config, Mapping) else None
    if isinstance(celery, Mapping) and "extra_celery_config" in celery:
        problems.add(
            "airflow_config has [celery] extra_celery_config on {hosts}, which would replace what keeps "
            "tasks safe: put your settings into airflow_celery_config, which is merged over ours",
            host,
        )


def check_declared(
    variable: str, value: Any, declare: Callable[[Mapping[str, Any]], Any], host: str, problems: Problems
) -> None:
    """What is found wrong when objects are made is found before anything changes."""
    try:
        declare(evaluated_objects(value) if isinstance(value, Mapping) else {})
    except ObjectsError as error:
        problems.add(f"{error}: correct {variable} on {{hosts}}", host)


def evaluated_objects(objects: Mapping[str, Any]) -> dict[str, Any]:
    """Those of which everything is evaluated, see `kind_of`."""
    return {
        name: given
        for name, given in objects.items()
        if all(map(kind_of, given.values() if isinstance(given, Mapping) else [given]))
    }
