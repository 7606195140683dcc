# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prepares a metastore with Airflow's own commands, in one process: importing Airflow takes seconds.

    airflow_setup.py [migrate] [user]

migrate: brings the schema to what this Airflow wants. user: makes the first user, an administrator, unless
there is one of that name; AIRFLOWOPS_USER, AIRFLOWOPS_EMAIL and AIRFLOWOPS_PASSWORD are its name, address and
password, so that no process list shows them.
"""

from __future__ import annotations

import os
import sys

from airflow.__main__ import main as airflow


def command(step: str) -> list[str]:
    if step == "migrate":
        return ["db", "migrate"]
    if step == "user":
        # Airflow's log of commands leaves out what follows --password.
        return [
            "users", "create", "--role", "Admin", "--firstname", "Airflow", "--lastname", "Administrator",
            "--username", os.environ["AIRFLOWOPS_USER"], "--email", os.environ["AIRFLOWOPS_EMAIL"],
            "--password", os.environ["AIRFLOWOPS_PASSWORD"],
        ]  # fmt: skip
    sys.exit(__doc__)


if __name__ == "__main__":
    for words in [command(step) for step in sys.argv[1:]]:
        sys.argv = ["airflow", *words]
        airflow()
