# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of inputs, wrong and right, and the cluster that has one of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.airflowops.cluster.plugins.filter import preflight as adapter
from ansible_collections.airflowops.cluster.plugins.plugin_utils import (
    dag_bundles,
    object_store,
    secrets_backends,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.checks import (
    JUDGED_BY_MEANING,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import SECRETS
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.variables import unknown_variables
from clusters import Cluster, single_node

CHECKOUT = Path(__file__).parents[2]
SPECS = adapter.known_variables()
HOST = "one"
LOCK = CHECKOUT / "roles/airflow_common/files/locks/airflow-3.3.2.txt"


def load(name: str) -> Any:
    return yaml.safe_load((CHECKOUT / "tests/inputs" / name).read_text(encoding="utf-8"))


ALERTS = re.findall(
    r"alert: (\w+)", (CHECKOUT / "roles/observability/files/alerts.yml").read_text(encoding="utf-8")
)
WRONG = [(name, value) for name, values in load("wrong.yml").items() for value in values]
RIGHT = [(name, value) for name, values in load("right.yml").items() for value in values]


def cluster_with(**given: Any) -> Cluster:
    """A healthy single node whose inventory gives these variables, described as the role describes it."""
    cluster = single_node()
    cluster["known_variables"] = SPECS
    entry = cluster["hosts"][HOST]
    entry["release"]["lock_file"] = str(LOCK)
    entry["given"] = given
    entry["values"].update({name: value for name, value in given.items() if name in JUDGED_BY_MEANING})
    for name in ("nginx_lb_floating_address", "airflow_broker_transport_options"):
        entry["values"].update({name: given[name]} if name in given else {})
    entry["unknown_variables"] = unknown_variables(given, SPECS)
    entry["secrets"].update(
        {name: adapter.secret_problem(value, name) for name, value in given.items() if name in SECRETS}
    )
    entry["broker"] = adapter.broker_facts(given.get("airflow_broker_url", ""))
    if given.get("airflow_broker_url"):
        cluster["roles"]["redis_cluster"]["hosts"] = []
        cluster["inventory_groups"]["redis_cluster"] = []
    entry["front"] = {
        **adapter.front_facts(
            given.get("airflow_base_url", ""),
            given.get("nginx_lb_certificate", ""),
            given.get("nginx_lb_private_key", ""),
        ),
        "names": [],
        "unresolved": [],
        "probe": None,
    }
    entry["bundles"] = dag_bundles.bundle_problems(given.get("airflow_dag_bundles", []))
    entry["remote_logs"] = object_store.remote_log_problems(given.get("airflow_remote_logs", {}))
    entry["secrets_backend"] = secrets_backends.backend_problems(given.get("airflow_secrets_backend", {}))
    entry["metrics"] = {"ports": {}, "problems": observability_problems(given)}
    return cluster


def observability_problems(given: dict[str, Any]) -> list[str]:
    from ansible_collections.airflowops.cluster.plugins.plugin_utils import observability

    defaults = {"observability_listen": "127.0.0.1", "observability_alertmanager_config": None}
    inputs = ("allow", "alert_for", "alerts_off", "listen", "web_config", "alertmanager_config")
    empty: dict[str, Any] = {"allow": [], "alert_for": {}, "alerts_off": [], "web_config": {}}
    values = {
        f"observability_{name}": given.get(
            f"observability_{name}", defaults.get(f"observability_{name}", empty.get(name))
        )
        for name in inputs
    }
    return observability.input_problems(values, ALERTS)
