# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Airflow finds the store of the task logs, as `[logging] logging_config_class` names this module."""

from __future__ import annotations

from airflow.config_templates.airflow_local_settings import DEFAULT_LOGGING_CONFIG

from airflowops_runtime.apply import choose

LOGGING_CONFIG = DEFAULT_LOGGING_CONFIG
REMOTE_TASK_LOG = choose(
    "remote-logs", "airflow.providers.amazon.aws.log.s3_task_handler:S3RemoteLogIO"
).from_config()
