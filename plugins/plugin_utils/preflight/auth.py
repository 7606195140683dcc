# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with `airflow_auth_config`, the settings of Flask AppBuilder. See `preflight`."""

from __future__ import annotations

import re
from typing import Any, Mapping, Sequence

from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import (
    Problems,
    known_hosts,
    listing,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import is_placeholder

# Constants of flask_appbuilder.const, which AUTH_TYPE is one of.
AUTH_TYPES = ("AUTH_DB", "AUTH_LDAP", "AUTH_OAUTH", "AUTH_REMOTE_USER")
NAME = re.compile(r"[A-Z][A-Z0-9_]*")
# https://flask-appbuilder.readthedocs.io/en/latest/security.html
NEEDED = {"AUTH_LDAP": ("AUTH_LDAP_SERVER",), "AUTH_OAUTH": ("OAUTH_PROVIDERS",)}
# What Authlib's client needs besides: where it finds the rest, or where people log in and tokens are fetched.
OAUTH_ADDRESSES = (("server_metadata_url",), ("authorize_url", "access_token_url"))


def oauth_problems(providers: Any) -> list[str]:
    """What is wrong with OAUTH_PROVIDERS, as `auth_problems` reports it."""
    shape = "has OAUTH_PROVIDERS of another shape: write a list of {name: …, remote_app: {…}}, each name once"
    if not isinstance(providers, Sequence) or not all(
        isinstance(one, Mapping) and one.get("name") and isinstance(one.get("remote_app"), Mapping)
        for one in providers
    ):
        return [shape]
    if len({str(one["name"]) for one in providers}) < len(providers):
        return [shape]
    problems = []
    for one in providers:
        name, app = one["name"], one["remote_app"]
        if not app.get("client_id"):
            problems.append(f"has the provider {name} without client_id: add it to its remote_app")
        if not any(all(app.get(address) for address in way) for way in OAUTH_ADDRESSES):
            problems.append(
                f"has the provider {name} without server_metadata_url: add it to its remote_app, the URL "
                "that ends with /.well-known/openid-configuration, or authorize_url and access_token_url"
            )
        if app.get("client_secret") and is_placeholder(str(app["client_secret"])):
            problems.append(f"has a placeholder as client_secret of {name}: take the real one from the vault")
    return problems


def auth_problems(settings: Mapping[str, Any]) -> list[str]:
    """What is wrong with the settings, without their values, each with its fix after a colon."""
    problems = []
    strange = [name for name in settings if not isinstance(name, str) or not NAME.fullmatch(name)]
    if strange:
        problems.append(f"has {listing(strange)}: its settings are written in upper case, as AUTH_TYPE")
    kind = settings.get("AUTH_TYPE")
    if settings and kind not in AUTH_TYPES:
        problems.append(f"has no fit AUTH_TYPE: set one of {', '.join(AUTH_TYPES)}")
    for name in NEEDED.get(str(kind), ()):
        if not settings.get(name):
            problems.append(f"has {kind} and no {name}: add it")
    server = settings.get("AUTH_LDAP_SERVER")
    if kind == "AUTH_LDAP" and server and not str(server).startswith(("ldap://", "ldaps://", "ldapi://")):
        problems.append("has an AUTH_LDAP_SERVER that is no URL: write ldaps://HOST")
    if kind == "AUTH_OAUTH" and settings.get("OAUTH_PROVIDERS"):
        problems += oauth_problems(settings["OAUTH_PROVIDERS"])
    for name, value in settings.items():
        if str(name).endswith("PASSWORD") and isinstance(value, str) and is_placeholder(value):
            problems.append(f"has a placeholder as {name}: take the real one from the vault")
    return problems


def check_auth(cluster: dict[str, Any], problems: Problems) -> None:
    for host in known_hosts(cluster, "airflow_master"):
        settings = cluster["hosts"][host].get("given", {}).get("airflow_auth_config")
        for problem in auth_problems(settings) if isinstance(settings, Mapping) else ():
            what, _, fix = problem.partition(": ")
            problems.add(f"airflow_auth_config {what} on {{hosts}}: {fix}", host)
