# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The classes of bundles that airflow_dag_bundles names: ours, or the provider's where ours is off."""

from __future__ import annotations

from typing import Any

from airflowops_runtime.apply import choose

CLASSES = {
    "GitBundle": ("git-bundle", "airflow.providers.git.bundles.git:GitDagBundle"),
    "S3Bundle": ("s3-bundle", "airflow.providers.amazon.aws.bundles.s3:S3DagBundle"),
}


def __getattr__(name: str) -> Any:
    if name not in CLASSES:
        raise AttributeError(name)
    return choose(*CLASSES[name])
