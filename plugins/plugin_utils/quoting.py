# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts quoted so that their readers get back what was put in."""

from __future__ import annotations

import json
from typing import Any, Mapping, Sequence
from urllib.parse import quote

from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.auth import AUTH_TYPES


def redis_quote(value: str) -> str:
    """A string as redis.conf wants it: in double quotes, with what they need escaped."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def redis_command(arguments: Sequence[str]) -> str:
    """A Redis command on the wire (RESP), in hexadecimal, as HAProxy's send-binary takes it."""
    encoded = [argument.encode() for argument in arguments]
    wire = b"*%d\r\n" % len(encoded)
    for argument in encoded:
        wire += b"$%d\r\n%s\r\n" % (len(argument), argument)
    return wire.hex()


def systemd_quote(value: Any, unit: bool = False, command: bool = False) -> str:
    """A value as systemd's EnvironmentFile= wants it: in double quotes, with what they need escaped.

    unit: as Environment= in a unit wants it instead, where $ is but itself, % begins a specifier, and a line
    break would end the line. command: as ExecStart= wants it, where $ begins a variable as well.
    """
    text = str(value)
    for character in ("\\", '"') if unit or command else ("\\", '"', "`", "$"):
        text = text.replace(character, "\\" + character)
    if unit or command:
        text = text.replace("%", "%%").replace("\n", "\\n").replace("\r", "\\r")
    if command:
        text = text.replace("$", "$$")
    return f'"{text}"'


def environment_file(variables: Mapping[str, Any]) -> str:
    """A file for systemd's EnvironmentFile=, one variable a line."""
    return "".join(f"{name}={systemd_quote(value)}\n" for name, value in variables.items())


def url_quote(value: str) -> str:
    """A user name or password as a URL carries it: every reserved character quoted, `/` too."""
    return quote(value, safe="")


def python_settings(settings: Mapping[str, Any]) -> str:
    """The settings as a Python file, as webserver_config.py is one."""
    lines = [f"from flask_appbuilder.const import {', '.join(AUTH_TYPES)}"]
    for name, value in settings.items():
        # Plain types, whatever Ansible has wrapped them in.
        plain = json.loads(json.dumps(value, default=str))
        lines.append(f"{name} = {plain if name == 'AUTH_TYPE' and plain in AUTH_TYPES else repr(plain)}")
    return "\n".join(lines) + "\n"
