# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that cannot be evaluated, and names of variables."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.checks import (
    find_problems,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.templates import NotEvaluated
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.variables import unknown_variables
from inputs_data import SPECS, cluster_with

# --- Values that cannot be evaluated


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("airflow_dags_path", NotEvaluated("'nope' is undefined"), "refers to nope, which is undefined"),
        ("airflow_variables", {"q": NotEvaluated("'ds' is undefined")}, "!unsafe"),
        ("airflow_config", {"logging": {"log_format": NotEvaluated("'ti' is undefined")}}, "!unsafe"),
        ("airflow_base_url", NotEvaluated("syntax error: x", "{{ foo"), "no valid template"),
        (
            "airflow_lock_file",
            NotEvaluated("object of type 'dict' has no attribute 'lock'", "{{ site.lock }}"),
            "refers to lock, which its dictionary lacks",
        ),
        ("airflow_lock_file", NotEvaluated("'airflow_version' is undefined"), ""),
        ("airflow_dags_path", NotEvaluated("'ansible_facts' is undefined"), ""),
        ("airflow_dags_path", NotEvaluated("'__topology_hosts' is undefined"), ""),
        (
            "cluster_package_environment",
            {"A": NotEvaluated("object of type 'dict' has no attribute 'x'", "{{ ansible_facts.x }}")},
            "",
        ),
    ],
)  # fmt: skip
def test_a_template_that_cannot_be_evaluated(name: str, value: Any, says: str) -> None:
    found = find_problems(cluster_with(**{name: value}))
    assert len(found) == bool(says), found
    assert says in "".join(found)


# --- Names of variables


@pytest.mark.parametrize(
    "name",
    [
        *(
            "ngnix_lb_http_port",
            "nginxlb_http_port",
            "aiflow_version",
            "airlfow_version",
            "postgress_metastore_port",
        ),
        *(
            "redis_cluser_ports",
            "rediscluster_ports",
            "postgres_metastor_config",
            "service_endpoint_broker_port",
        ),
        *(
            "flwer_user",
            "observabilty_allow",
            "firewal_backend",
            "prefligth_min_disk_mib",
            "helth_disk_percent",
        ),
        *("clster_address", "certificate_days", "log_since", "packags_state", "ectd_client_port"),
    ],
)
def test_a_misspelt_prefix_is_noticed(name: str) -> None:
    assert unknown_variables([name], SPECS) == [name]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "ansible_user",
            "inventory_hostname",
            "lab_name",
            "site_name",
            "http_port",
            "vault_flower_password",
        ),
        *(
            "nginx_version",
            "nginx_port",
            "redis_version",
            "redis_port",
            "postgres_version",
            "db_password",
            "flow_id",
        ),
        *(
            "admin_user",
            "packages",
            "log_level",
            "certificate_path",
            "environment_name",
            "groups",
            "playbook_dir",
        ),
        *(
            "prometheus_port",
            "nginx_user",
            "redis_password",
            "postgres_password",
            "backup_host",
            "worker_count",
        ),
        *("__airflow_version_change", "_airflow_x", "worker_drain_timeout", "health_check", "version"),
    ],
)
def test_names_of_the_users_own_are_left_alone(name: str) -> None:
    assert unknown_variables([name], SPECS) == []
