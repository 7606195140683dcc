# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles bring to a host, by their inputs. Each filter is documented in the YAML file of its name."""

from __future__ import annotations

from typing import Any

from ansible_collections.airflowops.cluster.plugins.plugin_utils.roles import (
    airflow_credentials,
    airflow_services,
)


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {
            "airflow_credentials": airflow_credentials.optional_credentials,
            "airflow_services": airflow_services.services,
            "credential_files": airflow_credentials.credential_files,
            "jwt_keys": airflow_credentials.jwt_keys,
            "key_id": airflow_credentials.key_id,
            "metastore_url": airflow_credentials.metastore_url,
            "service_units": airflow_services.service_units,
            "sqlalchemy_url": airflow_credentials.sqlalchemy_url,
        }
