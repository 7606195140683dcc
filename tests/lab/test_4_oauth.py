# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""People log in at a provider of OpenID Connect, in a real browser, with the rights of their groups.

The provider runs on this machine, by HTTPS with a certificate that only the hosts are asked to believe.
"""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import Lab, changed, wait_until
from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.usefixtures("long")

SECRET = "lab-client-7Wk2"
CA_FILE = "/etc/airflowops/lab-provider.crt"
GROUPS = {"ada": ["operators"], "bob": ["readers"]}
PROGRAM = """
import json, sys
import uvicorn
from oidc_provider_mock import User, app
address, port, certificate, key, groups = sys.argv[1:]
users = [
    User(sub=name, claims={"preferred_username": name, "email": f"{name}@lab.example", "groups": found})
    for name, found in json.loads(groups).items()
]
uvicorn.run(
    app(user_claims=users), interface="wsgi", host=address, port=int(port), log_level="warning",
    ssl_certfile=certificate, ssl_keyfile=key,
)
"""


def oauth_config(url: str) -> dict[str, Any]:
    return {
        "AUTH_TYPE": "AUTH_OAUTH",
        "OAUTH_PROVIDERS": [
            {
                "name": "company",
                "icon": "fa-key",
                "token_key": "access_token",
                "remote_app": {
                    "client_id": "airflow",
                    "client_secret": SECRET,
                    "server_metadata_url": f"{url}/.well-known/openid-configuration",
                    "client_kwargs": {"scope": "openid profile email groups"},
                },
            }
        ],
        "AUTH_ROLES_MAPPING": {"operators": ["Admin"], "readers": ["Viewer"]},
        "AUTH_ROLES_SYNC_AT_LOGIN": True,
        "AUTH_USER_REGISTRATION": True,
    }


@pytest.fixture(scope="module")
def config(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    masters = [lab.host(name) for name in lab.group("airflow_master")]
    address = masters[0].check_output("ip route show default").split()[2]
    with socket.socket() as free:
        free.bind((address, 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("provider")
    certificate, key = folder / "provider.crt", folder / "provider.key"
    lab.run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-out", certificate, "-keyout", key, "-days", "2", "-subj", "/CN=provider",
        "-addext", f"subjectAltName=IP:{address}",
    )  # fmt: skip
    for host in masters:
        host.run_expect([0], f"cat > {CA_FILE} <<'END'\n{certificate.read_text()}END")
    command = [sys.executable, "-c", PROGRAM, address, str(port), certificate, key, json.dumps(GROUPS)]
    provider = subprocess.Popen(command, stderr=(folder / "provider.log").open("w"))
    url = f"https://{address}:{port}"
    try:
        wait_until("the provider", lambda: asked(url, certificate), timeout=60)
        config = json.dumps(
            {
                "airflow_auth_config": oauth_config(url),
                "airflow_environment": {"REQUESTS_CA_BUNDLE": CA_FILE},
            }
        )
        lab.playbook("site.yml", "-e", config)
        yield config
    finally:
        provider.terminate()
        provider.wait(10)
        lab.playbook("site.yml")
        for host in masters:
            host.run_expect([0], f"rm {CA_FILE}")


def asked(url: str, certificate: Path) -> bool:
    context = ssl.create_default_context(cafile=str(certificate))
    path = f"{url}/.well-known/openid-configuration"
    return urllib.request.urlopen(path, timeout=5, context=context).status == 200


@pytest.fixture
def page(browser: Browser, lab: Lab) -> Iterator[Page]:
    """Without what others have left in the browser."""
    context = browser.new_context(base_url=lab.url, ignore_https_errors=True)
    yield context.new_page()
    context.close()


def log_in(page: Page, name: str) -> None:
    page.goto("/")
    page.locator("a", has_text="company").click()
    page.get_by_role("button", name=name, exact=True).click()
    page.wait_for_url("**/")


def test_a_second_run_changes_nothing(lab: Lab, config: str) -> None:
    assert changed(lab.playbook("site.yml", "-e", config)) == 0


@pytest.mark.parametrize(("name", "status"), [("bob", 403), ("ada", 201)])
@pytest.mark.usefixtures("config")
def test_people_log_in_with_the_rights_of_their_groups(page: Page, lab: Lab, name: str, status: int) -> None:
    log_in(page, name)
    answer = page.request.post("/api/v2/pools", data={"name": f"of_{name}", "slots": 1})
    assert answer.status == status
    if status == 201:
        lab.airflow.delete(f"pools/of_{name}")


@pytest.mark.usefixtures("config")
def test_the_first_user_is_still_there(lab: Lab) -> None:
    assert lab.airflow.get("version")


@pytest.mark.usefixtures("config")
def test_the_secret_of_the_client_is_on_no_disk(lab: Lab) -> None:
    for host in lab.group("airflow_master"):
        assert lab.host(host).run("grep -rIlF %s /etc /opt /var /tmp", SECRET).stdout == ""
