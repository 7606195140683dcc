# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prepares a metastore with Airflow's own commands, in one process: importing Airflow takes seconds.

    airflow_setup.py [migrate] [user]
    airflow_setup.py export
    airflow_setup.py dags
    airflow_setup.py imports
    airflow_setup.py clean DAYS

migrate: brings the schema to what this Airflow wants. user: makes the first user, an administrator, unless
there is one of that name; AIRFLOWOPS_USER, AIRFLOWOPS_EMAIL and AIRFLOWOPS_PASSWORD are its name, address and
password, so that no process list shows them. export: prints connections and variables in clear text, in JSON,
as the last line, for the module airflow_objects. dags: reads the DAG files as they are now; prints, in JSON,
as the last line, {"errors": {file that cannot be imported or serialized: end of its error}, "bundles":
{bundle that cannot be read: its error}, "queues": {queue: its tasks}}.
imports: imports the DAG files and writes nothing; prints, in JSON, as the last line, {file: end of its error}
of those that Airflow could import until now and this one, which may be another version, cannot.
clean: removes what Celery noted of tasks that ended more than a day ago, which nobody reads; unless DAYS is
0, also what Airflow keeps of runs, tasks and logins that are older.
"""

from __future__ import annotations

import copy
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from airflow.__main__ import main as airflow

# Rows of a table that one transaction removes: Airflow writes into it meanwhile.
CLEAN_BATCH = 10_000
# An error of the database ends with all that was to be written.
LONGEST_ERROR = 500


def command(step: str) -> list[str]:
    if step == "migrate":
        return ["db", "migrate"]
    if step == "user":
        # Airflow's log of commands leaves out what follows --password. One argument each: by itself, a value
        # that begins with a dash is taken for an option.
        return [
            "users", "create", "--role=Admin", "--firstname=Airflow", "--lastname=Administrator",
            f"--username={os.environ['AIRFLOWOPS_USER']}", f"--email={os.environ['AIRFLOWOPS_EMAIL']}",
            f"--password={os.environ['AIRFLOWOPS_PASSWORD']}",
        ]  # fmt: skip
    sys.exit(__doc__)


def run(words: list[str]) -> None:
    sys.argv = ["airflow", *words]
    airflow()


def exported(kind: str) -> object:
    """What `airflow KIND export` writes, into memory: it is secret."""
    with open(os.memfd_create(kind), encoding="utf-8") as file:  # noqa: PTH123 - it has no path but the one below
        form = ["--file-format", "json"] if kind == "connections" else []
        run([kind, "export", *form, f"/proc/self/fd/{file.fileno()}"])
        return json.load(file)


def bag_of_serialized() -> type:
    """Airflow's class for the DAGs of a bundle, with only those that can be serialized.

    One that cannot, as with a timetable that no plugin registers, ends `airflow dags reserialize` for all
    of them. It becomes an error of its file, as it does in the DAG processor.
    """
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.serialization.serialized_objects import LazyDeserializedDAG

    class Bag(BundleDagBag):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            wrong: dict[str, list[str]] = {}
            for dag_id, dag in sorted(self.dags.items()):
                try:
                    self.dags[dag_id] = LazyDeserializedDAG.from_dag(dag)
                except Exception as error:
                    del self.dags[dag_id]
                    reason = " ".join(str(error).split()) or type(error).__name__
                    wrong.setdefault(str(dag.relative_fileloc or dag.fileloc), []).append(
                        f"DAG {dag_id}: {reason}"
                    )
            for file, errors in wrong.items():
                self.import_errors[file] = "; ".join(errors)

    return Bag


def file_bags(bag: Any) -> Iterator[Any]:
    """The bag in parts, one for each file."""
    changed: dict[str, dict[str, Any]] = {}
    for path, when in bag.file_last_changed.items():
        changed.setdefault(bag._get_relative_fileloc(path), {})[path] = when
    dags: dict[str, dict[str, Any]] = {}
    for dag_id, dag in bag.dags.items():
        dags.setdefault(str(dag.relative_fileloc), {})[dag_id] = dag
    for file in sorted({*changed, *dags, *bag.import_errors}):
        part = copy.copy(bag)
        part.file_last_changed = changed.get(file, {})
        part.dags = dags.get(file, {})
        part.import_errors = {name: error for name, error in bag.import_errors.items() if name == file}
        yield part


def sync_by_file(sync_of_airflow: Callable[..., None]) -> Callable[..., None]:
    """Writes file by file, as the DAG processor does, which reads the same new files at the same time.

    The second finds a DAG there already. With all files in one transaction nothing would be written then.
    """
    from sqlalchemy.exc import IntegrityError, PendingRollbackError

    def sync(bag: Any, *args: Any, session: Any, **kwargs: Any) -> None:
        for part in file_bags(bag):
            for again in (True, True, False):
                try:
                    sync_of_airflow(part, *args, session=session, **kwargs)
                    session.commit()
                    break
                except (IntegrityError, PendingRollbackError):
                    session.rollback()
                    if not again:
                        raise

    return sync


def read_bundles() -> dict[str, str]:
    """Reads each bundle; returns {bundle that cannot be read: its error}."""
    from airflow.cli.commands import dag_command
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    dag_command.BundleDagBag = bag_of_serialized()
    dag_command.sync_bag_to_db = sync_by_file(dag_command.sync_bag_to_db)
    errors = {}
    for bundle in DagBundlesManager().get_all_dag_bundles():
        try:
            run(["dags", "reserialize", "--bundle-name", bundle.name])
        except (Exception, SystemExit) as error:
            traceback.print_exc()
            errors[bundle.name] = (" ".join(str(error).split()) or type(error).__name__)[:LONGEST_ERROR]
    return errors


def import_errors() -> dict[str, str]:
    """Of files that are there: the error of one that is gone stays until the DAG processor's next look."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.models.errors import ParseImportError
    from airflow.utils.session import create_session

    folders = {bundle.name: bundle.path for bundle in DagBundlesManager().get_all_dag_bundles()}
    with create_session() as session:
        return {
            error.filename: (error.stacktrace or "no stack trace").strip().splitlines()[-1].strip()
            for error in session.query(ParseImportError)
            if Path(folders.get(error.bundle_name, "/"), error.filename or "").exists()
        }


def new_import_errors() -> dict[str, str]:
    """Of each bundle as it is, by this version of Airflow; without those that the DAG processor reported."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.utils.session import create_session
    from sqlalchemy import text

    with create_session() as session:
        # Not by the model: the metastore may not have this version's schema yet.
        known = {name for (name,) in session.execute(text("SELECT filename FROM import_error"))}
    found = {}
    bag_class = bag_of_serialized()
    for bundle in DagBundlesManager().get_all_dag_bundles():
        bundle.initialize()
        bag = bag_class(bundle.path, bundle_path=bundle.path, bundle_name=bundle.name)
        found.update(bag.import_errors)
    return {
        name: (error.strip() or "no stack trace").splitlines()[-1].strip()
        for name, error in found.items()
        if name not in known
    }


def clean(days: int) -> None:
    from airflow.providers.celery.executors.celery_executor import app
    from sqlalchemy import text

    with app.backend.ResultSession() as session:
        # Of several masters the others wait, and then find little to do.
        session.execute(text("SELECT pg_advisory_lock(hashtext('airflowops clean'))"))
        # Celery's own rule, `result_expires`. Only Celery's beat would follow it, which Airflow does not run.
        app.backend.cleanup()
        if days:
            before = datetime.now(timezone.utc) - timedelta(days=days)
            run(
                [
                    "db", "clean", "--clean-before-timestamp", before.isoformat(), "--yes", "--skip-archive",
                    "--batch-size", str(CLEAN_BATCH), "--error-on-cleanup-failure",
                ]
            )  # fmt: skip


def queues() -> dict[str, list[str]]:
    """Which tasks (DAG.task) of the DAGs in use go to which queue."""
    from airflow.models.dag import DagModel
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session

    used: dict[str, list[str]] = {}
    with create_session() as session:
        there = sorted(dag_id for (dag_id,) in session.query(DagModel.dag_id).where(~DagModel.is_stale))
        for dag_id in there:
            try:
                tasks = SerializedDagModel.get(dag_id, session=session).dag.tasks
            except Exception as error:
                # Of what it was made with something is gone since: its file has an error, which names it.
                print(f"{dag_id} cannot be read from the metastore: {error}", file=sys.stderr)
                continue
            for task in tasks:
                used.setdefault(task.queue, []).append(f"{dag_id}.{task.task_id}")
    return used


if __name__ == "__main__":
    if sys.argv[1:] == ["export"]:
        kinds = {kind: exported(kind) for kind in ("connections", "variables")}
        print(json.dumps(kinds))
    elif sys.argv[1:] == ["dags"]:
        # By default a DAG that was written within 30 s is not written again.
        os.environ["AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL"] = "0"
        unread = read_bundles()
        print(json.dumps({"errors": import_errors(), "bundles": unread, "queues": queues()}))
    elif sys.argv[1:2] == ["clean"]:
        clean(int(sys.argv[2]))
    elif sys.argv[1:] == ["imports"]:
        print(json.dumps(new_import_errors()))
    else:
        for words in [command(step) for step in sys.argv[1:]]:
            run(words)
