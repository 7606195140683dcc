# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users of an LDAP server log in, with the rights of their groups."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from lab import Lab, changed

pytestmark = pytest.mark.usefixtures("long")

BASE = "dc=lab,dc=example"
BIND_PASSWORD = "lab-bind-9xQ4"
PEOPLE = {"ada": "lab-ada-1815", "bob": "lab-bob-2001"}
# The server's own database, and people in two groups.
SETUP = (
    f"""
set -e
export DEBIAN_FRONTEND=noninteractive
echo 'slapd slapd/domain string lab.example
slapd slapd/password1 password {BIND_PASSWORD}
slapd slapd/password2 password {BIND_PASSWORD}' | debconf-set-selections
apt-get install -qq -y slapd ldap-utils >/dev/null
systemctl start slapd
ldapadd -x -D cn=admin,{BASE} -w {BIND_PASSWORD} -H ldap://127.0.0.1 >/dev/null <<X
dn: ou=people,{BASE}
objectClass: organizationalUnit

"""
    + "\n".join(
        f"""dn: uid={name},ou=people,{BASE}
objectClass: inetOrgPerson
uid: {name}
cn: {name}
givenName: {name}
sn: Lab
mail: {name}@lab.example
departmentNumber: {"operators" if name == "ada" else "readers"}
userPassword: {password}
"""
        for name, password in PEOPLE.items()
    )
    + "\nX\n"
)


def ldap_config(server: str) -> dict[str, Any]:
    return {
        "AUTH_TYPE": "AUTH_LDAP",
        "AUTH_LDAP_SERVER": f"ldap://{server}",
        "AUTH_LDAP_SEARCH": f"ou=people,{BASE}",
        "AUTH_LDAP_BIND_USER": f"cn=admin,{BASE}",
        "AUTH_LDAP_BIND_PASSWORD": BIND_PASSWORD,
        "AUTH_LDAP_GROUP_FIELD": "departmentNumber",
        "AUTH_ROLES_MAPPING": {"operators": ["Admin"], "readers": ["Viewer"]},
        "AUTH_ROLES_SYNC_AT_LOGIN": True,
        "AUTH_USER_REGISTRATION": True,
    }


@pytest.fixture(scope="module")
def config(lab: Lab) -> Iterator[str]:
    name = lab.group("flower")[0]
    script = base64.b64encode(SETUP.encode()).decode()
    lab.host(name).check_output("echo %s | base64 -d | sh", script)
    config = {"airflow_auth_config": ldap_config(lab.variables(name)["ansible_host"])}
    yield json.dumps(config)
    lab.host(name).check_output("apt-get purge -qq -y slapd >/dev/null 2>&1; rm -rf /var/lib/ldap")
    lab.playbook("site.yml")


def call(lab: Lab, path: str, body: dict[str, Any], token: str = "") -> tuple[int, dict[str, Any]]:
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(
        f"{lab.url}/{path}", data=json.dumps(body).encode(), headers=headers, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, {}


def token_of(lab: Lab, name: str, password: str) -> tuple[int, str]:
    status, answer = call(lab, "auth/token", {"username": name, "password": password})
    return status, answer.get("access_token", "")


def test_people_log_in_with_the_rights_of_their_groups(lab: Lab, config: str) -> None:
    lab.playbook("site.yml", "-e", config)
    assert changed(lab.playbook("site.yml", "-e", config)) == 0
    assert token_of(lab, "ada", "wrong")[0] == 401
    pool = {"name": "of_ada", "slots": 1}
    status, bob = token_of(lab, "bob", PEOPLE["bob"])
    assert status == 201
    assert call(lab, "api/v2/pools", pool, bob)[0] == 403
    status, ada = token_of(lab, "ada", PEOPLE["ada"])
    assert status == 201
    assert call(lab, "api/v2/pools", pool, ada)[0] == 201
    lab.airflow.delete("pools/of_ada")


@pytest.mark.usefixtures("config")
def test_the_first_user_is_still_there(lab: Lab) -> None:
    assert lab.airflow.get("version")


@pytest.mark.usefixtures("config")
def test_the_password_of_the_server_is_on_no_disk(lab: Lab) -> None:
    for host in lab.group("airflow_master"):
        found = lab.host(host).run("grep -rIlF %s /etc /opt /var /tmp --exclude-dir=debconf", BIND_PASSWORD)
        assert found.stdout == ""
