# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What PostgreSQL is sent. Each filter is documented in the YAML file of its name."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

from ansible_collections.airflowops.cluster.plugins.plugin_utils.saslprep import saslprep

# PostgreSQL's own number: https://www.postgresql.org/docs/15/catalog-pg-authid.html
ITERATIONS = 4096


def sql_quote(value: str) -> str:
    """A text as a literal of SQL."""
    return "'" + str(value).replace("'", "''") + "'"


def scram_verifier(password: str, role: str) -> str:
    """What PostgreSQL keeps of a role's password (RFC 5803): the password cannot be had from it.

    The salt comes from the role's name, so that the same password gives the same verifier on every run.
    """
    salt = hashlib.sha256(f"airflowops.cluster {role}".encode()).digest()[:16]
    # As libpq prepares the password before it logs in.
    salted = hashlib.pbkdf2_hmac("sha256", saslprep(password).encode(), salt, ITERATIONS)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, stored_key, server_key)]
    return f"SCRAM-SHA-256${ITERATIONS}:{encoded[0]}${encoded[1]}:{encoded[2]}"


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {function.__name__: function for function in (sql_quote, scram_verifier)}
