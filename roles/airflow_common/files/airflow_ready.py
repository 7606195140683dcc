# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Returns when a service of this host is ready; its unit calls it as ExecStartPost=.

    airflow_ready.py http URL
    airflow_ready.py port PORT
    airflow_ready.py job SchedulerJob|TriggererJob|DagProcessorJob

or reports at once, by its exit code, whether the metastore's schema is the one this Airflow wants:

    airflow_ready.py schema

and if it is, which queues the DAGs use, in JSON: {queue: some of its tasks, as DAG.TASK}.

There is no limit of its own: the unit's TimeoutStartSec= ends it, or the end
of the service's main process, for which systemd does not end it. Airflow
itself is not imported, as that alone takes seconds of CPU time.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import sys
import sysconfig
import time
import urllib.request
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

POLL_SECONDS = 0.25
# Without proxies, whatever the environment names: what is asked is on this host.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def http_ready(url: str) -> bool:
    """True if the URL answers 200."""
    try:
        with OPENER.open(url, timeout=2) as answer:
            return answer.status == 200
    except (OSError, http.client.HTTPException):
        return False


def port_ready(port: str) -> bool:
    """True if something listens on the port."""
    try:
        with socket.create_connection(("127.0.0.1", int(port)), timeout=2):
            return True
    except OSError:
        return False


def metastore_url() -> str:
    """The metastore's URL as libpq reads it, which lists several servers in another way than SQLAlchemy."""
    name = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
    url = os.environ.get(name) or Path(os.environ["CREDENTIALS_DIRECTORY"], name).read_text(encoding="utf-8")
    url = url.replace("postgresql+psycopg2://", "postgresql://")
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    servers = [value.partition(":") for name, value in pairs if name == "host"]
    if not servers:
        return url
    pairs = [pair for pair in pairs if pair[0] not in ("host", "port")]
    pairs.append(("host", ",".join(host for host, _, _ in servers)))
    pairs.append(("port", ",".join(port or "5432" for _, _, port in servers)))
    return urlunsplit(parts._replace(query=urlencode(pairs)))


def host_names() -> set[str]:
    """What Airflow may call this host ([core] hostname_callable): the names that it and the resolver have for
    it, and the address of these."""
    names = {socket.getfqdn(), socket.gethostname()}
    try:
        # As airflow.utils.net.getfqdn and get_host_ip_address do.
        found = socket.getaddrinfo(socket.gethostname(), None, 0, socket.SOCK_DGRAM, 0, socket.AI_CANONNAME)
        names |= {entry[3] for entry in found if entry[3]}
        names |= {socket.gethostbyname(name) for name in tuple(names)}
    except OSError:
        pass
    return names


class JobReady:
    """True if a job of the type, started on this host not before `since`, has sent a heartbeat.

    Keeps its connection: to log in at every look would cost more than the service's start.
    """

    def __init__(self, since: float) -> None:
        self.since = since
        self.names = sorted(host_names())
        self.connection = None

    def __call__(self, job_type: str) -> bool:
        import psycopg2

        try:
            if self.connection is None:
                self.connection = psycopg2.connect(metastore_url(), connect_timeout=2)
                self.connection.autocommit = True
            with self.connection.cursor() as cursor:
                cursor.execute(
                    "SELECT 1 FROM job WHERE job_type = %s AND state = 'running' AND hostname = ANY(%s)"
                    " AND start_date >= to_timestamp(%s) AND latest_heartbeat IS NOT NULL LIMIT 1",
                    (job_type, self.names, self.since),
                )
                return cursor.fetchone() is not None
        except psycopg2.Error:
            self.connection = None
            return False


# Where migrations lie below site-packages, and the table that holds the revision reached.
MIGRATIONS = {
    "alembic_version": "airflow/migrations/versions",
    "alembic_version_fab": "airflow/providers/fab/migrations/versions",
}
REVISION = re.compile(r"""^(down_)?revision\s*(?::[^=]*)?=\s*["']([^"']+)["']""", re.MULTILINE)


def newest_revisions(directory: Path) -> set[str]:
    """The revisions that no other one builds on, read from the migrations without running them."""
    revisions, built_on = set(), set()
    for path in directory.glob("*.py"):
        for down, name in REVISION.findall(path.read_text(encoding="utf-8")):
            (built_on if down else revisions).add(name)
    return revisions - built_on


def schema_current(connection) -> bool:
    """True if the metastore has reached the newest revision of Airflow and of its user management."""
    packages = Path(sysconfig.get_path("purelib"))
    for table, directory in MIGRATIONS.items():
        newest = newest_revisions(packages / directory)
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass(%s)", (table,))
            if cursor.fetchone()[0] is None:
                return False
            cursor.execute(f"SELECT version_num FROM {table}")
            if not newest or {row[0] for row in cursor.fetchall()} != newest:
                return False
    return True


# Of each DAG as it was read last. What differs from a default is written out; a mapped task holds it apart.
QUEUES = """
SELECT queue, (array_agg(task ORDER BY task))[1:5]
FROM (SELECT latest.dag_id || '.' || coalesce(task.value #>> '{__var,task_id}', '?') AS task,
             coalesce(task.value #>> '{__var,queue}', task.value #>> '{__var,partial_kwargs,queue}',
                      latest.data #>> '{client_defaults,tasks,queue}', 'default') AS queue
      FROM (SELECT DISTINCT ON (dag_id) dag_id, data::jsonb AS data
            FROM serialized_dag JOIN dag USING (dag_id) WHERE NOT is_stale
            ORDER BY dag_id, serialized_dag.created_at DESC) AS latest,
           jsonb_array_elements(latest.data #> '{dag,tasks}') AS task) AS used
GROUP BY queue
"""


def queues(connection) -> dict[str, list[str]]:
    """The queues of the DAGs in use. Empty with `[core] compress_serialized_dags`."""
    with connection.cursor() as cursor:
        cursor.execute(QUEUES)
        return dict(cursor.fetchall())


def service_ended() -> bool:
    """True if the main process of the unit that calls this has ended: systemd waits for this one still."""
    main_process = os.environ.get("MAINPID")
    return main_process is not None and not Path("/proc", main_process).exists()


def service_begun() -> float:
    """When the main process of the unit was started. The row of the one before it does not count."""
    stat = Path("/proc", os.environ.get("MAINPID", "self"), "stat")
    try:
        # Behind the program's name, which may hold anything: proc_pid_stat(5).
        fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return time.time()
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + int(fields[19]) / os.sysconf("SC_CLK_TCK")


def schema() -> int:
    import psycopg2

    connection = psycopg2.connect(metastore_url(), connect_timeout=5)
    try:
        if not schema_current(connection):
            return 1
        print(json.dumps(queues(connection)))
        return 0
    finally:
        connection.close()


def main(arguments: list[str]) -> int:
    kind, *rest = arguments
    if kind == "schema":
        return schema()
    since = service_begun()
    check = {"http": http_ready, "port": port_ready, "job": JobReady(since)}[kind]
    while not check(*rest):
        if service_ended():
            print("The service has ended before it was ready.", file=sys.stderr)
            return 1
        time.sleep(POLL_SECONDS)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
