#!/usr/bin/python
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: diagnostics_collect
short_description: Collect journals, logs, configuration and states of a host into a folder on the controller
version_added: 0.1.0
description:
  - Reads on a host what helps to find the cause of a trouble, within a range of time and a bound of size, and
    writes it to O(dest) on the controller, without secrets. Nothing is changed or left behind on the host.
  - Before anything is written, a plugin on the controller takes out the secrets of the inventory, of all its
    hosts, in all forms in which they may appear, and what has the form of a secret. So no host receives a
    secret that it does not have.
author:
  - The airflowops.cluster maintainers (@airflowops)
options:
  dest:
    description: Folder on the controller. A folder with the name of the host is made in it.
    type: path
    required: true
  since:
    description: From when, as C(date --date) reads it, or short as in V(30min), V(2h) and V(3d).
    type: str
    default: 1 hour ago
  until:
    description: Until when, likewise.
    type: str
    default: now
  max_bytes:
    description:
      - How much to take from the host, uncompressed. Of a source that is too long the newest is kept.
    type: int
    default: 20971520
  journals:
    description: Of each file, by its name, the arguments of C(journalctl), besides those of the time.
    type: dict
    default: {}
  logs:
    description:
      - Files, or patterns of them, with lines that begin with a time. Rotated ones of the same name are read
        as well.
    type: list
    elements: str
    default: []
  files:
    description: Files, or patterns of them, to be copied.
    type: list
    elements: str
    default: []
  commands:
    description: What to run, by root. Their output is kept, whatever they end with.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the file.
        type: str
        required: true
      argv:
        description: Program and arguments.
        type: list
        elements: str
        required: true
      environment:
        description: Environment of the command alone.
        type: dict
        default: {}
  sockets:
    description: Unix sockets that answer a line.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the file.
        type: str
        required: true
      path:
        description: The socket.
        type: path
        required: true
      send:
        description: The line.
        type: str
        required: true
  urls:
    description: Addresses on the host to be asked, by the name of the file.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Collects as it does otherwise.
    support: full
  diff_mode:
    description: Shows what would be changed.
    support: none
    details: Nothing on the host is ever changed.
  platform:
    description: The systems it runs on.
    support: full
    platforms: linux
"""

EXAMPLES = r"""
- name: Collect what nginx has logged
  airflowops.cluster.diagnostics_collect:
    dest: /tmp/bundle
    since: 2 hours ago
    journals: {nginx.log: [--unit=nginx.service]}
    logs: [/var/log/nginx/*.log]
    files: [/etc/nginx/nginx.conf]
"""

RETURN = r"""
contents:
  description: The files that were written, with their size and where they come from.
  returned: success
  type: list
  elements: dict
  sample:
    - {name: journals/nginx.log, size: 1200, source: "journalctl --unit=nginx.service"}
"""

import base64
import gzip
import io
import socket
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Iterator

from ansible_collections.airflowops.cluster.plugins.module_utils.host.diagnostics import (
    Tail,
    in_range,
    output,
    words_of_time,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.unlogged_module import QuietModule

ANSWER_SECONDS = 5
# No source takes more than this part of what may be taken, so that a noisy one leaves room for the others.
SHARE = 4


class CollectError(Exception):
    """What was asked for cannot be understood."""


class Bundle:
    def __init__(self, most: int) -> None:
        self.left = most
        self.share = max(most // SHARE, 65536)
        self.contents: list[dict[str, Any]] = []
        self.buffer = io.BytesIO()
        self.tar = tarfile.TarFile.gzopen("bundle.tar.gz", "w", fileobj=self.buffer, compresslevel=6)

    def tail(self) -> Tail:
        return Tail(min(self.share, self.left))

    def add(self, name: str, data: bytes, source: str) -> None:
        self.left = max(0, self.left - len(data))
        entry = tarfile.TarInfo(name)
        entry.size, entry.mtime = len(data), int(time.time())
        self.tar.addfile(entry, io.BytesIO(data))
        self.contents.append({"name": name, "size": len(data), "source": source})

    def packed(self) -> str:
        self.tar.close()
        return base64.b64encode(self.buffer.getvalue()).decode()


def seconds(text: str, name: str) -> int:
    """A time in words, in seconds since the epoch."""
    argv = ["date", f"--date={words_of_time(text)}", "+%s"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CollectError(
            f"{name} is {text!r}, which is no time: write 2h, 30min, 3d or 2026-01-31T04:00, or words of "
            """date(1) in quotes of their own, -e "logs_since='2 days ago'"."""
        )
    return int(done.stdout)


def matching(pattern: str) -> list[Path]:
    """The files that an absolute pattern names."""
    return sorted(path for path in Path("/").glob(pattern.lstrip("/")) if path.is_file())


def lines_of(pattern: str, since: float) -> Iterator[bytes]:
    """The lines of a log and of what was rotated away from it, oldest first."""
    paths = sorted(matching(f"{pattern}*"), key=lambda path: path.stat().st_mtime)
    for path in paths:
        # What was last written before then has nothing of it.
        if path.stat().st_mtime >= since:
            with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
                yield from file


def answer_of_socket(path: str, line: str, tail: Tail) -> bytes:
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(ANSWER_SECONDS)
            client.connect(path)
            client.sendall(f"{line}\n".encode())
            while chunk := client.recv(65536):
                tail.add(chunk)
    except OSError as error:
        tail.add(f"[{error}]\n".encode())
    return tail.value()


def answer_of_url(url: str, tail: Tail) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=ANSWER_SECONDS) as answer:
            tail.add(answer.read(1 << 20))
    except urllib.error.HTTPError as error:
        tail.add(f"[{error}]\n".encode() + error.read(1 << 16))
    except (OSError, ValueError) as error:
        tail.add(f"[{error}]\n".encode())
    return tail.value()


def collect(params: dict[str, Any]) -> Bundle:
    since, until = seconds(params["since"], "logs_since"), seconds(params["until"], "logs_until")
    if since >= until:
        raise CollectError(f"logs_since ({params['since']}) is not before logs_until ({params['until']}).")
    bundle = Bundle(params["max_bytes"])
    # What is small and reports most comes first: nothing of it is lost to the bound.
    for entry in params["commands"]:
        data = output(entry["argv"], bundle.tail(), entry["environment"])
        bundle.add(f"state/{entry['name']}", data, " ".join(entry["argv"]))
    for entry in params["sockets"]:
        data = answer_of_socket(entry["path"], entry["send"], bundle.tail())
        bundle.add(f"state/{entry['name']}", data, f"{entry['path']}: {entry['send']}")
    for name, url in params["urls"].items():
        bundle.add(f"state/{name}", answer_of_url(url, bundle.tail()), url)
    for path in dict.fromkeys(path for pattern in params["files"] for path in matching(pattern)):
        tail = bundle.tail()
        tail.add(path.read_bytes())
        bundle.add(f"config{path}", tail.value(), str(path))
    times = [f"--since=@{since}", f"--until=@{until}"]
    for name, arguments in params["journals"].items():
        argv = ["journalctl", "--no-pager", "--quiet", "--output=short-iso-precise", *arguments, *times]
        data = output(argv, bundle.tail())
        # Of units that the host has none of.
        if data and not data.startswith(b"Failed to add filter"):
            bundle.add(f"journals/{name}", data, " ".join(argv))
    for path in dict.fromkeys(path for pattern in params["logs"] for path in matching(pattern)):
        tail = bundle.tail()
        for line in in_range(lines_of(str(path), since), since, until):
            tail.add(line)
        if tail.value():
            bundle.add(f"logs{path}", tail.value(), f"{path}*")
    return bundle


def main() -> None:
    named = {"name": {"type": "str", "required": True}}
    module = QuietModule(
        argument_spec={
            "dest": {"type": "path", "required": True},
            "since": {"type": "str", "default": "1 hour ago"},
            "until": {"type": "str", "default": "now"},
            "max_bytes": {"type": "int", "default": 20971520},
            "journals": {"type": "dict", "default": {}},
            "logs": {"type": "list", "elements": "str", "default": []},
            "files": {"type": "list", "elements": "str", "default": []},
            "commands": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    **named,
                    "argv": {"type": "list", "elements": "str", "required": True},
                    "environment": {"type": "dict", "default": {}, "no_log": True},
                },
            },
            "sockets": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    **named,
                    "path": {"type": "path", "required": True},
                    "send": {"type": "str", "required": True},
                },
            },
            "urls": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    try:
        bundle = collect(module.params)
    except (CollectError, OSError) as error:
        module.fail_json(msg=str(error))
    # For the plugin on the controller, which takes it out of the result.
    module.exit_json(changed=False, contents=bundle.contents, archive=bundle.packed())


if __name__ == "__main__":
    main()
