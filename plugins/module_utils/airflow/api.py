# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small client of Airflow's public REST API v2, and what its answers about DAG runs mean.

Errors are typed by what the caller can do about them: TransientError may pass by itself, the others will not.
"""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from http.client import HTTPException
from typing import Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit

from ansible.module_utils.urls import ConnectionError as UrlsConnectionError
from ansible.module_utils.urls import open_url

# A first login on a cold api-server takes seconds; one that takes longer than this is not going to answer.
REQUEST_TIMEOUT = 15.0
# The server's own limit ([api] maximum_page_limit) by default; with a lower one it sends shorter pages.
PAGE_SIZE = 100
RETRY_INTERVAL = 1.0


T = TypeVar("T")


class AirflowApiError(Exception):
    """The API did not do what was asked. The text holds no password."""


class TransientError(AirflowApiError):
    """No answer, or one of a server in trouble: the same request may succeed later."""


class AuthenticationError(AirflowApiError):
    """The user name or the password is wrong."""


class StatusError(AirflowApiError):
    """The API answered with an error status that will not change by itself."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def argument_spec() -> dict[str, dict[str, Any]]:
    """The options of the doc fragment `airflow_api`."""
    return {
        "url": {"type": "str", "required": True},
        "username": {"type": "str", "required": True},
        "password": {"type": "str", "required": True, "no_log": True},
        "validate_certs": {"type": "bool", "default": True},
        "ca_path": {"type": "path"},
        "use_proxy": {"type": "bool", "default": True},
    }


class AirflowApi:
    """Speaks to one Airflow. Logs in by itself, and again when its token is no longer accepted."""

    def __init__(
        self,
        url: str,
        username: str,
        password: str,
        validate_certs: bool = True,
        ca_path: str | None = None,
        use_proxy: bool = True,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise AirflowApiError("url must be of the form http://host:port or https://host/prefix")
        if "@" in parts.netloc:
            raise AirflowApiError("url must not hold a user name or a password: use username and password")
        self.url = url.rstrip("/")
        self.timeout = REQUEST_TIMEOUT
        self._username = username
        self._password = password
        self._transport = {"validate_certs": validate_certs, "ca_path": ca_path, "use_proxy": use_proxy}
        self._token: str | None = None

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> AirflowApi:
        """From the parameters of a module that has `argument_spec()`."""
        return cls(**{name: params[name] for name in argument_spec()})

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        return self._call("GET", path, query=query)

    def find(self, path: str, **query: Any) -> dict[str, Any] | None:
        """Like get, but None for what does not exist."""
        try:
            return self.get(path, **query)
        except StatusError as error:
            if error.status == 404:
                return None
            raise

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._call("POST", path, body=body)

    def patch(self, path: str, body: Mapping[str, Any], **query: Any) -> dict[str, Any]:
        return self._call("PATCH", path, body=body, query=query)

    def delete(self, path: str) -> None:
        self._call("DELETE", path)

    def log_in(self) -> None:
        """Fails with AuthenticationError where the name or the password is not right."""
        self._token = self._log_in()

    def get_all(self, path: str, key: str, **query: Any) -> list[dict[str, Any]]:
        """All entries of a paged collection, in the order of `order_by`, which must be unique."""
        entries: list[dict[str, Any]] = []
        while True:
            page = self.get(path, limit=PAGE_SIZE, offset=len(entries), **query)
            entries += page[key]
            if not page[key] or len(entries) >= page["total_entries"]:
                return entries

    def patiently(
        self,
        call: Callable[[], T],
        deadline: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> T:
        """Repeats `call` while its error is transient and the deadline, a value of `clock`, is ahead."""
        while True:
            # A server that hangs must not hold us far beyond the deadline.
            self.timeout = min(REQUEST_TIMEOUT, max(1.0, deadline - clock()))
            try:
                return call()
            except TransientError:
                remaining = deadline - clock()
                if remaining <= 0:
                    raise
                sleep(min(RETRY_INTERVAL, remaining))
            finally:
                self.timeout = REQUEST_TIMEOUT

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        # What begins with a slash is not of the public API: the auth manager has one of its own.
        base = f"{self.url}{path}" if path.startswith("/") else f"{self.url}/api/v2/{path}"
        url = base + (f"?{urlencode(query, doseq=True)}" if query else "")
        fresh = self._token is None
        while True:
            if self._token is None:
                self._token = self._log_in()
            try:
                return self._send(method, url, body, self._token)
            except StatusError as error:
                # 403 is for a signature that is not that of the API server.
                if error.status != 401 and not (error.status == 403 and "Invalid JWT token" in str(error)):
                    raise
                self._token = None
                if fresh:
                    # Seen while secrets are rotated, and for ever when api-servers behind one address differ.
                    raise TransientError(
                        f"{self.url} refuses the token that it has just given out. If this lasts: all "
                        f"api-servers need the same [api_auth] jwt_secret, and clocks that agree"
                    ) from None
                fresh = True  # the old token has expired, or its secret was rotated

    def _log_in(self) -> str:
        try:
            answer = self._send(
                "POST",
                f"{self.url}/auth/token",
                {"username": self._username, "password": self._password},
                None,
            )
            return str(answer["access_token"])
        except KeyError:
            raise AirflowApiError(
                f"{self.url}/auth/token did not answer like Airflow 3: is the url right?"
            ) from None
        except StatusError as error:
            if error.status == 401:
                raise AuthenticationError(
                    f"the Airflow API at {self.url} refuses the user name or the password "
                    f"(user {self._username})"
                ) from None
            if error.status in (404, 405):
                raise StatusError(
                    f"there is no Airflow 3 API at {self.url} (/auth/token: {error.status}). "
                    f"Is the path prefix of [api] base_url missing?",
                    error.status,
                ) from None
            raise

    def _send(
        self, method: str, url: str, body: Mapping[str, Any] | None, token: str | None
    ) -> dict[str, Any]:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        what = f"{method} {url.split('?')[0]}"
        try:
            with open_url(
                url,
                method=method,
                data=None if body is None else json.dumps(body),
                headers=headers,
                timeout=self.timeout,
                follow_redirects="none",
                use_netrc=False,  # it would replace our token
                **self._transport,
            ) as response:
                text = response.read()
        except HTTPError as error:
            raise self._status_error(what, error) from None
        except (URLError, HTTPException, OSError, UrlsConnectionError) as error:
            raise self._connection_error(error) from None
        try:
            # A removed role is answered with null.
            answer = (json.loads(text) if text else None) or {}
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise AirflowApiError(
                f"{what} did not answer with a JSON object: is {self.url} Airflow's base URL?"
            )
        return answer

    def _status_error(self, what: str, error: HTTPError) -> AirflowApiError:
        if 300 <= error.code < 400:
            return AirflowApiError(
                f"{what} redirects to {error.headers.get('Location')}: give the url to which it leads"
            )
        try:
            text = error.read()
        except (OSError, HTTPException):
            text = b""
        message = self._scrub(f"{what} answered {error.code}: {_detail(text) or error.reason}")
        if error.code >= 500 or error.code in (408, 429):
            return TransientError(message)
        return StatusError(message, error.code)

    def _connection_error(self, error: Exception) -> AirflowApiError:
        reason = getattr(error, "reason", None) or error
        message = self._scrub(f"cannot reach the Airflow API at {self.url}: {reason}")
        if isinstance(reason, ssl.SSLCertVerificationError):
            return AirflowApiError(f"{message}. See ca_path")
        if isinstance(reason, socket.gaierror) and reason.errno == socket.EAI_NONAME:
            return AirflowApiError(message)
        # Wrong files for TLS, and the like.
        if isinstance(error, (UrlsConnectionError, FileNotFoundError, PermissionError)):
            return AirflowApiError(message)
        return TransientError(message)

    def _scrub(self, text: str) -> str:
        return text.replace(self._password, "********") if self._password else text


def _detail(text: bytes) -> str:
    """What an error answer says.

    FastAPI's validation errors repeat the input, which may be a secret: it is left out.
    """
    try:
        detail = json.loads(text)["detail"]
    except (KeyError, TypeError, ValueError):
        return ""
    if isinstance(detail, list):
        return "; ".join(
            f"{'.'.join(str(part) for part in entry.get('loc', ()))}: {entry.get('msg')}"
            for entry in detail
            if isinstance(entry, dict)
        )
    if isinstance(detail, dict):
        return str(detail.get("message") or detail.get("reason") or detail.get("statement") or sorted(detail))
    return str(detail)


def segment(value: str) -> str:
    """A value as one segment of a path: a run id may hold a plus sign or a slash."""
    return quote(value, safe="")


def parse_time(value: str | None) -> datetime | None:
    """ISO 8601 as the API writes it. Python before 3.11 does not read the Z."""
    return datetime.fromisoformat(value.replace("Z", "+00:00")) if value else None
