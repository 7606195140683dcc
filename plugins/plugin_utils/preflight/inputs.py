# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each input of the collection may mean: one line for every input of every role.

A line is a check (see `kinds`), the place in which the input is judged together with others, or the reason
why nothing but its type can be judged. A test fails where an input has no line.
"""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.entries import (
    broker_options,
    celery_settings,
    exporter_ports,
    hba_lines,
    named_entries,
    objects,
    package_environment,
    pools,
    s3_repository,
    users,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.kinds import (
    DAY,
    Check,
    absolute_path,
    base_url,
    calendar,
    certificate,
    controller_path,
    database_url,
    each,
    email,
    every,
    host_name,
    matching,
    network,
    number,
    one_line,
    optional,
    percent,
    port,
    private_key,
    seconds,
    web_url,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.server_settings import redis_memory


class Elsewhere(NamedTuple):
    """The function that judges an input together with others."""

    where: str


class Free(NamedTuple):
    """Why an input is judged by its type alone."""

    reason: str


TRUTH = Free("true or false, which its type says")
CHOICE = Free("one of its choices, which the argument spec says")
PASSWORD = Elsewhere("secrets.secret_problem")
SECRET = Elsewhere("secret_inputs.check_secret_inputs")

YEARS = 100 * 365
GROUP = matching(r"[A-Za-z_][A-Za-z0-9_-]*", "name a group with letters, digits and _")
POSTGRES_NAME = matching(
    r"[a-z_][a-z0-9_-]{0,40}", "use lower-case letters, digits, _ and -, 41 characters at the most"
)
PATTERNS = each(matching(r"[A-Za-z0-9_*?\[\]!.-]+", "use names or patterns such as airflow_site_*"))
SIZE = "give a size such as 500M or 2G"
LOGIN = matching(r"[A-Za-z0-9_.@+-]{1,64}", "use letters, digits and any of _ . @ + -")

INPUTS: dict[str, Check | Elsewhere | Free] = {
    # --- airflow_common
    "airflow_admin_email": email,
    "airflow_admin_password": PASSWORD,
    "airflow_admin_user": LOGIN,
    "airflow_api_secret_key": PASSWORD,
    "airflow_auth_config": Elsewhere("auth.check_auth"),
    "airflow_base_url": base_url,
    "airflow_celery_config": celery_settings,
    "airflow_clean_calendar": calendar,
    "airflow_clean_days": number(0, YEARS, "(days)"),
    "airflow_common_parts": CHOICE,
    "airflow_config": Elsewhere("airflow_config.check_airflow_config"),
    "airflow_connections": objects,
    "airflow_dag_bundles": Elsewhere("bundles.check_bundles"),
    "airflow_dags_path": controller_path,
    "airflow_database_owner_url": optional(database_url),
    "airflow_environment": Elsewhere("environment.check_environment"),
    "airflow_patches_off": CHOICE,
    "airflow_fernet_key": PASSWORD,
    "airflow_jwt_secret": PASSWORD,
    "airflow_lock_file": controller_path,
    "airflow_log_retention": number(0, YEARS, "(days)"),
    "airflow_manage_hosts_file": TRUTH,
    "airflow_master_api_workers": number(1, 256),
    "airflow_master_execution_workers": number(1, 256),
    "airflow_pools": pools,
    "airflow_prune": CHOICE,
    "airflow_release_port": port,
    "airflow_remote_logs": Elsewhere("airflow_options.check_options"),
    "airflow_result_backend_url": optional(database_url),
    "airflow_roles": objects,
    "airflow_secrets_backend": Elsewhere("airflow_options.check_options"),
    "airflow_start_timeout": seconds(10, DAY),
    "airflow_users": users,
    "airflow_variables": objects,
    "airflow_worker_stop_timeout": seconds(),
    "airflow_worker_watchdog": number(0, DAY, "(seconds)"),
    "flower_password": PASSWORD,
    # Flower has USER:PASSWORD in one option, which Tornado splits at commas.
    "flower_user": LOGIN,
    # --- certificates
    "certificates_ca_directory": controller_path,
    "certificates_ca_passphrase": SECRET,
    "certificates_days": number(3, YEARS, "(days)"),
    "certificates_replace_ca": TRUTH,
    # --- etcd
    "etcd_client_port": port,
    "etcd_config": Elsewhere("server_settings.check_server_settings"),
    "etcd_peer_port": port,
    # --- firewall
    "firewall_addresses": Elsewhere("firewall.check_firewall"),
    "firewall_backend": CHOICE,
    "firewall_clients": Elsewhere("firewall.check_firewall"),
    "firewall_extra": Elsewhere("firewall.check_firewall"),
    "firewall_log": TRUTH,
    "firewall_rollback_timeout": seconds(5, 3600),
    "firewall_ssh_sources": Elsewhere("firewall.check_firewall"),
    # --- health
    "health_airflow_password": SECRET,
    "health_airflow_user": optional(LOGIN),
    "health_backup_hours": number(1, YEARS * 24, "(hours)"),
    "health_backup_verified_days": number(0, YEARS, "(days)"),
    "health_certificate_days": number(0, YEARS, "(days)"),
    "health_certificate_warn_days": number(0, YEARS, "(days)"),
    "health_clock_offset": number(1, 3600, "(seconds)"),
    "health_connections_percent": percent(),
    "health_connections_warn_percent": percent(),
    "health_disk_percent": percent(),
    "health_disk_warn_percent": percent(),
    "health_heartbeat_seconds": seconds(5),
    "health_json": controller_path,
    "health_memory_percent": percent(),
    "health_memory_warn_percent": percent(),
    "health_name": one_line,
    "health_page": controller_path,
    "health_parse_seconds": seconds(),
    "health_queue_messages": number(0, 10**9),
    "health_queued_seconds": seconds(),
    "health_redis_memory_percent": percent(),
    "health_redis_memory_warn_percent": percent(),
    "health_replication_lag_mib": number(1, 10**9, "(MiB)"),
    "health_timeout": number(0.1, 600, "(seconds)"),
    "health_timer_calendar": optional(calendar),
    # --- logs
    "logs_directory": controller_path,
    "logs_journal_keep_free": optional(matching(r"[0-9]+(\.[0-9]+)?[KMGTPE]?", SIZE)),
    "logs_journal_max_use": optional(matching(r"[0-9]+(\.[0-9]+)?[KMGTPE]?", SIZE)),
    "logs_max_mib": number(1, 10**6, "(MiB)"),
    "logs_since": one_line,
    "logs_until": one_line,
    # --- nginx_lb
    "nginx_lb_acme_certificate": absolute_path,
    "nginx_lb_acme_private_key": absolute_path,
    "nginx_lb_acme_webroot": optional(absolute_path),
    "nginx_lb_ca": optional(certificate),
    "nginx_lb_certificate": Elsewhere("ingress.check_certificate"),
    "nginx_lb_client_max_body_size": matching(
        r"[0-9]+[kKmMgG]?", "give a size as nginx writes it, as in 16m"
    ),
    "nginx_lb_floating_address": Elsewhere("ingress.check_floating_address"),
    "nginx_lb_flower_host": optional(host_name),
    "nginx_lb_hsts_max_age": number(0, YEARS * DAY, "(seconds)"),
    "nginx_lb_http_port": Elsewhere("checks.check_ports"),
    "nginx_lb_https_port": port,
    "nginx_lb_login_rate": number(0, 10**6),
    "nginx_lb_private_key": Elsewhere("ingress.check_certificate"),
    "nginx_lb_trusted_proxies": each(network),
    "nginx_lb_vrrp_id": number(1, 255),
    "nginx_lb_vrrp_interface": optional(
        matching(r"[A-Za-z0-9_.@:-]{1,15}", "name an interface as `ip link` shows it")
    ),
    "nginx_lb_vrrp_interval": number(50, 10000, "(milliseconds)"),
    # --- observability
    "observability_alert_for": Elsewhere("observability.check_observability"),
    "observability_alertmanager_config": Elsewhere("observability.check_observability"),
    "observability_alertmanager_port": port,
    "observability_alerts_off": Elsewhere("observability.check_observability"),
    "observability_allow": Elsewhere("observability.check_observability"),
    "observability_certificates": each(absolute_path),
    "observability_collect_interval": seconds(5, DAY),
    "observability_exporter_ports": exporter_ports,
    "observability_exporters": TRUTH,
    "observability_external_url": optional(web_url),
    "observability_group": GROUP,
    "observability_listen": Elsewhere("observability.check_observability"),
    "observability_port": port,
    "observability_prometheus_port": port,
    "observability_retention_size": matching(
        r"[1-9][0-9]*(B|KB|MB|GB|TB|PB|EB)", "give a size as Prometheus writes it, as in 10GB"
    ),
    "observability_retention_time": matching(
        r"(?=.)([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?",
        "give a time as Prometheus writes it, as in 30d or 12h",
    ),
    "observability_rule_groups": named_entries("name", "rules"),
    "observability_scrape_configs": named_entries("job_name"),
    "observability_scrape_interval": seconds(1, DAY),
    "observability_web_config": Elsewhere("observability.check_observability"),
    # --- packages
    "packages_cache_valid_time": number(0, 365 * DAY, "(seconds)"),
    "packages_keep_time": TRUTH,
    "packages_of": Free("names of the collection's own roles, which roles set"),
    "packages_state": CHOICE,
    # --- postgres_metastore
    "postgres_metastore_backup": TRUTH,
    "postgres_metastore_backup_full_calendar": calendar,
    "postgres_metastore_backup_host": Elsewhere("metastore.check_metastore"),
    "postgres_metastore_backup_incremental_calendar": calendar,
    "postgres_metastore_backup_passphrase": SECRET,
    "postgres_metastore_backup_retention_full": number(1, 9999),
    "postgres_metastore_backup_s3": s3_repository,
    "postgres_metastore_config": Elsewhere("server_settings.check_server_settings"),
    "postgres_metastore_hba_extra": hba_lines,
    "postgres_metastore_max_connections": number(20, 262143),
    "postgres_metastore_owner_password": PASSWORD,
    "postgres_metastore_password": PASSWORD,
    "postgres_metastore_results_password": PASSWORD,
    "postgres_metastore_synchronous": TRUTH,
    "postgres_metastore_ttl": seconds(7, 600),
    "postgres_metastore_watchdog": TRUTH,
    # --- preflight
    "preflight_ignore_groups": PATTERNS,
    "preflight_ignore_variables": PATTERNS,
    "preflight_max_clock_offset": number(1, 3600, "(seconds)"),
    "preflight_allow_untested": TRUTH,
    "preflight_allow_untested_packages": TRUTH,
    "preflight_min_disk_mib": number(0, 10**9, "(MiB)"),
    "preflight_takeover": CHOICE,
    "preflight_min_memory_mib": number(0, 10**9, "(MiB)"),
    # --- redis_cluster
    "redis_cluster_allow_data_loss": TRUTH,
    "redis_cluster_broker_password": PASSWORD,
    "redis_cluster_config": Elsewhere("server_settings.check_server_settings"),
    "redis_cluster_drain_timeout": number(0, DAY, "(seconds)"),
    "redis_cluster_failover": TRUTH,
    "redis_cluster_formation_timeout": seconds(5, DAY),
    "redis_cluster_maxmemory": redis_memory,
    "redis_cluster_memory_alert": percent(),
    "redis_cluster_node_timeout": number(500, 600000, "(milliseconds)"),
    "redis_cluster_password": PASSWORD,
    "redis_cluster_prune": TRUTH,
    "redis_cluster_tls_certificate": optional(certificate),
    "redis_cluster_tls_private_key": optional(private_key),
    # --- service_endpoints
    "service_endpoints_check_failures": number(1, 100),
    "service_endpoints_check_interval": number(50, 60000, "(milliseconds)"),
    # --- topology
    "airflow_broker_prefix": matching(
        r"[A-Za-z0-9_.:-]*\{[A-Za-z0-9_.:-]+\}[A-Za-z0-9_.:-]*",
        "write it with a tag in braces, as in {airflow}:, which keeps all keys in one slot",
    ),
    "airflow_broker_transport_options": broker_options,
    "airflow_broker_url": Elsewhere("broker.check_broker"),
    "airflow_database_url": optional(database_url),
    "airflow_master_api_port": Elsewhere("checks.check_ports"),
    "airflow_master_execution_port": Elsewhere("checks.check_ports"),
    "airflow_master_group": GROUP,
    "airflow_master_scheduler_health_port": Elsewhere("checks.check_ports"),
    "airflow_master_triggerer_log_port": Elsewhere("checks.check_ports"),
    "airflow_required_queues": Elsewhere("workers.check_queues"),
    "airflow_version": matching(
        r"[3-9]\.[0-9]+\.[0-9]+((a|b|rc)[0-9]+)?", 'name a version of Airflow 3, in quotes, as in "3.3.2"'
    ),
    "airflow_visibility_timeout": seconds(),
    "airflow_worker_group": GROUP,
    "airflow_worker_log_port": Elsewhere("checks.check_ports"),
    "airflow_workers": Elsewhere("workers.check_workers"),
    "cluster_address": Elsewhere("checks.check_addresses"),
    "cluster_package_environment": package_environment,
    "flower_group": GROUP,
    "flower_port": Elsewhere("checks.check_ports"),
    "nginx_lb_group": GROUP,
    "postgres_metastore_database": POSTGRES_NAME,
    "postgres_metastore_group": GROUP,
    "postgres_metastore_patroni_port": port,
    "postgres_metastore_port": Elsewhere("checks.check_ports"),
    "postgres_metastore_user": POSTGRES_NAME,
    "redis_cluster_broker_user": matching(
        r"(?!default$)[A-Za-z0-9_.-]{1,64}", "use letters, digits, _ . and -, and another name than default"
    ),
    "redis_cluster_flavor": CHOICE,
    "redis_cluster_group": GROUP,
    "redis_cluster_ports": Elsewhere("broker.check_redis"),
    "redis_cluster_replicas_per_master": Elsewhere("broker.check_redis"),
    "redis_cluster_tls": TRUTH,
    "redis_cluster_tls_ca": optional(every(certificate)),
    "service_endpoints_broker_port": Elsewhere("checks.check_ports"),
    "service_endpoints_execution_port": Elsewhere("checks.check_ports"),
    "service_endpoints_metastore_port": Elsewhere("checks.check_ports"),
}
# A warning comes before the problem.
BELOW = {
    "health_connections_warn_percent": "health_connections_percent",
    "health_disk_warn_percent": "health_disk_percent",
    "health_memory_warn_percent": "health_memory_percent",
    "health_redis_memory_warn_percent": "health_redis_memory_percent",
    "health_certificate_days": "health_certificate_warn_days",
}
