# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which classes of Airflow's providers an inventory asks for, and so which lock file. Pure functions."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Sequence

PROVIDERS = "airflow.providers."
AMAZON = f"{PROVIDERS}amazon."
S3_LOGS = f"{AMAZON}aws.log.s3_task_handler.S3RemoteLogIO"
S3_BUNDLE = f"{AMAZON}aws.bundles.s3.S3DagBundle"


def provider_needs(bundles: Any, remote_logs: Any, secrets_backend: Any) -> list[tuple[str, str]]:
    """(variable, class) of each class of Airflow's providers that the inventory asks for.

    What is no list of bundles, or no dictionary, asks for none: it is reported elsewhere.
    """
    needs: list[tuple[str, Any]] = [("airflow_remote_logs", S3_LOGS)] if remote_logs else []
    if isinstance(bundles, Sequence) and not isinstance(bundles, str):
        needs += [
            ("airflow_dag_bundles", S3_BUNDLE if "s3" in bundle else bundle.get("classpath"))
            for bundle in bundles
            if isinstance(bundle, Mapping)
        ]
    if isinstance(secrets_backend, Mapping):
        needs += [
            ("airflow_secrets_backend", secrets_backend.get(side)) for side in ("backend", "worker_backend")
        ]
    return sorted({(name, str(found)) for name, found in needs if str(found).startswith(PROVIDERS)})


def lock_name(version: str, needs: Iterable[tuple[str, str]]) -> str:
    """The collection's lock file for a version of Airflow: with Amazon's provider, if anything needs it."""
    amazon = any(classpath.startswith(AMAZON) for _, classpath in needs)
    return f"airflow-{version}{'-amazon' if amazon else ''}.txt"
