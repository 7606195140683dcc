# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of systemd's own settings on a host keeps services from their secrets."""

from __future__ import annotations

from typing import Any

from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import Problems


def check_sandbox(cluster: dict[str, Any], problems: Problems) -> None:
    """Images for LXC and Incus bring such a drop-in: every service would start without its secrets."""
    for host, entry in cluster["hosts"].items():
        for path in (entry.get("probe") or {}).get("blank_credentials", []):
            name = path.rpartition("/")[2]
            problems.add(
                f"{path} on {{hosts}} has an empty LoadCredential=, which takes the secrets from every "
                "service: allow the container nesting (Incus: `incus config set NAME security.nesting "
                f"true`), put a copy without this line into /etc/systemd/system/service.d/{name}, which "
                "then counts instead, and run `systemctl daemon-reload`",
                host,
            )
