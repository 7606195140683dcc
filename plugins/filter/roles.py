# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles bring to a host, by their inputs. Each filter is documented in the YAML file of its name."""

from __future__ import annotations

from typing import Any

from ansible_collections.airflowops.cluster.plugins.plugin_utils.roles import (
    airflow_credentials,
    airflow_services,
    certificates,
    logs,
    observability,
    packages,
    postgres_metastore,
    topology,
    units,
)


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {
            "airflow_credentials": airflow_credentials.optional_credentials,
            "airflow_services": airflow_services.services,
            "allowed_networks": observability.allowed_networks,
            "broker_kind": topology.broker_kind,
            "broker_options": topology.broker_options,
            "certificate_names": certificates.certificate_names,
            "collector_inputs": observability.collector_inputs,
            "collectors": observability.collectors,
            "credential_files": airflow_credentials.credential_files,
            "expected_units": units.expected_units,
            "exporter_ports": observability.exporter_ports,
            "exporters": observability.exporters,
            "jwt_keys": airflow_credentials.jwt_keys,
            "key_id": airflow_credentials.key_id,
            "metastore_url": airflow_credentials.metastore_url,
            "named_certificates": certificates.named_certificates,
            "observability_units": observability.observability_units,
            "redis_memory": postgres_metastore.redis_memory,
            "redis_exporter_passwords": observability.redis_exporter_passwords,
            "backup_lines": postgres_metastore.backup_lines,
            "backup_units": postgres_metastore.backup_units,
            "host_roles": topology.host_roles,
            "run_tags": topology.run_tags,
            "host_memory": postgres_metastore.host_memory,
            "metastore_logins": postgres_metastore.metastore_logins,
            "metastore_roles": postgres_metastore.metastore_roles,
            "postgres_memory": postgres_metastore.postgres_memory,
            "postgres_sizes": postgres_metastore.postgres_sizes,
            "second_role": postgres_metastore.second_role,
            "unique_addresses": postgres_metastore.unique_addresses,
            "package_names": packages.package_names,
            "support_sources": logs.support_sources,
            "time_packages": packages.time_packages,
            "time_service": packages.time_service,
            "service_units": airflow_services.service_units,
            "sqlalchemy_url": airflow_credentials.sqlalchemy_url,
            "worker_names": airflow_services.worker_names,
        }
