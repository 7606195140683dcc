# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Airflow's credentials: the secrets that a host holds encrypted, by the names of the options they are for.

Pure functions. The secrets that every cluster has stand in roles/airflow_common/vars; here is what
depends on the inputs: airflow_dag_bundles, airflow_remote_logs, airflow_secrets_backend, and others.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Collection, Mapping

from ansible_collections.airflowops.cluster.plugins.plugin_utils.dag_bundles import bundle_secrets
from ansible_collections.airflowops.cluster.plugins.plugin_utils.object_store import remote_log_secrets
from ansible_collections.airflowops.cluster.plugins.plugin_utils.quoting import python_settings, url_quote
from ansible_collections.airflowops.cluster.plugins.plugin_utils.roles.postgres_metastore import second_role
from ansible_collections.airflowops.cluster.plugins.plugin_utils.secrets_backends import (
    CREDENTIALS as BACKEND_CREDENTIALS,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.secrets_backends import backend_secrets
from ansible_collections.airflowops.cluster.plugins.plugin_utils.unit_environment import late_environment

DATABASE = ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC")
RESULTS = "AIRFLOW__CELERY__RESULT_BACKEND"
BROKER = "AIRFLOW__CELERY__BROKER_URL"
SENTINEL = "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__SENTINEL_KWARGS"
# Redis Sentinel has a password of its own among the options of the transport.
SENTINEL_OPTION = "sentinel_kwargs"
API_KEY = "AIRFLOW__API__SECRET_KEY"
JWT = "AIRFLOW__API_AUTH__JWT_SECRET"
FERNET = "AIRFLOW__CORE__FERNET_KEY"
FLOWER = "AIRFLOW__CELERY__FLOWER_BASIC_AUTH"
# The names of the signing keys; read as a file by the API servers.
JWKS = "AIRFLOWOPS_JWKS"
# Of airflow_auth_config; read as a file by the API server.
AUTH = "AIRFLOWOPS_AUTH"
# Of airflow_environment; read by sitecustomize.py.
ENVIRONMENT = "AIRFLOWOPS_ENVIRONMENT"
# Of cluster_package_environment, for the virtualenvs of tasks; read by task_uv.py.
PACKAGES = "AIRFLOWOPS_PACKAGES"
# Those that a host may have had and needs no more. airflow-run opens whatever is there.
OPTIONAL = (ENVIRONMENT, PACKAGES, SENTINEL, *BACKEND_CREDENTIALS)
# What the run's own servers accept from their restart on.
LOGINS = {"metastore": DATABASE, "results": (RESULTS,), "broker": (BROKER,)}

ANY_DRIVER = re.compile(r"^postgres(ql)?([+]\w+)?://")


def metastore_url(
    user: str,
    password: str,
    database: str,
    server: str,
    ca_file: str,
    rotation: Mapping[str, str] | None = None,
) -> str:
    """The URL of a database of our metastore, as a role logs in there.

    rotation: what is accepted besides the password. A new one belongs to a second role first, until nobody
    uses the old one any more. The server's certificate is checked against the CA; its name cannot be:
    HAProxy on loopback leads to it.
    """
    role = second_role(user) if "previous" in (rotation or {}) else user
    login = f"{role}:{url_quote(str(password))}"
    return f"postgresql://{login}@{server}/{database}?sslmode=verify-ca&sslrootcert={ca_file}"


def sqlalchemy_url(url: str, driver: str = "psycopg2") -> str:
    """With a driver that Airflow is tested with, whatever driver the URL names."""
    return ANY_DRIVER.sub(f"postgresql+{driver}://", str(url))


def key_id(secret: str) -> str:
    """The name of a key that tokens are signed with."""
    return hashlib.sha256(str(secret).encode()).hexdigest()[:8]


def jwt_keys(secret: str, rotation: Mapping[str, str]) -> dict[str, str]:
    """{name: key} for the API servers. Outside a rotation there is one key, and its file is there as well:
    a service that starts again between two steps finds what goes together.

    The first is for tokens that were signed before keys had names.
    """
    return {
        "not-used": rotation.get("previous", secret),
        **{key_id(key): key for key in (secret, *rotation.values())},
    }


def bundles_and_logs(inputs: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    bundles = bundle_secrets(inputs["dag_bundles"], inputs["bundle_directory"])
    return bundles, remote_log_secrets(inputs["remote_logs"])


def optional_credentials(inputs: Mapping[str, Any], roles: Collection[str]) -> dict[str, str]:
    """{credential: content} of what the inputs ask for, on a host of these roles.

    inputs: dag_bundles, bundle_directory, remote_logs, secrets_backend, auth_config, environment,
    package_environment, broker_secret_options. DAG files and triggers run on masters as tasks do on workers,
    so masters have what workers ask for connections and variables, too.
    """
    found: dict[str, str] = {}
    if SENTINEL_OPTION in inputs["broker_secret_options"]:
        found[SENTINEL] = json.dumps(inputs["broker_secret_options"][SENTINEL_OPTION], default=str)
    if {"airflow_master", "airflow_worker"} & {*roles}:
        for secrets in bundles_and_logs(inputs):
            found.update(secrets)
        found.update(backend_secrets(inputs["secrets_backend"], "workers"))
    if "airflow_master" in roles:
        found.update(backend_secrets(inputs["secrets_backend"], "masters"))
        if inputs["auth_config"]:
            found[AUTH] = python_settings(inputs["auth_config"])
    if "airflow_worker" in roles and inputs["package_environment"]:
        found[PACKAGES] = json.dumps(
            {name: str(value) for name, value in inputs["package_environment"].items()}
        )
    environment = late_environment(inputs["environment"])
    if environment:
        found[ENVIRONMENT] = json.dumps(environment)
    return found


def credential_files(
    secrets: Mapping[str, str], directory: str, own: Mapping[str, Any], unwanted: Collection[str] = OPTIONAL
) -> list[dict[str, Any]]:
    """The files of the credentials, for `host_files`; those that are not wanted any more are removed.

    own: {metastore, results, broker: whether it is ours}. The logins of ours do not go back to what they
    were once the server knows the new ones, so they are a part of their own.
    """
    logins = {name for server, names in LOGINS.items() if own.get(server) for name in names}
    return [
        {
            "path": f"{directory}/{name}",
            "secret_content": secret,
            "encrypted": True,
            "part": "logins" if name in logins else "airflow",
        }
        for name, secret in secrets.items()
    ] + [{"path": f"{directory}/{name}", "absent": True} for name in unwanted if name not in secrets]
