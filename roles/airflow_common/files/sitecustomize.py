# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Python runs this at the start of each of Airflow's processes, tasks included.

By default Python looks for garbage in cycles after every 700 objects that it keeps. Airflow makes hundreds of
thousands while it starts, and they are no garbage: of the CPU time of an API server's start those looks took
23 % (9.8 s to 7.5 s), of the other services' 20 %. With the numbers below memory grew by 2 % at most. It is
the patch `garbage-collection` of docs/runtime.md.

The variables of airflow_environment may be secrets, as are the connections of airflow_dag_bundles: systemd
opens their files in memory, for one service. They are put into the environment once: a program that a task
starts finds there what the task has made of it. What a worker's own `environment` in airflow_workers names is
left as it is (AIRFLOWOPS_WORKER_ENV_NAMES). The class of a secrets backend comes in the same way, so that
those alone know it who have its arguments; these Airflow reads itself.

Where any of these names a proxy, no_proxy names the cluster's own hosts (airflowops_runtime.proxy).
"""

import gc
import json
import os
import sys
from contextlib import suppress
from pathlib import Path

if last := os.environ.get("AIRFLOWOPS_APPEND_SYSPATH"):
    sys.path.append(last)

credentials = os.environ.get("CREDENTIALS_DIRECTORY")
if credentials and "AIRFLOWOPS_ENVIRONMENT_READ" not in os.environ:
    os.environ["AIRFLOWOPS_ENVIRONMENT_READ"] = "1"
    environment = Path(credentials, "AIRFLOWOPS_ENVIRONMENT")
    if environment.is_file():
        own = os.environ.get("AIRFLOWOPS_WORKER_ENV_NAMES", "").split()
        given = json.loads(environment.read_text(encoding="utf-8"))
        os.environ.update({name: value for name, value in given.items() if name not in own})
    for name in ("AIRFLOW__SECRETS__BACKEND", "AIRFLOW__WORKERS__SECRETS_BACKEND"):
        if (backend := Path(credentials, name)).is_file():
            os.environ[name] = backend.read_text(encoding="utf-8")
    for connection in Path(credentials).glob("AIRFLOW_CONN_*"):
        # The folder's place is another one for each unit.
        os.environ[connection.name] = connection.read_text(encoding="utf-8").replace(
            "${CREDENTIALS_DIRECTORY}", credentials
        )

off = os.environ.get("AIRFLOWOPS_PATCHES_OFF", "").replace(",", " ").split()
if not {"garbage-collection", "speed"}.intersection(off):
    gc.set_threshold(50_000, 20, 100)

if any(name.lower().endswith("_proxy") for name in os.environ):
    # While a run replaces these files, it may not be there yet.
    with suppress(ImportError):
        from airflowops_runtime import proxy

        proxy.spare_own_hosts()
