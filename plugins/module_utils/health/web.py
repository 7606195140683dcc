# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What services of a host answer by HTTP."""

from __future__ import annotations

import json
import urllib.error
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Mapping

from ansible.module_utils.urls import open_url

# The answer of a service is kept if it is no longer than this.
LONGEST_BODY = 20000


def ask(url: str, timeout: float, **options: Any) -> dict[str, Any]:
    """{status, body}: the body only where it is JSON. Any answer is one, whatever its status."""
    try:
        with open_url(
            url, timeout=timeout, use_proxy=False, follow_redirects="none", use_netrc=False, **options
        ) as response:
            status, text = response.status, response.read(LONGEST_BODY)
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read(LONGEST_BODY)
    except Exception as error:
        reason = getattr(error, "reason", None) or error
        return {"error": str(getattr(reason, "strerror", None) or reason)}
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    return {"status": status, "body": body}


def urls(
    wanted: Mapping[str, str], timeout: float, logins: Mapping[str, Mapping[str, str]] | None = None
) -> dict[str, Any]:
    """logins: {name of a URL: {username, password}} of those that ask for one."""
    if not wanted:
        return {}

    def answer(name: str) -> dict[str, Any]:
        login = (logins or {}).get(name)
        options = (
            {
                "url_username": login["username"],
                "url_password": login["password"],
                "force_basic_auth": True,
            }
            if login
            else {}
        )
        return ask(wanted[name], timeout, **options)

    with ThreadPoolExecutor(len(wanted)) as pool:
        return dict(zip(wanted, pool.map(answer, wanted)))


def tls_of(request: Mapping[str, Any]) -> dict[str, str]:
    return {name: request[name] for name in ("ca_path", "client_cert", "client_key")}
