# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the role observability. Each is documented in the YAML file of its name."""

from __future__ import annotations

from typing import Any

from ansible_collections.airflowops.cluster.plugins.plugin_utils import observability


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {
            "alert_rules": observability.alert_rules,
            "exporter_proxy": observability.exporter_proxy,
            "exporter_endpoints": observability.exporter_endpoints,
            "observability_problems": observability.input_problems,
            "scrape_configs": observability.scrape_configs,
        }
