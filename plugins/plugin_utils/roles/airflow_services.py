# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles of Airflow run: one systemd unit each. Pure functions.

Of a service:
  unit: full name of the unit
  description: what it is, in a few words
  command: its program in the virtualenv, with its arguments, quoted as ExecStart= wants them
  ready: arguments of airflow_ready.py, which returns when it serves; without them it notifies systemd itself,
    as Celery workers do
  environment: variables of this one alone, {name: value}, no secrets
  credentials: the secrets that it reads by options that end with _CMD
  credential_paths: {option: credential} of those that it reads as files
  other_credentials: those that our own modules read
  stop_timeout: seconds from SIGTERM until what is left of it is killed
  watchdog: seconds for which it may fail to notify systemd that all is well; 0 is no watchdog
  cache: whether it writes into /var/cache/airflow
  open_files: how many it may have open, where systemd's 1024 do not do
  memory_max, cpu_weight, sandbox, write_paths: as in airflow_workers
"""

from __future__ import annotations

import re
from typing import Any, Callable, Mapping

from ansible_collections.airflowops.cluster.plugins.plugin_utils.addresses import ip_address
from ansible_collections.airflowops.cluster.plugins.plugin_utils.quoting import systemd_quote
from ansible_collections.airflowops.cluster.plugins.plugin_utils.roles import airflow_credentials as names
from ansible_collections.airflowops.cluster.plugins.plugin_utils.roles.units import (
    FLOWER,
    LOG_SERVER,
    master_unit,
    worker_unit,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.secrets_backends import backend_secrets
from ansible_collections.airflowops.cluster.plugins.plugin_utils.unit_environment import late_environment

Service = dict[str, Any]
# gunicorn's channel for its own tool, which nobody uses. Both API servers would make it in the same place.
GUNICORN = {"GUNICORN_CMD_ARGS": "--no-control-socket"}
# Where Python looks last: python-ldap comes from the distribution, as there is no built one elsewhere.
SYSTEM_PACKAGES = "/usr/lib/python3/dist-packages"


def services(role: str, settings: Mapping[str, Any], inputs: Mapping[str, Any]) -> list[Service]:
    """The services of airflow_master, airflow_worker or flower, in the order in which they are written.

    settings: host, api_port, api_workers, execution_port, execution_workers, scheduler_port, base_path,
    proxies (addresses of nginx), jwt_rotation, workers, log_port, stop_timeout, watchdog, flower_port.
    inputs: as for `optional_credentials`.
    """
    found = ROLES[role](settings, inputs)
    # Read by sitecustomize.py, which every one of them begins with.
    other = [names.ENVIRONMENT] if late_environment(inputs["environment"]) else []
    return [{**service, "other_credentials": other} for service in found]


def broker_credentials(inputs: Mapping[str, Any]) -> list[str]:
    return [
        names.BROKER,
        *([names.SENTINEL] if names.SENTINEL_OPTION in inputs["broker_secret_options"] else []),
    ]


def master_services(settings: Mapping[str, Any], inputs: Mapping[str, Any]) -> list[Service]:
    bundles, logs = names.bundles_and_logs(inputs)
    of_masters = [*names.DATABASE, names.FERNET, *backend_secrets(inputs["secrets_backend"], "masters")]
    of_workers = [*backend_secrets(inputs["secrets_backend"], "workers")]
    local, base = "http http://127.0.0.1", settings["base_path"]
    auth = inputs["auth_config"]
    proxies = ",".join(map(ip_address, settings["proxies"]))
    jwks = {"AIRFLOW__API_AUTH__TRUSTED_JWKS_URL": names.JWKS} if settings["jwt_rotation"] else {}
    return [
        {
            "unit": master_unit("api-server"),
            "description": "Airflow's UI and REST API",
            "command": f"python -m airflowops_runtime.entrypoint api-server --apps core --host 0.0.0.0"
            f" --port {settings['api_port']} --workers {settings['api_workers']} --proxy-headers",
            "ready": f"{local}:{settings['api_port']}{base}/api/v2/version",
            "environment": {
                **GUNICORN,
                # Whose X-Forwarded-For is believed. Addresses: with a name gunicorn does not start.
                "FORWARDED_ALLOW_IPS": proxies,
                "AIRFLOWOPS_APPEND_SYSPATH": SYSTEM_PACKAGES if auth.get("AUTH_TYPE") == "AUTH_LDAP" else "",
            },
            "credentials": [
                *of_masters,
                *(names.JWT, names.JWKS, names.API_KEY),
                *([names.AUTH] if auth else []),
                *logs,
            ],
            "credential_paths": {**jwks, **({"AIRFLOW__FAB__CONFIG_FILE": names.AUTH} if auth else {})},
            "stop_timeout": 60,
        },
        # Of its own, so that no load of the UI delays the tasks that report here.
        {
            "unit": master_unit("execution-api"),
            "description": "Airflow's execution API, which running tasks report to",
            "command": f"python -m airflowops_runtime.entrypoint api-server --apps execution --host 0.0.0.0"
            f" --port {settings['execution_port']} --workers {settings['execution_workers']}",
            # It is loaded by its first request: better by this one than by the first task.
            "ready": f"{local}:{settings['execution_port']}{base}/execution/health",
            "environment": {
                **GUNICORN,
                # A task asks three times, and each HAProxy every two seconds: a line for each would bury what
                # goes wrong.
                "AIRFLOW__LOGGING__NAMESPACE_LEVELS": "http.access=WARNING",
            },
            "credentials": [*of_masters, names.JWT, names.JWKS],
            "credential_paths": jwks,
            "stop_timeout": 60,
        },
        {
            "unit": master_unit("scheduler"),
            "description": "Airflow's scheduler, which queues what is due",
            "command": "python -m airflowops_runtime.entrypoint scheduler",
            "ready": f"{local}:{settings['scheduler_port']}/health",
            # An option that Airflow does not document. By default a task fails that was sent again twice,
            # which RabbitMQ and SQS make of a long wait: the patch queued-tasks.
            "environment": {"AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES": 1000},
            "credentials": [*of_masters, names.JWT, names.RESULTS, *broker_credentials(inputs)],
            "stop_timeout": 60,
        },
        {
            "unit": master_unit("dag-processor"),
            "description": "Airflow's DAG processor, which reads the DAG files",
            "command": "airflow dag-processor",
            "ready": "job DagProcessorJob",
            "credentials": [*of_masters, *bundles, *of_workers],
            "stop_timeout": 60,
        },
        {
            "unit": master_unit("triggerer"),
            "description": "Airflow's triggerer, which waits for deferred tasks",
            "command": "python -m airflowops_runtime.entrypoint triggerer",
            "ready": "job TriggererJob",
            "credentials": [*of_masters, names.API_KEY, *logs, *of_workers],
            "stop_timeout": 60,
            # One for each deferred task, its log, and a dozen: 113 with 100 of them. [triggerer] capacity is
            # 1000 by default.
            "open_files": 16384,
        },
    ]


def worker_services(settings: Mapping[str, Any], inputs: Mapping[str, Any]) -> list[Service]:
    bundles, logs = names.bundles_and_logs(inputs)
    credentials = [
        names.RESULTS,
        *broker_credentials(inputs),
        *bundles,
        *logs,
        *([names.PACKAGES] if inputs["package_environment"] else []),
        *backend_secrets(inputs["secrets_backend"], "workers"),
    ]
    late = late_environment(inputs["environment"])
    # Serves the task logs of all workers of the host, also while a worker is stopped;
    # a worker's own log server would end with it, and a second one finds the port taken.
    log_server = {
        "unit": LOG_SERVER,
        "description": "Airflow's task logs of this host, for the UI",
        "command": 'python -c "from airflow.utils.serve_logs import serve_logs; serve_logs()"',
        # It answers 404 to what is no log.
        "ready": f"port {settings['log_port']}",
        "credentials": [names.API_KEY],
        "stop_timeout": 10,
    }
    return [
        log_server,
        *(worker_service(worker, settings, credentials, late) for worker in settings["workers"]),
    ]


def worker_service(
    worker: Mapping[str, Any], settings: Mapping[str, Any], credentials: list[str], late: Mapping[str, str]
) -> Service:
    name, queues = worker["name"], worker["queues"]
    scale = worker.get("autoscale")
    slots = (
        f"--autoscale {scale['max']},{scale['min']}" if scale else f"--concurrency {worker['concurrency']}"
    )
    environment = dict(worker.get("environment") or {})
    if environment and late:
        # Those that airflow_environment, which Python sets later, must not replace.
        environment["AIRFLOWOPS_WORKER_ENV_NAMES"] = " ".join(environment)
    return {
        "unit": worker_unit(name),
        "description": f"Airflow worker {name} for {', '.join(queues)}",
        "command": f"airflow celery worker --celery-hostname {name}@{settings['host']}"
        f" --queues {systemd_quote(','.join(queues), command=True)} {slots}"
        " --skip-serve-logs --without-mingle --without-gossip",
        "environment": environment,
        "credentials": credentials,
        "cache": True,
        **{
            name: worker[name]
            for name in ("memory_max", "cpu_weight", "sandbox", "write_paths")
            if name in worker
        },
        "stop_timeout": settings["stop_timeout"],
        "watchdog": settings["watchdog"],
    }


def flower_services(settings: Mapping[str, Any], inputs: Mapping[str, Any]) -> list[Service]:
    port = settings["flower_port"]
    return [
        {
            "unit": FLOWER,
            "description": "Flower, which shows the Celery workers",
            "command": f"airflow celery flower --hostname 0.0.0.0 --port {port}",
            "ready": f"http http://127.0.0.1:{port}/flower/healthcheck",
            "credentials": [*broker_credentials(inputs), names.FLOWER],
            "stop_timeout": 10,
        }
    ]


ROLES: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], list[Service]]] = {
    "airflow_master": master_services,
    "airflow_worker": worker_services,
    "flower": flower_services,
}


def worker_names(units: Mapping[str, list[str]]) -> list[str]:
    """[WORKER@HOST] by the lines in which systemctl names the units of each host."""
    return [
        f"{name}@{host}"
        for host, lines in units.items()
        for line in lines
        for name in re.findall(r"airflow-worker@(.+?)[.]service", line)[:1]
    ]


def service_units(
    services: list[Service], files: list[str], credentials_directory: str
) -> list[dict[str, Any]]:
    """The units of the services, for `systemd_units`: each reads the files, and its own credentials."""
    return [
        {
            "name": service["unit"],
            "files": [
                *files,
                *(
                    f"{credentials_directory}/{name}"
                    for name in [*service.get("other_credentials", []), *service["credentials"]]
                ),
            ],
        }
        for service in services
    ]
