# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every user can read a unit of systemd: what of the caller's environment goes into it, what is encrypted."""

from __future__ import annotations

import subprocess

import pytest
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.timer import (
    secret_environment,
    unit_environment,
)

SECRETS = {
    "ANSIBLE_HASHI_VAULT_TOKEN": "hvs.only-for-this-test",
    "ANSIBLE_HASHI_VAULT_SECRET_ID": "b",
    "ANSIBLE_GALAXY_SERVER_SITE_TOKEN": "c",
    "ANSIBLE_PRIVATE_KEY_PASSPHRASE": "d",
    "ANSIBLE_BECOME_PASS": "e",
    "ANSIBLE_SSH_ARGS": "-o ProxyCommand='connect -p secret'",
    "ANSIBLE_CACHE_PLUGIN_CONNECTION": "host:6379:0:secret",
    "ANSIBLE_OF_A_COLLECTION_THAT_IS_YET_TO_COME": "f",
}
CLEAR = {
    "ANSIBLE_VAULT_PASSWORD_FILE": "/home/dev/vault password",
    "ANSIBLE_COLLECTIONS_PATH": "/srv/a:/srv/b",
    "ANSIBLE_FILTER_PLUGINS": "/srv/plugins",
    "ANSIBLE_FORKS": "50",
    "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
}
OTHERS = {"HOME": "/home/dev", "AWS_SECRET_ACCESS_KEY": "g", "ANSIBLE_NOCOLOR": "1", "SSH_AUTH_SOCK": "h"}


def test_what_may_be_a_secret_stays_out_of_the_unit() -> None:
    assert unit_environment({**SECRETS, **CLEAR, **OTHERS}) == CLEAR


@pytest.mark.parametrize(
    "value", ["two\nlines\n", 'it\'s "$HOME" `id` \\ %h', "-----BEGIN KEY-----\nabc=\n", ""]
)
def test_a_shell_reads_the_rest_as_it_was(value: str) -> None:
    environ = {**SECRETS, **OTHERS, "ANSIBLE_SITE_KEY": value}
    text = secret_environment(environ)
    script = text + 'printf %s "$ANSIBLE_SITE_KEY"; printf "\\0%s" "$ANSIBLE_SSH_ARGS"; env'
    shown = subprocess.run(
        ["/bin/sh", "-c", script], capture_output=True, text=True, check=True, env={}
    ).stdout
    key, _, rest = shown.partition("\0")
    assert key == value
    assert rest.startswith(SECRETS["ANSIBLE_SSH_ARGS"])
    assert all(f"\n{name}=" not in rest for name in OTHERS)


def test_a_value_of_several_lines_does_not_reach_the_unit() -> None:
    environ = {"ANSIBLE_FORKS": "5\nExecStartPre=/bin/false"}
    assert unit_environment(environ) == {}
    assert "ANSIBLE_FORKS" in secret_environment(environ)


def test_nothing_is_encrypted_where_nothing_may_be_secret() -> None:
    assert secret_environment({**CLEAR, **OTHERS}) == ""
