# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which lab tests, of those that take minutes, a change of files calls for.

`make test SINCE=main` runs them beside what the gate always runs.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Beginnings of paths, and the files of tests/lab whose long tests are about them.
AFFECTED: dict[tuple[str, ...], tuple[str, ...]] = {
    ("roles/redis_cluster/", "plugins/module_utils/redis/", "playbooks/redis_"): (
        "test_4_dead_hosts.py",
        "test_4_redis_life.py",
        "test_4_scale.py",
    ),
    (
        "roles/postgres_metastore/",
        "roles/etcd/",
        "plugins/module_utils/postgres/",
        "playbooks/metastore_",
        "playbooks/restore",
        "playbooks/backup",
    ): ("test_4_backup.py", "test_4_recovery.py", "test_5_takeover.py"),
    ("roles/airflow_", "plugins/module_utils/airflow/", "playbooks/airflow_", "playbooks/worker_"): (
        "test_4_bad_config.py",
        "test_4_clean.py",
        "test_4_faults.py",
        "test_4_proxy.py",
        "test_4_queued.py",
        "test_4_switches.py",
        "test_4_version.py",
        "test_4_workers.py",
    ),
    ("roles/airflow_common/files/airflowops_", "plugins/plugin_utils/dag_bundles"): (
        "test_4_bundles.py",
        "test_4_s3.py",
    ),
    ("plugins/plugin_utils/preflight/users",): (
        "test_4_ldap.py",
        "test_4_oauth.py",
    ),
    ("roles/flower/", "roles/service_endpoints/", "plugins/module_utils/celery/"): (
        "test_4_faults.py",
        "test_4_redis_life.py",
    ),
    ("roles/nginx_lb/",): ("test_4_front.py", "test_4_front_ways.py"),
    ("roles/firewall/", "plugins/module_utils/firewall/", "playbooks/firewall"): (
        "test_4_firewall.py",
        "test_4_firewall_beside.py",
    ),
    ("roles/observability/", "plugins/plugin_utils/observability", "playbooks/observability"): (
        "test_4_alerts.py",
        "test_4_observability.py",
    ),
    ("roles/health/", "plugins/plugin_utils/health/", "playbooks/health"): ("test_4_health.py",),
    ("roles/logs/", "playbooks/logs"): ("test_4_logs.py",),
    ("roles/certificates/", "playbooks/rotate_certificates"): ("test_6_certificates.py",),
    ("playbooks/rotate_secrets", "plugins/action/", "plugins/plugin_utils/secret"): (
        "test_4_passwords.py",
        "test_6_rotation.py",
    ),
    ("roles/preflight/", "plugins/plugin_utils/preflight/"): ("test_4_rough_hosts.py",),
    ("roles/packages/", "roles/topology/", "plugins/module_utils/host/"): (
        "test_4_dead_hosts.py",
        "test_4_time.py",
        "test_5_rough.py",
    ),
    ("docs/", "README.md", "inventories/"): ("test_4_controller.py", "test_4_pages.py"),
}


def called_for(paths: list[str]) -> list[str]:
    """Names of files in tests/lab, sorted: those that the changed paths call for, and those that changed."""
    found = {
        name
        for starts, names in AFFECTED.items()
        if any(p.startswith(starts) for p in paths)
        for name in names
    }
    changed = {Path(path).name for path in paths if path.startswith("tests/lab/test_")}
    return sorted(name for name in found | changed if (ROOT / "tests/lab" / name).exists())


def changed_paths(since: str) -> list[str]:
    """Paths that differ between a commit and the checkout, files that are not committed among them."""
    commands = (["git", "diff", "--name-only", since], ["git", "ls-files", "--others", "--exclude-standard"])
    return [
        line
        for command in commands
        for line in subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.splitlines()
    ]
