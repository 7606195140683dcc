# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of one DAG: found, triggered once, waited for."""

from __future__ import annotations

import time
import uuid
from datetime import datetime, timezone
from typing import Any, Callable, NoReturn

from ansible_collections.airflowops.cluster.plugins.module_utils.airflow.api import (
    AirflowApi,
    AirflowApiError,
    StatusError,
    TransientError,
    parse_time,
    segment,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.airflow.dag_run_report import (
    FINISHED_RUN,
    describe_failure,
    describe_import_errors,
    describe_unfinished,
    seconds_between,
    summarize_tasks,
)


class DagRunError(Exception):
    """The run did not succeed, or could not be begun. `result` is what is known of it."""

    def __init__(self, message: str, result: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.result = result or {}


class DagRun:
    """One run of one DAG, from finding the DAG to the end of its tasks."""

    def __init__(
        self,
        api: AirflowApi,
        params: dict[str, Any],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.api = api
        self.params = params
        self.clock = clock
        self.sleep = sleep
        self.dag_id = params["dag_id"]
        self.dag_path = f"dags/{segment(self.dag_id)}"
        self.run_id = params["run_id"] or "ansible__{}_{}".format(
            datetime.now(timezone.utc).isoformat(timespec="seconds"), uuid.uuid4().hex[:8]
        )
        self.run_path = f"{self.dag_path}/dagRuns/{segment(self.run_id)}"

    def check(self) -> dict[str, Any]:
        """What check mode returns. A server that does not answer is an error there as well."""
        dag = self.api.find(self.dag_path)
        known = dag is not None and not dag["is_stale"]
        run = self.api.find(self.run_path) if known and self.params["run_id"] else None
        return {
            "changed": run is None or bool(self.params["unpause"] and dag and dag["is_paused"]),
            "dag_exists": known,
            "run_id": self.params["run_id"],
            "state": run["state"] if run else None,
            "duration": seconds_between(run["start_date"], run["end_date"]) if run else None,
            "tasks": [],
        }

    def run(self) -> dict[str, Any]:
        dag = self.await_dag(self.clock() + self.params["dag_timeout"])
        deadline = self.clock() + self.params["timeout"]
        unpaused = False
        if dag["is_paused"]:
            unpaused = self.unpause(deadline)
        run, triggered = self.trigger(deadline)
        changed = triggered or unpaused
        if self.params["wait"]:
            run = self.await_end(run, changed, deadline)
        tasks = self.tasks(deadline) if self.params["wait"] else []
        result = self.result(run, tasks, changed)
        if self.params["wait"] and run["state"] == "failed":
            raise DagRunError(describe_failure(self.api.url, self.dag_id, self.run_id, tasks), result)
        return result

    def await_dag(self, deadline: float) -> dict[str, Any]:
        """The DAG as the server knows it: parsed, in use, and without an import error."""
        while True:
            dag = self.patiently(lambda: self.api.find(self.dag_path), deadline)
            if dag is not None and not dag["is_stale"] and not dag["has_import_errors"]:
                return dag
            remaining = deadline - self.clock()
            if remaining <= 0:
                raise DagRunError(self.why_no_dag(dag))
            self.sleep(min(self.params["poll_interval"], remaining))

    def why_no_dag(self, dag: dict[str, Any] | None) -> str:
        """A DAG that was never parsed has no file to ask for, so then every import error is reported."""
        try:
            errors = self.api.get_all("importErrors", "import_errors", order_by="id")
        except AirflowApiError as error:
            errors, reported = [], f" (import errors could not be read: {error})"
        else:
            reported = ""
        waited = f"after {self.params['dag_timeout']:g} s"
        if dag is not None and dag["has_import_errors"] and not dag["is_stale"]:
            of_file = [
                error
                for error in errors
                if error["filename"] == dag["relative_fileloc"] and error["bundle_name"] == dag["bundle_name"]
            ]
            detail = describe_import_errors(of_file) or f"{dag['relative_fileloc']}{reported}"
            return f"DAG {self.dag_id} still has an import error {waited}: {detail}"
        text = f"DAG {self.dag_id} is not known to {self.api.url} {waited}"
        if errors:
            return f"{text}. Files with import errors: {describe_import_errors(errors)}"
        return (
            f"{text}, and no file has an import error{reported}: "
            f"is it deployed, and is the dag-processor running?"
        )

    def unpause(self, deadline: float) -> bool:
        if not self.params["unpause"]:
            if self.params["wait"]:
                raise DagRunError(f"DAG {self.dag_id} is paused, so its run would never end: see unpause")
            return False
        self.patiently(
            lambda: self.api.patch(self.dag_path, {"is_paused": False}, update_mask="is_paused"), deadline
        )
        return True

    def trigger(self, deadline: float) -> tuple[dict[str, Any], bool]:
        """The run, and whether it is ours. Repeated without harm: the identifier is the same each time."""
        if self.params["run_id"]:
            run = self.patiently(lambda: self.api.find(self.run_path), deadline)
            if run is not None:
                return run, False
        body = {
            "dag_run_id": self.run_id,
            "logical_date": self.params["logical_date"],
            "conf": self.params["conf"],
        }
        attempts: list[None] = []

        def send() -> dict[str, Any]:
            attempts.append(None)
            return self.api.post(f"{self.dag_path}/dagRuns", body)

        try:
            return self.patiently(send, deadline), True
        except TransientError as error:
            # No answer is not a no: the run may be there, and a call with its run_id finds it.
            raise DagRunError(
                f"run {self.run_id} of DAG {self.dag_id} could not be triggered within "
                f"{self.params['timeout']:g} s, or the answer was lost: {error}",
                {
                    "changed": True,
                    "dag_exists": True,
                    "run_id": self.run_id,
                    "state": None,
                    "duration": None,
                    "tasks": [],
                },
            ) from None
        except StatusError as error:
            if error.status != 409:
                raise
            run = self.patiently(lambda: self.api.find(self.run_path), deadline)
            if run is None:  # then it is the logical date that is taken
                raise DagRunError(
                    f"DAG {self.dag_id} already has a run for logical_date {self.params['logical_date']}, "
                    f"under another run_id"
                ) from None
            # An earlier attempt of ours, whose answer was lost, or somebody else who was quicker.
            return run, len(attempts) > 1

    def await_end(self, run: dict[str, Any], changed: bool, deadline: float) -> dict[str, Any]:
        while run["state"] not in FINISHED_RUN:
            remaining = deadline - self.clock()
            if remaining <= 0:
                self.time_is_over(run, changed)
            self.sleep(min(self.params["poll_interval"], max(0.0, remaining)))
            try:
                run = self.patiently(lambda: self.api.get(self.run_path), deadline)
            except TransientError as error:
                self.time_is_over(run, changed, error)
        return run

    def time_is_over(
        self, run: dict[str, Any], changed: bool, error: TransientError | None = None
    ) -> NoReturn:
        try:
            if error is not None:
                raise error
            tasks = self.tasks(self.clock())
            message = describe_unfinished(self.dag_id, run, tasks, self.params["timeout"])
        except TransientError as trouble:
            tasks = []
            message = (
                f"run {self.run_id} of DAG {self.dag_id} was {run['state']} when last seen; "
                f"after {self.params['timeout']:g} s: {trouble}"
            )
        raise DagRunError(message, self.result(run, tasks, changed))

    def tasks(self, deadline: float) -> list[dict[str, Any]]:
        return summarize_tasks(
            self.patiently(
                lambda: self.api.get_all(f"{self.run_path}/taskInstances", "task_instances", order_by="id"),
                deadline,
            )
        )

    def result(self, run: dict[str, Any], tasks: list[dict[str, Any]], changed: bool) -> dict[str, Any]:
        return {
            "changed": changed,
            "dag_exists": True,
            "run_id": self.run_id,
            "state": run["state"],
            "duration": seconds_between(run["start_date"], run["end_date"]),
            "tasks": tasks,
        }

    def patiently(self, call: Callable[[], Any], deadline: float) -> Any:
        return self.api.patiently(call, deadline, self.clock, self.sleep)


def check_params(params: dict[str, Any]) -> None:
    """Says what is wrong with the options before anything is sent."""
    for name in ("timeout", "poll_interval"):
        if params[name] <= 0:
            raise DagRunError(f"{name} must be more than 0 seconds")
    if params["dag_timeout"] < 0:
        raise DagRunError("dag_timeout must be 0 seconds or more")
    if params["logical_date"]:
        try:
            moment = parse_time(params["logical_date"])
            aware = moment is not None and moment.tzinfo is not None
        except ValueError:
            aware = False
        if not aware:
            raise DagRunError(
                f"logical_date {params['logical_date']!r} must be ISO 8601 with a time zone, "
                f"as 2026-03-01T00:00:00+00:00"
            )
