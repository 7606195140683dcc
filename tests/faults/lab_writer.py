# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The flow of rows into the metastore: a writer on each master, a watch on each host of the metastore."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import results
from lab import Lab, credential, wait_until
from lab_flow import each
from results import Records, Round

HERE = Path(__file__).parent
FOLDER = "/var/lib/airflow/written"
WATCH_FOLDER = "/var/lib/postgresql/written"
WRITER, WATCH = "faults-writer", "faults-watch"
PER_SECOND = 20
TABLE = "faults_written"


class Writer:
    unit = "row"
    note = f"{PER_SECOND} rows a second, each committed alone, through the HAProxy of each master"

    def __init__(self, lab: Lab, hosts: list[str]) -> None:
        self.lab = lab
        self.writers = lab.group("airflow_master")
        self.hosts = hosts

    def primary_sql(self, statement: str) -> list[str]:
        """On whichever host is primary."""
        for host in self.hosts:
            asked = self.lab.host(host).run("sudo -u postgres psql -At -c 'SELECT pg_is_in_recovery()'")
            if asked.stdout.strip() == "f":
                return (
                    self.lab.host(host)
                    .check_output(f'sudo -u postgres psql -At -d airflow -c "{statement}"')
                    .split()
                )
        raise RuntimeError("nobody is primary")

    def install(self) -> None:
        source = (HERE / "writer.py").read_text()
        for hosts, folder, owner in (
            (self.writers, FOLDER, "airflow"),
            (self.hosts, WATCH_FOLDER, "postgres"),
        ):
            each(
                lambda host, folder=folder, owner=owner: self.lab.host(host).run_expect(
                    [0],
                    f"install -d -o {owner} -g {owner} {folder}; "
                    f"cat > {folder}/writer.py <<'END'\n{source}\nEND",
                ),
                hosts,
            )
        user = "airflow"
        self.primary_sql(f"CREATE TABLE IF NOT EXISTS {TABLE} (id text); ALTER TABLE {TABLE} OWNER TO {user}")

    def start_workers(self) -> None:
        """Restarted with their hosts: a watch that is missing would see no second primary."""
        each(self.start_watch, self.hosts)

    def start_watch(self, host: str) -> None:
        self.lab.host(host).run_expect(
            [0],
            f"systemctl is-active -q {WATCH} || systemd-run --collect --unit={WATCH} --uid=postgres "
            f"--property=Restart=always python3 {WATCH_FOLDER}/writer.py watch {WATCH_FOLDER}/watched {host}",
        )

    def begin(self) -> None:
        self.start_workers()
        each(lambda host: self.lab.host(host).run_expect([0], f"rm -f {WATCH_FOLDER}/watched"), self.hosts)
        each(lambda host: self.lab.host(host).run_expect([0], f"rm -f {FOLDER}/written"), self.writers)
        self.primary_sql(f"TRUNCATE {TABLE}")
        rate = PER_SECOND / len(self.writers)
        each(
            lambda host: self.lab.host(host).run_expect(
                [0],
                f"systemd-run --collect --unit={WRITER} --uid=airflow "
                f"{credential('AIRFLOW__DATABASE__SQL_ALCHEMY_CONN')} "
                f"/opt/airflow/current/bin/python {FOLDER}/writer.py write {FOLDER}/written {rate}",
            ),
            self.writers,
        )

    def end(self) -> None:
        each(lambda host: self.lab.host(host).run(f"systemctl stop {WRITER}"), self.writers)

    def stop(self) -> None:
        self.end()
        each(lambda host: self.lab.host(host).run(f"systemctl stop {WATCH}"), self.hosts)

    def accepted(self) -> dict[str, float]:
        lines = each(
            lambda host: self.lab.host(host).run(f"cat {FOLDER}/written").stdout.splitlines(), self.writers
        )
        return Records.of(line for some in lines for line in some).accepted

    def flowing(self, since: float, seconds: float = 3.0, timeout: float = 180.0) -> None:
        def steady() -> bool:
            now = time.monotonic()
            recent = {int(now - moment) for moment in self.accepted().values() if 0 <= now - moment < seconds}
            return now - since >= seconds and len(recent) >= seconds

        wait_until("rows are written steadily", steady, timeout=timeout)

    def drained(self, timeout: float) -> Records:  # noqa: ARG002 - a row is there or it is lost
        records = Records(accepted=self.accepted())
        for name in self.primary_sql(f"SELECT id FROM {TABLE}"):
            moment = records.accepted.get(name)
            if moment is not None:
                records.begun[name].append(moment)
                records.ended[name].append(moment)
        return records

    def count(self, records: Records, fault_at: float, dag_tasks: int, dag_failed: int) -> Round:
        seen = each(
            lambda host: self.lab.host(host).run(f"cat {WATCH_FOLDER}/watched").stdout.splitlines(),
            self.hosts,
        )
        done = results.count(records, fault_at, dag_tasks, dag_failed)
        return dataclasses.replace(
            done, overlapping=results.at_once([line for some in seen for line in some])
        )
