# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which secrets the collection needs, and whether a value is fit to be one. No function shows the value."""

from __future__ import annotations

import base64
import re
import secrets
import unicodedata
from typing import Any, NamedTuple

RUNS_AIRFLOW = ("airflow_master", "airflow_worker")


class Secret(NamedTuple):
    """The fewest characters a secret may have, the roles that need it, the command that makes a good one.

    own_broker, own_metastore: whether it is needed for our own Redis Cluster, or PostgreSQL, only.
    """

    length: int
    roles: tuple[str, ...]
    command: str = "openssl rand -hex 32"
    own_broker: bool = False
    own_metastore: bool = False


SECRETS = {
    "redis_cluster_password": Secret(16, ("redis_cluster",), own_broker=True),
    "redis_cluster_broker_password": Secret(16, ("redis_cluster", *RUNS_AIRFLOW, "flower"), own_broker=True),
    "postgres_metastore_password": Secret(16, ("postgres_metastore", "airflow_master"), own_metastore=True),
    "postgres_metastore_owner_password": Secret(
        16, ("postgres_metastore", "airflow_master"), own_metastore=True
    ),
    "postgres_metastore_results_password": Secret(
        16, ("postgres_metastore", *RUNS_AIRFLOW), own_metastore=True
    ),
    "airflow_fernet_key": Secret(44, RUNS_AIRFLOW, "openssl rand -base64 32 | tr '+/' '-_'"),
    "airflow_api_secret_key": Secret(16, RUNS_AIRFLOW),
    # Airflow signs with HS512, for which 64 bytes are right.
    "airflow_jwt_secret": Secret(16, ("airflow_master",), "openssl rand -hex 64"),
    "airflow_admin_password": Secret(8, ("airflow_master",)),
    "flower_password": Secret(8, ("flower",)),
}
SECRETS_FILE = "group_vars/all/secrets.yml"

# A placeholder is made of nothing but such words and digits, whatever stands between them.
PLACEHOLDER_WORDS = re.compile(
    "(?:change|replace|insert|enter|choose|set|fill|me|it|this|here|in|please|your|my|the|with|some|random|strong|"
    "very|super|secret|secure|pass|phrase|word|wd|pw|key|token|value|string|credential|example|sample|placeholder|"
    "dummy|default|todo|fixme|tbd|none|null|undefined|redacted|user|root|admin|administrator|airflow|redis|cluster|"
    "postgres|metastore|flower|fernet|jwt|api|database|db|letmein|qwerty|xxx|[0-9])+"
)
# A variable of a shell is in upper case, or in lower: $Ab3dEf is a password.
SHELL_EXPRESSION = re.compile(
    r"\$\(.*\)|`.*`|\$\{\w+\}|\$[A-Z_][A-Z0-9_]*|\$[a-z_]+|.*(?:\bopenssl |/dev/u?random\b).*", re.DOTALL
)
SEQUENCES = (
    "0123456789" * 10,
    "9876543210" * 10,
    "abcdefghijklmnopqrstuvwxyz" * 4,
    "qwertyuiopasdfghjklzxcvbnm" * 4,
)
FERNET_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")
# A whole expression or statement. Braces alone are characters like others.
TEMPLATE = re.compile(r"\{\{.*\}\}|\{%.*%\}", re.DOTALL)
# Control characters (line breaks among them), halves of characters, separators of lines and paragraphs.
UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")
# In UTF-8. A passphrase of OpenSSL has 1023 at most.
MOST_BYTES = 1000


def new_secret(name: str) -> str:
    """A strong random value that is fit for the secret, and needs no quoting in a URL or a command line."""
    if name == "airflow_jwt_secret":
        return secrets.token_hex(64)
    while True:
        fernet = name == "airflow_fernet_key"
        value = (
            base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
            if fernet
            else secrets.token_urlsafe(32)
        )
        # A command takes a dash at the beginning for an option; a double click stops at one.
        if value[0].isalnum() and value.rstrip("=")[-1].isalnum():
            return value


def unset(value: Any) -> bool:
    """Whether a variable has no value, because it is empty or refers to something that is undefined."""
    return value is None or (isinstance(value, str) and value == "")


def secret_problem(name: str, value: Any) -> str:
    """What is wrong with the value of a secret, in words that do not show it; empty if nothing is."""
    if unset(value):
        return "is missing"
    if not isinstance(value, str):
        return "is not text (quote it)"
    problem = unrendered_problem(value) or text_problem(value)
    if problem:
        return problem
    if is_placeholder(value):
        return "is a placeholder"
    if name == "airflow_fernet_key":
        return fernet_problem(value)
    if len(value) < SECRETS[name].length:
        return f"is shorter than {SECRETS[name].length} characters"
    return flower_problem(value) if name == "flower_password" else ""


def unrendered_problem(value: str) -> str:
    """Whether a text stands where a secret was to be put: everybody knows it."""
    if "$ANSIBLE_VAULT" in value or value.startswith("!vault"):
        return "is still encrypted text of ansible-vault"
    if TEMPLATE.search(value):
        return "is a template that was not rendered"
    if SHELL_EXPRESSION.fullmatch(value.strip()):
        return "is a shell expression, which nobody expands"
    return ""


def text_problem(value: str) -> str:
    """What configuration files and URLs do not carry, whatever server reads them."""
    if value != value.strip():
        return "begins or ends with white space, which files of configuration do not keep"
    if any(unicodedata.category(character) in UNPRINTABLE for character in value):
        return "holds a line break or another control character, which files of configuration cannot hold"
    if len(value.encode()) > MOST_BYTES:
        return f"is longer than {MOST_BYTES} bytes"
    return ""


def flower_problem(value: str) -> str:
    """What Flower's option `basic_auth` cannot hold: Tornado splits it at commas, and compares ASCII only."""
    if "," in value:
        return "holds a comma, at which Flower would cut it"
    if not value.isascii():
        return "holds a character that is not ASCII, with which Flower refuses every login"
    return ""


def is_placeholder(value: str) -> bool:
    """Whether a secret is a word of an example, a few characters repeated, or a run of the alphabet."""
    bare = re.sub("[^a-z0-9]", "", value.lower())
    mostly_words = not bare.isdigit() and len(bare) * 2 > len(value) and len(value) < 80
    return (
        (value.startswith("<") and value.endswith(">"))
        or len(set(value)) < 5
        or any(value.lower() in sequence for sequence in SEQUENCES)
        or (mostly_words and PLACEHOLDER_WORDS.fullmatch(bare) is not None)
    )


def fernet_problem(value: str) -> str:
    """What is wrong with one Fernet key or several with commas between them."""
    for key in value.split(","):
        key = key.strip()
        if not FERNET_KEY.fullmatch(key) or len(base64.urlsafe_b64decode(key)) != 32:
            return (
                "is not a Fernet key, which is 32 bytes in url-safe base64 (several with commas between them)"
            )
        if len(set(key)) < 5:
            return "is a placeholder"
    return ""
