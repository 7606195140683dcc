# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the DAGs that come from elsewhere to this host, before a service needs them.

    python -m airflowops_runtime.fetch_bundles

has repositories cloned and what is in object stores fetched, and checks the store of the logs. It prints what
cannot be read, and ends with 1 then.
"""

from __future__ import annotations

import sys


def main() -> int:
    from airflow.configuration import conf
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    problems = {}
    for bundle in DagBundlesManager().get_all_dag_bundles():
        # Those of ours have it.
        if hasattr(bundle, "problem"):
            problems[bundle.name] = bundle.problem()
    if conf.get("logging", "logging_config_class", fallback="").startswith("airflowops_runtime."):
        from airflowops_runtime.remote_logs import REMOTE_TASK_LOG

        if hasattr(REMOTE_TASK_LOG, "problem"):
            problems["airflow_remote_logs"] = REMOTE_TASK_LOG.problem()
    for name, text in problems.items():
        if text:
            print(f"{name}: {' '.join(text.split())}")
    return 1 if any(problems.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
