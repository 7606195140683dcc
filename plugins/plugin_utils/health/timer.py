# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the caller's environment the runs by a timer get, and where it is kept.

A unit can be read by every user of the machine. Only variables that are known to hold no secret go into it;
every other ANSIBLE_ variable, such as a token of a vault, goes into an encrypted credential.
"""

from __future__ import annotations

import re
import shlex
from typing import Mapping

# Not passed at all: set by the unit itself, or of the run that sets the timer up alone.
NOT_PASSED = {
    "ANSIBLE_CONFIG",
    "ANSIBLE_NOCOLOR",
    "ANSIBLE_FORCE_COLOR",
    "ANSIBLE_ASK_PASS",
    "ANSIBLE_BECOME_ASK_PASS",
    "ANSIBLE_ASK_VAULT_PASS",
}
# Paths, switches and numbers of ansible-core. Not among them: what may hold a password in its arguments.
HARMLESS = re.compile(
    r"SSL_CERT_FILE|SSL_CERT_DIR|ANSIBLE_("
    r"HOME|INVENTORY|LOCAL_TEMP|REMOTE_TEMP|REMOTE_TMP|REMOTE_USER|REMOTE_PORT|FORKS|TIMEOUT|TASK_TIMEOUT|LOG_PATH"
    r"|COLLECTIONS_PATHS?|ROLES_PATH|LIBRARY|MODULE_UTILS|[A-Z_]+_PLUGINS|PLAYBOOK_DIR"
    r"|VAULT_PASSWORD_FILE|VAULT_IDENTITY|VAULT_IDENTITY_LIST|VAULT_ID_MATCH|VAULT_ENCRYPT_IDENTITY"
    r"|BECOME_PASSWORD_FILE|CONNECTION_PASSWORD_FILE|PRIVATE_KEY_FILE"
    r"|BECOME|BECOME_METHOD|BECOME_USER|BECOME_EXE|BECOME_FLAGS"
    r"|HOST_KEY_CHECKING|SSH_HOST_KEY_CHECKING|PIPELINING|SSH_PIPELINING|SSH_RETRIES|SSH_TIMEOUT|SSH_EXECUTABLE"
    r"|SSH_CONTROL_PATH|SSH_CONTROL_PATH_DIR|PYTHON_INTERPRETER|INTERPRETER_PYTHON|INTERNAL_POLL_INTERVAL"
    r"|STDOUT_CALLBACK|CALLBACKS_ENABLED|CALLBACK_RESULT_FORMAT|CALLBACK_FORMAT_PRETTY|LOAD_CALLBACK_PLUGINS"
    r"|GATHERING|INJECT_FACT_VARS|HASH_BEHAVIOUR|DEPRECATION_WARNINGS|LOCALHOST_WARNING|SYSTEM_WARNINGS|VERBOSITY"
    r")"
)
# Within the limits of a unit's lines and of the environment of other tools.
PRINTABLE = re.compile(r"[^\x00-\x1f\x7f]*")


def wanted(name: str) -> bool:
    if name in NOT_PASSED:
        return False
    return re.fullmatch(r"ANSIBLE_\w+", name) is not None or HARMLESS.fullmatch(name) is not None


def unit_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What goes into the unit in clear text."""
    return {
        name: environ[name]
        for name in sorted(environ)
        if wanted(name) and HARMLESS.fullmatch(name) and PRINTABLE.fullmatch(environ[name])
    }


def secret_environment(environ: Mapping[str, str]) -> str:
    """The others as lines for a POSIX shell to read, of any content; empty where there are none."""
    clear = unit_environment(environ)
    names = [name for name in sorted(environ) if wanted(name) and name not in clear]
    return "".join(f"export {name}={shlex.quote(environ[name])}\n" for name in names)
