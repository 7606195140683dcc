# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patches of Airflow's other services, and of what reads DAGs and logs."""

from __future__ import annotations

from airflowops_runtime.patch import Patch, Target

AIRFLOW = ("apache-airflow-core",)
SCHEDULER = "airflow.jobs.scheduler_job_runner"
SESSION = "celery.backends.database.session"
GIT = "airflow.providers.git.bundles.git:GitDagBundle"
S3 = "airflow.providers.amazon.aws.bundles.s3:S3DagBundle"
S3_LOGS = "airflow.providers.amazon.aws.log.s3_task_handler:S3RemoteLogIO"
OURS = "airflowops_runtime"

AIRFLOW_PATCHES = (
    Patch(
        name="queued-tasks",
        kind="repair",
        services="scheduler",
        changes="A queued task waits for as long as its message is in the broker; a lost one is sent again.",
        why="Airflow sends every task again that waits for long, and fails it after some times.",
        install=f"{OURS}.queued_tasks:install",
        packages=("apache-airflow-core", "apache-airflow-providers-celery", "kombu", "redis"),
        targets=(
            Target(f"{SCHEDULER}:SchedulerJobRunner._get_tis_stuck_in_queued", parameters="self, session"),
            Target(
                f"{SCHEDULER}:SchedulerJobRunner._get_num_times_stuck_in_queued",
                parameters="self, ti, session=",
            ),
            Target(f"{SCHEDULER}:SchedulerJobRunner._reschedule_stuck_task", parameters="self, ti, session"),
            Target(
                "airflow.executors.workloads.base:BaseWorkloadSchema.generate_token",
                parameters="sub_id, generator=",
            ),
        ),
        upstream=("apache/airflow#59553", "apache/airflow#72469"),
    ),
    Patch(
        name="scheduler-wake",
        kind="speed",
        services="scheduler",
        changes="The scheduler's sleep ends when there is work: PostgreSQL's LISTEN.",
        why="Airflow looks once a second.",
        install=f"{OURS}.scheduler_wake:install",
        packages=AIRFLOW,
        targets=(
            Target(f"{SCHEDULER}:time"),
            Target(SCHEDULER, calls=(("time.sleep(", 1),)),
            Target(f"{SCHEDULER}:SchedulerJobRunner._run_scheduler_loop", uses=("time", "sleep")),
        ),
    ),
    Patch(
        name="scheduler-notify",
        kind="speed",
        services="api-server triggerer",
        changes="What ends a task or begins a run notifies the scheduler: PostgreSQL's NOTIFY.",
        why="See scheduler-wake.",
        install=f"{OURS}.scheduler_notify:install",
        packages=AIRFLOW,
        targets=(Target("sqlalchemy:event.listens_for"),),
    ),
    Patch(
        name="result-connections",
        kind="speed",
        services="scheduler",
        changes="The scheduler keeps its connection to the result backend.",
        why="Celery logs in at each look outside of its workers.",
        install=f"{OURS}.result_connections:install",
        packages=("celery",),
        targets=(
            Target("celery.backends.database:SessionManager"),
            Target("celery.backends.database:DatabaseBackend.__init__", uses=("SessionManager",)),
            Target(f"{SESSION}:SessionManager.__init__", parameters="self", source=("6a9e7770448026b3",)),
            Target(
                f"{SESSION}:SessionManager.get_engine",
                parameters="self, dburi, **kwargs",
                source=("8b878c8e21806fc0",),
            ),
            Target(f"{SESSION}:SessionManager.create_session", uses=("_sessions", "forked")),
        ),
    ),
    Patch(
        name="secret-commands",
        kind="speed",
        services="scheduler api-server triggerer",
        changes="The command of a secret (`..._CMD`) is run once by each process.",
        why="Airflow runs it each time that it reads the option, an API server with every task.",
        install=f"{OURS}.secret_commands:install",
        packages=AIRFLOW,
        targets=(
            Target("airflow._shared.configuration.parser:run_command", parameters="command"),
            Target("airflow.sdk._shared.configuration.parser:run_command", parameters="command"),
        ),
    ),
    Patch(
        name="api-versions",
        kind="speed",
        services="api-server",
        changes="The versions of the execution API are made before the API server has processes.",
        why="Each process makes them with its first request, for seconds.",
        install=f"{OURS}.api_server:make_versions_early",
        packages=("apache-airflow-core", "cadwyn"),
        targets=(
            Target("airflow.api_fastapi.gunicorn_app:AirflowGunicornApp.load", parameters="self"),
            Target("cadwyn.applications:Cadwyn._cadwyn_initialize", parameters="self"),
            Target("cadwyn.applications:Cadwyn.__call__", uses=("_cadwyn_initialized", "_cadwyn_initialize")),
        ),
    ),
    Patch(
        name="log-proxy",
        kind="repair",
        services="api-server",
        changes="Logs of tasks are fetched from their hosts without a proxy.",
        why="Airflow asks the proxy that the environment names, which does not reach them.",
        install=f"{OURS}.api_server:spare_log_servers",
        packages=AIRFLOW,
        targets=(
            Target(
                "airflow.utils.log.file_task_handler:_fetch_logs_from_service",
                parameters="url, log_relative_path",
            ),
        ),
    ),
    Patch(
        name="git-bundle",
        kind="repair",
        services="bundles",
        changes="DAGs from git stay while its server is away, and no fetch lasts for ever.",
        why="The provider removes its copy of the repository when a fetch fails.",
        install=f"{OURS}.git_bundle:GitBundle",
        packages=("apache-airflow-providers-git",),
        program="git",
        targets=(
            Target(f"{GIT}._fetch_bare_repo", parameters="self", source=("2f6ccf38ef0c1029",)),
            Target(
                f"{GIT}._clone_bare_repo_if_required",
                uses=("_fetch_bare_repo", "bare_repo", "bare_repo_path"),
            ),
            Target(f"{GIT}.__init__", uses=("hook", "repo_url", "tracking_ref", "bare_repo_path")),
        ),
    ),
    Patch(
        name="s3-bundle",
        kind="repair",
        services="bundles",
        changes="DAGs from an object store stay while it is away, and are never half new.",
        why="The provider's tasks fail while the store is away, and it misses files that were overwritten.",
        install=f"{OURS}.s3_bundle:S3Bundle",
        packages=("apache-airflow-providers-amazon",),
        targets=(
            Target(f"{S3}._initialize", parameters="self", source=("28e63fa4beacd59d",)),
            Target(f"{S3}.refresh", parameters="self", source=("deef0e7094594289",)),
            Target(f"{S3}.path", uses=("s3_dags_dir",)),
            Target(f"{S3}.__init__", uses=("s3_dags_dir", "bucket_name", "prefix", "_log")),
            Target(f"{S3}.s3_hook"),
            Target("airflow.dag_processing.bundles.base:BaseDagBundle.__init__", uses=("refresh_interval",)),
        ),
    ),
    Patch(
        name="remote-logs",
        kind="repair",
        services="logs",
        changes="While the store of the logs is away, logs are read from the hosts; earlier logs stay.",
        why="The API server answers 500, and an upload removes logs that the store does not have.",
        install=f"{OURS}.s3_logs:RemoteLogs",
        packages=("apache-airflow-providers-amazon",),
        targets=(
            Target(f"{S3_LOGS}.from_config"),
            Target(f"{S3_LOGS}.upload", parameters="self, path, ti=", source=("1e92dde3669d6469",)),
            Target(f"{S3_LOGS}.read", parameters="self, relative_path, ti"),
        ),
    ),
    Patch(
        name="garbage-collection",
        kind="speed",
        services="python",
        changes="Python looks for garbage in cycles less often.",
        why="A fifth of the CPU time of a start went into it, as Airflow keeps what it makes then.",
        install="gc:get_threshold",
        packages=AIRFLOW,
    ),
)
