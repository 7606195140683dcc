# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Airflow's own configuration of Celery, with the patches of whatever connects to the broker.

`[celery] celery_config_options` names CELERY_CONFIG, so that whatever sends to the broker imports this
module: the scheduler above all.
"""

from __future__ import annotations

from typing import Any

from airflowops_runtime.apply import apply_for

apply_for("broker-client")


def __getattr__(name: str) -> Any:
    if name != "CELERY_CONFIG":
        raise AttributeError(name)
    from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG

    return DEFAULT_CELERY_CONFIG
