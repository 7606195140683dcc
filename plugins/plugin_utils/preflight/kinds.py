# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of values: each makes a check that reads a value and returns "what is wrong: the fix", or nothing.

A check follows the name of its variable: "airflow_base_url" + "has no scheme: begin it with ...". Types are
judged elsewhere, so a check accepts a value of another type.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import PurePosixPath
from typing import Any, Callable, Iterable, Mapping
from urllib.parse import urlsplit

from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.calendars import calendar_problem
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import HIGHEST_PORT
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.types import kind_of

Check = Callable[[Any], str]

HOST_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
HOST_NAME = re.compile(rf"(?=.{{1,253}}$){HOST_LABEL}(\.{HOST_LABEL})*")
EMAIL = re.compile(r"[^@\s,;<>\"()]+@[^@\s,;<>\"()]+")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
DAY = 24 * 3600


def shown(value: Any) -> str:
    """A value as it stands in a message: short, on one line."""
    text = str(value)
    text = text if len(text) <= 60 else f"{text[:57]}..."
    return repr(text) if CONTROL.search(text) or text != text.strip() or not text else text


def number_of(value: Any) -> float | None:
    """The number that a value is, also as text; none for what is no number."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value) if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", str(value)) else None
    except ValueError:
        return None


# --- Numbers


def number(least: float, most: float, unit: str = "") -> Check:
    """A number within limits, also one that was given as text."""

    def check(value: Any) -> str:
        found = number_of(value)
        if found is None or least <= found <= most:
            return ""
        words = f" {unit}" if unit else ""
        return f"is {shown(value)}: set it to a number from {least:g} to {most:.0f}{words}"

    return check


def seconds(least: float = 1, most: float = 30 * DAY) -> Check:
    return number(least, most, "(seconds)")


def percent(least: float = 1) -> Check:
    return number(least, 100, "(percent)")


def port(value: Any) -> str:
    """In the words in which ports that are in use are judged, so that one sentence says it."""
    fix = f"set it to a number from 1 to {HIGHEST_PORT}"
    return f"is not a port: {fix}" if number(1, HIGHEST_PORT)(value) else ""


# --- Text


def one_line(value: Any) -> str:
    """Text that is to stand on one line of a file or a command."""
    if isinstance(value, str) and CONTROL.search(value):
        return "holds a line break or another control character: write it on one line"
    return ""


def matching(pattern: str, fix: str, empty: bool = False) -> Check:
    compiled = re.compile(pattern)

    def check(value: Any) -> str:
        if not isinstance(value, (str, int)) or isinstance(value, bool) or (empty and value == ""):
            return ""
        return "" if compiled.fullmatch(str(value)) else f"is {shown(value)}: {fix}"

    return check


def optional(check: Check) -> Check:
    """Empty text is accepted as well: it stands for none."""
    return lambda value: "" if value == "" else check(value)


def every(*checks: Check) -> Check:
    """The first complaint of several checks."""
    return lambda value: next(filter(None, (check(value) for check in checks)), "")


def calendar(value: Any) -> str:
    problem = calendar_problem(value) if isinstance(value, str) else ""
    fix = "write it as systemd.time(7) does, for example Sun 01:30 or *-*-* 03:00:00"
    return f"is {shown(value)}, {problem}: {fix}" if problem else ""


def certificate(value: Any) -> str:
    if not isinstance(value, str) or "-----BEGIN CERTIFICATE-----" in value:
        return ""
    return "is no certificate in PEM: give its text, from -----BEGIN CERTIFICATE----- on"


def private_key(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    if "ENCRYPTED" in value:
        return "is a private key with a passphrase: give it without one, encrypted with ansible-vault"
    if not re.search(r"-----BEGIN ([A-Z]+ )?PRIVATE KEY-----", value):
        return "is no private key in PEM: give its text, from -----BEGIN PRIVATE KEY----- on"
    return ""


# --- Names, addresses, URLs


def host_name(value: Any) -> str:
    if isinstance(value, str) and not HOST_NAME.fullmatch(value):
        return f"is {shown(value)}, which is no host name: use letters, digits, dots and hyphens"
    return ""


def address(value: Any) -> str:
    """An IP address, or a host name."""
    if not isinstance(value, str):
        return ""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        if re.fullmatch(r"[0-9.]+", value):
            return f"is {shown(value)}, which is no IP address: write it as in 192.0.2.10"
        return host_name(value)
    return ""


def network(value: Any) -> str:
    """An IP address or a network."""
    try:
        ipaddress.ip_network(str(value), strict=True)
    except ValueError as error:
        bits = "host bits set" in str(error)
        reason = "names a host within a network" if bits else "is no address or network"
        fix = str(ipaddress.ip_network(str(value), strict=False)) if bits else "192.0.2.10 or 192.0.2.0/24"
        return f"has {shown(value)}, which {reason}: write {fix}"
    return ""


def email(value: Any) -> str:
    if isinstance(value, str) and not EMAIL.fullmatch(value):
        return f"is {shown(value)}, which is no email address: write it as in name@example.org"
    return ""


def url_problem(value: str, schemes: Iterable[str]) -> str:
    """What is wrong with a URL of a web server, without naming it, as it may hold a password."""
    fix = f"write it as {next(iter(schemes))}://HOST or {next(iter(schemes))}://HOST:PORT/PATH"
    if re.search(r"[\s\x00-\x1f\x7f]", value):
        return f"holds white space: {fix}"
    try:
        parts = urlsplit(value)
        found = parts.port
    except ValueError:
        return f"has no valid host or port: {fix}, with a port from 1 to {HIGHEST_PORT}"
    scheme = value.partition("://")[0] if "://" in value else ""
    if scheme not in schemes:
        begins = f"begins with {shown(scheme)}" if scheme else "has no scheme"
        return f"{begins}: begin it with {' or '.join(f'{name}://' for name in schemes)}"
    if found == 0:
        return f"has the port 0: {fix}, with a port from 1 to {HIGHEST_PORT}"
    host = parts.hostname or ""
    if ":" not in host and address(host):
        return f"names no valid host: {fix}"
    return ""


def web_url(value: Any) -> str:
    return url_problem(value, ("https", "http")) if isinstance(value, str) else ""


def base_url(value: Any) -> str:
    """Of airflow_base_url: other URLs are made by adding a path to it."""
    if not isinstance(value, str):
        return ""
    problem = url_problem(value, ("http", "https"))
    if problem:
        return f"is {shown(value)}, which {problem}" if "@" not in value else problem
    parts = urlsplit(value)
    if parts.username is not None:
        return "holds a user or password: remove them, as everyone can read it"
    if parts.query or parts.fragment or value.endswith(("?", "#")):
        return f"is {shown(value)}, with a query or fragment: end it with the path"
    if value.endswith("/"):
        return f"is {shown(value)}, with a final slash: write {value.rstrip('/')}"
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", parts.path):
        return f"is {shown(value)}: use letters, digits and ._~- in its path, without empty parts"
    return ""


def database_url(value: Any) -> str:
    """A URL of PostgreSQL, as SQLAlchemy or libpq writes it. It holds a password, and is not shown."""
    if not isinstance(value, str):
        return ""
    fix = "write it as postgresql://USER:PASSWORD@HOST:5432/DATABASE, with special characters as %40"
    if re.search(r"[\s\x00-\x1f\x7f]", value):
        return f"holds white space: {fix}"
    if not re.match(r"postgres(ql)?(\+\w+)?://", value):
        return f"is no URL of PostgreSQL, which this collection needs: {fix}"
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return f"has no valid host or port: {fix}"
    return "" if parts.hostname or "host=" in parts.query else f"names no host: {fix}"


# --- Paths


def absolute_path(value: Any) -> str:
    """A path on the hosts, as it stands in configuration files of systemd, nginx and others."""
    if not isinstance(value, str):
        return ""
    problem = one_line(value)
    if problem:
        return problem
    if not value.startswith("/"):
        return f"is {shown(value)}: give an absolute path, which begins with /"
    if ".." in PurePosixPath(value).parts:
        return f"is {shown(value)}: give a path without .."
    if re.search(r"[\s\"'%\\;{}$]", value):
        return f"is {shown(value)}: use a path without white space, quotes and any of % \\ ; $ {{ }}"
    return ""


def controller_path(value: Any) -> str:
    """A file or folder on the controller: relative ones are accepted."""
    return one_line(value)


# --- Lists and dictionaries


def each(check: Check, distinct: bool = True, least: int = 0) -> Check:
    """Each entry of a list; none twice, unless it may be."""

    def check_list(value: Any) -> str:
        if not isinstance(value, list):
            return ""
        if len(value) < least:
            return "is empty: give it at least one entry"
        # What is not yet evaluated is left alone.
        known = [entry for entry in value if kind_of(entry)]
        for entry in known:
            problem = check(entry)
            if problem:
                return problem.replace("is ", "has ", 1) if problem.startswith("is ") else problem
        texts = [str(entry) for entry in known]
        twice = sorted({text for text in texts if texts.count(text) > 1})
        return f"has {shown(twice[0])} twice: remove one of them" if distinct and twice else ""

    return check_list


def keys(pattern: str, fix: str) -> Check:
    """The names in a dictionary."""
    compiled = re.compile(pattern)

    def check(value: Any) -> str:
        for name in value if isinstance(value, Mapping) else ():
            if not isinstance(name, str) or not compiled.fullmatch(name):
                return f"has the name {shown(name)}: {fix}"
        return ""

    return check


def values(check: Check) -> Check:
    """The values in a dictionary."""

    def check_values(value: Any) -> str:
        for name, entry in value.items() if isinstance(value, Mapping) else ():
            problem = check(entry) if kind_of(entry) else ""
            if problem:
                what, _, fix = problem.rpartition(": ")
                return f"has an entry {shown(name)} that {what}: {fix}"
        return ""

    return check_values
