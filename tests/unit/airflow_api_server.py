# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server of Airflow's API as the tests script it."""

from __future__ import annotations

import io
import json
from email.message import Message
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible_collections.airflowops.cluster.plugins.module_utils.airflow import api as aa

URL = "https://af.example.com/prefix"
PASSWORD = "s3cret"


class Server:
    """Answers in place of open_url. A route is a list of answers, the last of which is repeated."""

    def __init__(self):
        self.routes = {("POST", "/auth/token"): [{"access_token": "t"}]}
        self.requests = []

    def on(self, method, path, *answers):
        self.routes[method, path] = list(answers)

    def sent(self, method):
        return [
            request
            for request in self.requests
            if request["method"] == method and "auth" not in request["path"]
        ]

    def __call__(self, url, method, data, headers, **options):
        parts = urlsplit(url)
        path = parts.path.removeprefix("/prefix")
        self.requests.append(
            {
                "method": method,
                "path": path,
                "query": parse_qs(parts.query),
                "body": json.loads(data) if data else None,
                "headers": headers,
                **options,
            }
        )
        answers = self.routes.get((method, path), [status(404, "no route")])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if callable(answer):
            answer = answer()
        if isinstance(answer, Exception):
            raise answer
        return io.BytesIO(answer if isinstance(answer, bytes) else json.dumps(answer).encode())


def status(code, detail=None, headers=()):
    """A fresh error each time, for its body can be read once."""

    def make():
        message = Message()
        for name, value in headers:
            message[name] = value
        body = json.dumps({"detail": detail}).encode() if detail is not None else b"<html>"
        return HTTPError("u", code, "Reason", message, io.BytesIO(body))

    return make


@pytest.fixture
def server(monkeypatch):
    server = Server()
    monkeypatch.setattr(aa, "open_url", server)
    return server


@pytest.fixture
def api(server):  # noqa: ARG001 - no request may leave this process
    return aa.AirflowApi(URL + "/", "admin", PASSWORD)


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        assert seconds >= 0
        self.now += seconds


# --- What answers mean


def instance(task_id, state="success", map_index=-1, start="2026-03-01T00:00:00Z", **more):
    return {
        "task_id": task_id,
        "map_index": map_index,
        "state": state,
        "queue": "q1",
        "hostname": "w1",
        "try_number": 1,
        "start_date": start,
        "end_date": start and "2026-03-01T00:00:02.500000Z",
        **more,
    }
