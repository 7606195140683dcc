# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes into a support bundle, and what must not: pure functions on texts."""

from __future__ import annotations

import base64
import datetime
import json
import os
import re
import subprocess
from typing import Any, Iterable, Iterator, Mapping
from urllib.parse import quote, quote_plus, urlsplit

REMOVED = b"[REMOVED]"
# Shorter ones would take half of every word with them.
SHORTEST_SECRET = 4
# What is likely to be secret, by its name.
SECRET_NAME = re.compile(
    r"pass(word|wd|phrase|code)?($|_)|secret|token|credential|private|(^|_)key($|s$|_)|fernet|dsn",
    re.IGNORECASE,
)
# Of these every value counts, whatever its name, that is no mere word or number.
ALL_SECRET = ("airflow_environment", "airflow_variables")
SHORTEST_OF_THOSE = 8
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# Seconds that a command may take.
COMMAND_SECONDS = 60
# 2026-11-28 05:40:12 of PostgreSQL and pgBackRest; 2026/11/28 05:40:12 of nginx' errors; its requests have
# [28/Nov/2026:05:40:12 +0000].
DASHED = re.compile(rb"^\W{0,2}(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)")
BY_NGINX = re.compile(rb"\[(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)\]")
# What has the form of a secret, whosever it is.
PATTERNS = (
    (
        re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
        REMOVED,
    ),
    (re.compile(rb"(\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s@/]+(@)"), rb"\1" + REMOVED + rb"\2"),
    (
        re.compile(
            rb"((?:password|passwd|passphrase|secret|token|api_key|secret_key|fernet_key|cipher-pass|key-secret)"
            rb"[\"']?[ \t]*[=:][ \t]*[\"']?)(?!\[REMOVED\]|/)[^\s\"',;&]{4,}",
            re.IGNORECASE,
        ),
        rb"\1" + REMOVED,
    ),
    (re.compile(rb"\bSCRAM-SHA-256\$[^\s\"']+"), REMOVED),
    (re.compile(rb"\bAuthorization: \S+ \S+", re.IGNORECASE), b"Authorization: " + REMOVED),
    (re.compile(rb"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+"), REMOVED),
)


# --- Secrets


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """(name, text) of all texts in a value, each with the name under which it lies."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield from leaves(entry, str(key))
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from leaves(entry, name)
    elif isinstance(value, str) or type(value).__name__ == "AnsibleVaultEncryptedUnicode":
        yield name, str(value)


def secrets_in(variables: Mapping[str, Any], always: Iterable[str] = ()) -> set[str]:
    """The secrets that variables hold. always: names of those that are secret as a whole."""
    always = {*always}
    found: set[str] = set()
    for variable, value in variables.items():
        whole = variable in always
        for name, text in leaves(value, variable):
            value_counts = variable in ALL_SECRET and len(text) >= SHORTEST_OF_THOSE
            if whole or value_counts or SECRET_NAME.search(name):
                found.add(text)
            found.update(passwords_of_url(text))
            # As `extra` of a connection may be given.
            if text.lstrip().startswith("{"):
                found.update(secrets_in_json(text))
    return {text for text in found if len(text.strip()) >= SHORTEST_SECRET}


def secrets_in_json(text: str) -> set[str]:
    try:
        return {one for name, one in leaves(json.loads(text)) if SECRET_NAME.search(name)}
    except ValueError:
        return set()


def passwords_of_url(text: str) -> set[str]:
    """Those in `scheme://user:password@host`, of which there may be several with `;` between."""
    found = set()
    for url in text.split(";") if "://" in text else ():
        try:
            password = urlsplit(url).password
        except ValueError:
            continue
        if password:
            found.add(password)
    return found


def forms(secret: str) -> set[bytes]:
    """How a secret may stand in a text: as it is, and as URLs, JSON, Base64 and hexadecimals show it."""
    raw = secret.strip().encode()
    texts = {
        secret.strip(),
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
    }
    texts |= {
        repr(secret)[1:-1],
        secret.replace("%", "%%"),
        secret.replace("'", "''"),
        raw.hex(),
        raw.hex().upper(),
    }
    # Of keys that have several lines, each line.
    lines = [line.strip() for line in secret.splitlines()]
    texts |= {line for line in lines if len(lines) > 1 and len(line) >= 16 and not line.startswith("-----")}
    found = {text.encode() for text in texts}
    # In Base64 it looks different by the place at which it begins, as after `user:`; what its neighbours are
    # part of is left out.
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            encoded = encode(b"\0" * before + raw)
            whole = encoded[(0, 2, 3)[before] : (len(raw) + before) * 8 // 6]
            if len(whole) >= 6:
                found.add(whole)
    return {form for form in found if len(form) >= SHORTEST_SECRET}


def scrubber(secrets: Iterable[str]) -> list[bytes]:
    """What is to be taken out of all texts, the longest first."""
    return sorted({form for secret in secrets for form in forms(secret)}, key=lambda form: (-len(form), form))


def scrubbed(data: bytes, wanted_out: Iterable[bytes]) -> bytes:
    """The data without what is secret."""
    for form in wanted_out:
        data = data.replace(form, REMOVED)
    for pattern, replacement in PATTERNS:
        data = pattern.sub(replacement, data)
    return data


# --- Logs


def words_of_time(text: str) -> str:
    """A time as date(1) reads it: `2h` is `2 hours ago`. A number alone, to date an hour, is none."""
    short = re.fullmatch(r"(\d+)(min|m|h|d)", text.strip())
    if short:
        return f"{short[1]} {dict(min='minutes', m='minutes', h='hours', d='days')[short[2]]} ago"
    return "no time" if text.strip().isdigit() or not text.strip() else text


def time_of(line: bytes) -> float | None:
    """When a line of a log was written, in seconds since the epoch; none where it does not say."""
    match = DASHED.match(line)
    if match:
        # As the host's clock on the wall says it.
        return datetime.datetime.strptime(b" ".join(match.groups()).decode(), "%Y %m %d %H %M %S").timestamp()
    match = BY_NGINX.search(line[:300])
    if match:
        day, month, year, hour, minute, second, sign, hours, minutes = match.groups()
        offset = datetime.timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == b"-" else 1)
        return datetime.datetime(
            int(year), MONTHS.index(month.decode()) + 1, int(day), int(hour), int(minute), int(second),
            tzinfo=datetime.timezone(offset),
        ).timestamp()  # fmt: skip
    return None


def in_range(lines: Iterable[bytes], since: float, until: float) -> Iterator[bytes]:
    """The lines of a log that were written within a time; those without one belong to the one before."""
    inside = False
    for line in lines:
        try:
            when = time_of(line)
        except ValueError:
            when = None
        if when is not None:
            inside = since <= when <= until
        if inside:
            yield line


class Tail:
    """The last bytes of what is written to it."""

    def __init__(self, most: int) -> None:
        self.most = max(0, most)
        self.data = bytearray()
        self.cut = 0

    def add(self, chunk: bytes) -> None:
        self.data += chunk
        # Not with every chunk: each cut moves all that is kept.
        if len(self.data) > 2 * self.most + 65536:
            self._trim()

    def _trim(self) -> None:
        more = len(self.data) - self.most
        if more > 0:
            self.cut += more
            del self.data[:more]

    def value(self) -> bytes:
        self._trim()
        if not self.cut:
            return bytes(self.data)
        return b"[%d bytes before this were left out: logs_max_mib]\n" % self.cut + bytes(self.data)


def output(argv: list[str], tail: Tail, environment: dict[str, str] | None = None) -> bytes:
    """What a command says. One that takes too long or is not there says so."""
    try:
        with subprocess.Popen(
            ["timeout", str(COMMAND_SECONDS), *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={**os.environ, "LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0", **(environment or {})},
        ) as process:
            while process.stdout and (chunk := process.stdout.read(65536)):
                tail.add(chunk)
        if process.returncode:
            tail.add(b"[ended with %d]\n" % process.returncode)
    except OSError as error:
        tail.add(f"[{error}]\n".encode())
    return tail.value()
