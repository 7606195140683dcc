# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client of Airflow's API: logins, errors, pages, patience."""

from __future__ import annotations

import socket
import ssl
from urllib.error import URLError

import pytest
import yaml
from airflow_api_server import PASSWORD, Clock, api, server, status
from ansible_collections.airflowops.cluster.plugins.doc_fragments.airflow_api import ModuleDocFragment
from ansible_collections.airflowops.cluster.plugins.module_utils.airflow import api as aa

__all__ = ["api", "server"]


def test_it_logs_in_once_and_bounds_each_request(server, api):
    server.on("GET", "/api/v2/x", {"a": 1})
    assert api.get("x", limit=2) == {"a": 1}
    assert api.get("x") == {"a": 1}
    login, first, _second = server.requests
    assert (login["path"], login["body"]) == ("/auth/token", {"username": "admin", "password": PASSWORD})
    assert first["query"] == {"limit": ["2"]}
    assert first["headers"]["Authorization"] == "Bearer t"
    for request in server.requests:
        assert 0 < request["timeout"] <= aa.REQUEST_TIMEOUT
        assert request["validate_certs"] is True
        assert request["follow_redirects"] == "none"
        assert request["use_netrc"] is False


def test_an_expired_token_is_replaced(server, api):
    server.on("GET", "/api/v2/x", {"a": 1}, status(401, "expired"), {"a": 2})
    assert [api.get("x"), api.get("x")] == [{"a": 1}, {"a": 2}]


def test_a_token_of_a_secret_that_was_rotated_is_replaced(server, api):
    server.on("GET", "/api/v2/x", {"a": 1}, status(403, "Invalid JWT token"), {"a": 2})
    assert [api.get("x"), api.get("x")] == [{"a": 1}, {"a": 2}]


def test_a_fresh_token_that_is_refused_tells_of_the_shared_secret(server, api):
    server.on("GET", "/api/v2/x", status(401, "no"))
    with pytest.raises(aa.TransientError, match="jwt_secret"):
        api.get("x")
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("code", "kind", "text"),
    [
        (401, aa.AuthenticationError, r"refuses the user name or the password \(user admin\)"),
        (404, aa.StatusError, "no Airflow 3 API at .* path prefix"),
        (500, aa.TransientError, "answered 500"),
        (422, aa.StatusError, "answered 422"),
    ],
)
def test_login_errors(server, api, code, kind, text):
    server.on("POST", "/auth/token", status(code, "because"))
    with pytest.raises(kind, match=text) as error:
        api.get("x")
    assert PASSWORD not in str(error.value)


def test_an_error_never_repeats_the_input(server, api):
    detail = [{"loc": ["body", "password"], "msg": f"bad {PASSWORD}", "input": {"password": PASSWORD}}]
    server.on("POST", "/auth/token", status(422, detail))
    with pytest.raises(aa.StatusError, match=r"body\.password: bad \*+$") as error:
        api.get("x")
    assert PASSWORD not in str(error.value)


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504, 408])
def test_transient_statuses(server, api, code):
    server.on("GET", "/api/v2/x", status(code))
    with pytest.raises(aa.TransientError, match=str(code)):
        api.get("x")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (URLError(ConnectionRefusedError(111, "Connection refused")), aa.TransientError),
        (URLError(socket.gaierror(socket.EAI_AGAIN, "again")), aa.TransientError),
        (URLError(socket.gaierror(socket.EAI_NONAME, "unknown")), aa.AirflowApiError),
        (URLError(ssl.SSLCertVerificationError("self-signed")), aa.AirflowApiError),
        (socket.timeout("timed out"), aa.TransientError),
        (ConnectionResetError("reset"), aa.TransientError),
        (FileNotFoundError("no ca"), aa.AirflowApiError),
    ],
)
def test_connection_errors(server, api, error, kind):
    server.on("GET", "/api/v2/x", error)
    with pytest.raises(aa.AirflowApiError, match=r"cannot reach the Airflow API at https://af") as raised:
        api.get("x")
    assert type(raised.value) is kind


def test_a_redirect_is_told_not_followed(server, api):
    server.on("POST", "/auth/token", status(301, headers=[("Location", "https://other/auth/token")]))
    with pytest.raises(aa.AirflowApiError, match="redirects to https://other/auth/token"):
        api.get("x")


@pytest.mark.parametrize("answer", [b"<html>hello</html>", b"[1]"])
def test_an_answer_that_is_not_airflows(server, api, answer):
    server.on("GET", "/api/v2/x", answer)
    with pytest.raises(aa.AirflowApiError, match="JSON object"):
        api.get("x")


def test_a_login_that_is_not_airflows(server, api):
    server.on("POST", "/auth/token", {"hello": 1})
    with pytest.raises(aa.AirflowApiError, match="did not answer like Airflow 3"):
        api.get("x")


@pytest.mark.parametrize("url", ["af.example.com", "ftp://h", "https://", "http://u:p@h"])
def test_a_url_of_the_wrong_form(url):
    with pytest.raises(aa.AirflowApiError, match="url must"):
        aa.AirflowApi(url, "admin", PASSWORD)


def test_find_knows_what_does_not_exist(server, api):
    server.on("GET", "/api/v2/x", status(404, "none"))
    assert api.find("x") is None
    server.on("GET", "/api/v2/x", status(403, "forbidden"))
    with pytest.raises(aa.StatusError, match="403: forbidden"):
        api.find("x")


@pytest.mark.parametrize("page", [100, 7])
def test_get_all_reads_pages_of_whatever_size_the_server_allows(server, api, page):
    def answer():
        offset = int(server.requests[-1]["query"]["offset"][0])
        return {"things": list(range(250))[offset : offset + page], "total_entries": 250}

    server.on("GET", "/api/v2/things", answer)
    assert api.get_all("things", "things", order_by="id") == list(range(250))
    assert server.requests[-1]["query"]["order_by"] == ["id"]


def test_get_all_ends_when_entries_vanish_meanwhile(server, api):
    server.on(
        "GET", "/api/v2/things", {"things": [1], "total_entries": 3}, {"things": [], "total_entries": 3}
    )
    assert api.get_all("things", "things") == [1]


def test_patiently_repeats_until_the_deadline(server, api):
    clock = Clock()
    server.on("GET", "/api/v2/x", status(503), URLError("refused"), {"a": 1})
    assert api.patiently(lambda: api.get("x"), 10, clock, clock.sleep) == {"a": 1}
    server.on("GET", "/api/v2/x", status(503))
    with pytest.raises(aa.TransientError):
        api.patiently(lambda: api.get("x"), 10, clock, clock.sleep)
    assert clock.now == 10
    assert server.requests[-1]["timeout"] == 1.0  # not beyond the deadline
    assert api.timeout == aa.REQUEST_TIMEOUT


def test_the_fragment_documents_the_arguments():
    documented = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
    spec = aa.argument_spec()
    assert list(documented) == list(spec)
    for name, option in spec.items():
        assert documented[name]["type"] == option["type"]
        assert documented[name].get("required") == option.get("required")
        assert documented[name].get("default") == option.get("default")
