# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the role health. They carry Ansible's data to the pure functions in plugin_utils."""

from __future__ import annotations

import os
from typing import Any, Mapping, Sequence

from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.services import host_parts
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.timer import (
    secret_environment,
    unit_environment,
)


def health_parts(roles: Sequence[str], settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    return host_parts(roles, settings)


def timer_environment(fixed: Mapping[str, str]) -> dict[str, Any]:
    """The environment of a timer's runs: what is fixed, and what the caller has set for Ansible."""
    return {"unit": {**unit_environment(os.environ), **fixed}, "secret": secret_environment(os.environ)}


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"health_parts": health_parts, "timer_environment": timer_environment}
