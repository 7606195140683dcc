# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an API server does before it has processes, and how it fetches logs where there is a proxy.

The execution API makes its versions when it is first asked, for seconds, in each of its processes. Here they
are made before there are processes, and tasks do not wait when one is renewed.
"""

from __future__ import annotations

import gc
from typing import Any
from urllib.parse import urlsplit

from airflowops_runtime.proxy import proxy_named, spare


def make_versions_early() -> None:
    from airflow.api_fastapi.gunicorn_app import AirflowGunicornApp

    load_of_airflow = AirflowGunicornApp.load

    def load(self: Any) -> Any:
        app = load_of_airflow(self)
        for mounted in [getattr(route, "app", None) for route in app.routes]:
            if getattr(mounted, "_cadwyn_initialized", True) is False:
                mounted._cadwyn_initialize()
        # Out of the garbage collector's sight, so that it does not write to what the processes share.
        gc.collect()
        gc.freeze()
        return app

    AirflowGunicornApp.load = load


def spare_log_servers() -> None:
    """Who serves logs of tasks is a host of ours, also one that was added since, or under another name."""
    from airflow.utils.log import file_task_handler

    fetch_of_airflow = file_task_handler._fetch_logs_from_service

    def fetch(url: str, *arguments: Any, **options: Any) -> Any:
        if (host := urlsplit(url).hostname) and proxy_named():
            spare([host])
        return fetch_of_airflow(url, *arguments, **options)

    file_task_handler._fetch_logs_from_service = fetch
