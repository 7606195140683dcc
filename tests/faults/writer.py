# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on hosts of the lab, whose one kernel gives one order to what happens on all of them.

python writer.py write FILE PER_SECOND   writes rows as Airflow does, through the host's HAProxy; a line
                                         `a ID TIME` to FILE for each that was confirmed
python writer.py watch FILE NAME         asks the host's own PostgreSQL whether it takes writes; a line
                                         `1 NAME TIME` or `0 NAME TIME` to FILE each time, 0 also when down
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import psycopg2

WATCH_SECONDS = 0.1


def note(file: Path, kind: str, name: str) -> None:
    with file.open("a") as lines:
        lines.write(f"{kind} {name} {time.monotonic():.4f}\n")


def write(file: Path, per_second: float) -> None:
    url = Path(os.environ["CREDENTIALS_DIRECTORY"], "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN").read_text()
    url = url.replace("+psycopg2", "")
    connection = None
    number = 0
    while True:
        number += 1
        name = f"{os.getpid()}-{number}"
        try:
            if connection is None:
                connection = psycopg2.connect(url, connect_timeout=2)
                connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO faults_written (id) VALUES (%s)", (name,))
        except psycopg2.Error as error:
            # Not confirmed: it may be there or not, and counts for nothing.
            print(f"{name}: {error}", file=sys.stderr, flush=True)
            connection = None
            time.sleep(0.05)
        else:
            note(file, "a", name)
            time.sleep(1 / per_second)


def watch(file: Path, name: str) -> None:
    connection = None
    while True:
        takes_writes = False
        try:
            if connection is None:
                connection = psycopg2.connect(dbname="postgres", user="postgres", connect_timeout=2)
                connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT NOT pg_is_in_recovery()")
                takes_writes = cursor.fetchone()[0]
        except psycopg2.Error:
            connection = None
        note(file, "1" if takes_writes else "0", name)
        time.sleep(WATCH_SECONDS)


if __name__ == "__main__":
    what, target, argument = sys.argv[1:]
    if what == "write":
        write(Path(target), float(argument))
    else:
        watch(Path(target), argument)
