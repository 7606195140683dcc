# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users whose browsers keep the UI open: pages and what they poll, by HTTPS through the floating address."""

from __future__ import annotations

import http.client
import itertools
import json
import ssl
import threading
import time
from urllib.parse import urlsplit

import results
from lab import Lab, wait_until
from results import Visit

USERS = 6
# Seconds between two requests of a user.
EVERY = 0.5
# As long as a user waits before it is a failure. The waits that count are shorter: see the suite.
PATIENCE = 10.0
# What the list of DAGs and its dashboard ask for, again and again. The POST reads, too.
REQUESTS = [
    ("GET", "/"),
    ("GET", "/ui/config"),
    ("GET", "/ui/dags?limit=50&dag_runs_limit=14"),
    ("GET", "/api/v2/monitor/health"),
    ("GET", "/api/v2/dags/~/dagRuns?limit=10&order_by=-id"),
    ("POST", "/api/v2/dags/~/dagRuns/list"),
]


class Visits:
    note = (
        f"{USERS} users with a connection each, a request every {EVERY:g} s of the UI's and the REST API's, "
        "one in six a POST; what fails on a connection that was idle is asked again on a new one, "
        "as a browser does"
    )

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.seen: list[Visit] = []
        self.ending = threading.Event()
        self.threads: list[threading.Thread] = []

    def install(self) -> None:
        """Nothing: it comes from this machine."""

    def start_workers(self) -> None:
        """Airflow's own."""

    def begin(self) -> None:
        self.seen = []
        self.ending = threading.Event()
        token = self.token()
        self.threads = [threading.Thread(target=self._visit, args=(number, token)) for number in range(USERS)]
        for thread in self.threads:
            thread.start()

    def _connection(self) -> http.client.HTTPSConnection:
        base = urlsplit(self.lab.url)
        context = ssl.create_default_context(cafile=self.lab.ca)
        return http.client.HTTPSConnection(
            base.hostname or "", base.port or 443, timeout=PATIENCE, context=context
        )

    def token(self) -> str:
        connection = self._connection()
        login = json.dumps({"username": "admin", "password": self.lab.secret("admin")})
        connection.request("POST", "/auth/token", login, {"Content-Type": "application/json"})
        answer = json.load(connection.getresponse())
        connection.close()
        return answer["access_token"]

    def _visit(self, user: int, token: str) -> None:
        connection = self._connection()
        used = False
        for method, path in itertools.cycle(REQUESTS[user:] + REQUESTS[:user]):
            begun = time.monotonic()
            problem = ask(connection, method, path, token)
            if problem and used:
                # A browser tries again what failed on a connection that had been good.
                connection.close()
                if problem in ("RemoteDisconnected", "ConnectionResetError", "BrokenPipeError"):
                    problem = ask(connection, method, path, token)
            if problem:
                connection.close()
                print(f"user {user}: {method} {path}: {problem}", flush=True)
            used = not problem
            self.seen.append(Visit(user, begun, time.monotonic(), not problem))
            if self.ending.wait(max(0.0, EVERY - (time.monotonic() - begun))):
                break
        connection.close()

    def end(self) -> None:
        self.ending.set()
        for thread in self.threads:
            thread.join()
        self.threads = []

    stop = end

    def flowing(self, since: float, timeout: float = 60.0) -> None:
        """Until each user was answered some seconds after the moment."""

        def steady() -> bool:
            later = {visit.user for visit in [*self.seen] if visit.answered and visit.begun > since + 3}
            return len(later) == USERS

        wait_until("all users are answered", steady, timeout=timeout)

    def drained(self, timeout: float) -> list[Visit]:  # noqa: ARG002 - as the other flows
        return self.seen

    def count(self, seen: list[Visit], fault_at: float, **_: int) -> results.Round:
        return results.count_visits(seen, fault_at)


def ask(connection: http.client.HTTPSConnection, method: str, path: str, token: str) -> str:
    """What went wrong, in a word; nothing if it was answered."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        connection.request(method, path, "{}" if method == "POST" else None, headers)
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    return "" if answer.status < 400 else f"status {answer.status}"
