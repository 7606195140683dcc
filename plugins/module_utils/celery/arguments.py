# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the modules that speak to Celery; documented in the fragment `celery`."""

from __future__ import annotations

from typing import Any

# The link to the release in use: topology's __topology_airflow_current.
CELERY_PYTHON = "/opt/airflow/current/bin/python"


def celery_argument_spec() -> dict[str, dict[str, Any]]:
    return {
        "broker_url": {"type": "str", "required": True, "no_log": True},
        "broker_transport_options": {"type": "dict", "default": {}},
        "broker_secret_options": {"type": "dict", "default": {}, "no_log": True},
        "celery_python": {"type": "path", "default": CELERY_PYTHON},
    }
