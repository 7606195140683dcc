# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`airflow_secrets_backend`: which part reads what of it, and what is wrong with it. Pure functions.

It is {backend, kwargs, worker_backend, worker_kwargs}: the class that the masters ask for connections and
variables, and the one that workers ask before them.
"""

from __future__ import annotations

import json
import re
from typing import Any, Mapping

from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import nearest
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import is_placeholder

# Of each side its class and arguments here, and their options in Airflow.
SIDES = {
    "masters": ("backend", "kwargs", "AIRFLOW__SECRETS__BACKEND", "AIRFLOW__SECRETS__BACKEND_KWARGS"),
    "workers": (
        "worker_backend",
        "worker_kwargs",
        "AIRFLOW__WORKERS__SECRETS_BACKEND",
        "AIRFLOW__WORKERS__SECRETS_BACKEND_KWARGS",
    ),
}
OPTIONS = [name for side in SIDES.values() for name in side[:2]]
CREDENTIALS = [name for side in SIDES.values() for name in side[2:]]
CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
# Arguments that are secrets, by their names.
SECRET = re.compile(r"(token|password|secret|secret_id|secret_key|access_key|private_key)$")


def backend_secrets(settings: Mapping[str, Any], side: str) -> dict[str, str]:
    """{name of a credential: its content} of `masters` or `workers`.

    The class is no secret. It is with them because who has no arguments for it must not know it either.
    """
    backend, kwargs, class_option, kwargs_option = SIDES[side]
    if not settings.get(backend):
        return {}
    arguments = json.dumps(settings.get(kwargs) or {}, default=str)
    return {class_option: str(settings[backend]), kwargs_option: arguments}


def backend_problems(settings: Any) -> list[str]:
    """What is wrong with the variable, without its secrets, each with its fix after a colon."""
    if not isinstance(settings, Mapping) or not settings:
        # Of another type is reported where types are checked.
        return []
    problems = [
        f"has an option {option} that there is none of{nearest(str(option), OPTIONS)}: correct or remove it"
        for option in settings
        if option not in OPTIONS
    ]
    for backend, kwargs, *_ in SIDES.values():
        classpath, arguments = settings.get(backend), settings.get(kwargs) or {}
        if classpath and not CLASS.fullmatch(str(classpath)):
            problems.append(f"has a {backend} that is no class: write it with its module, MODULE.CLASS")
        if not isinstance(arguments, Mapping):
            problems.append(f"has {kwargs} that are no dictionary: give arguments by name")
            continue
        if arguments and not classpath:
            problems.append(f"has {kwargs} and no {backend}: name the class that they are for")
        for name, value in arguments.items():
            if SECRET.search(str(name)) and isinstance(value, str) and is_placeholder(value):
                problems.append(f"has a placeholder as {name} in {kwargs}: take the real one from the vault")
    if not problems and not any(settings.get(side[0]) for side in SIDES.values()):
        problems.append("names no class: give it backend, worker_backend or both")
    return problems
