# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates on a host, and when they end."""

from __future__ import annotations

import glob
import re
import ssl
from pathlib import Path
from typing import Any, Sequence

from ansible_collections.airflowops.cluster.plugins.module_utils.health.command import CollectError, run
from ansible_collections.airflowops.cluster.plugins.module_utils.host.probe import read_text

NGINX_CERTIFICATE = re.compile(r"^\s*ssl_(?:trusted_|client_)?certificate\s+([^;$]+);", re.MULTILINE)
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def parse_certificate(text: str) -> dict[str, Any]:
    """From what `openssl x509 -subject -enddate` writes."""
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    # Not by strptime, which wants the names of months in the host's language.
    return {
        "subject": values.get("subject", "").strip(),
        "ends": ssl.cert_time_to_seconds(values["notAfter"]),
    }


def nginx_certificates(directory: str = "/etc/nginx") -> list[str]:
    """The files that nginx' configuration names as certificates."""
    paths: set[str] = set()
    for path in [*Path(directory).glob("nginx.conf"), *Path(directory).glob("*.d/*.conf")]:
        found = NGINX_CERTIFICATE.findall(read_text(path))
        paths.update(name.strip("\"' ") for name in found)
    return sorted(str(Path(directory) / path) for path in paths)


def certificates(patterns: Sequence[str], timeout: float, nginx: str = "/etc/nginx") -> list[dict[str, Any]]:
    """Each file with the certificate in it that ends first, and each that nginx names."""
    found = {path for pattern in patterns for path in glob.glob(pattern)}  # noqa: PTH207 - an absolute pattern
    files = found | {*nginx_certificates(nginx)}
    seen = []
    for path in sorted(files):
        ends = []
        try:
            blocks = CERTIFICATE.findall(Path(path).read_text(encoding="utf-8", errors="replace"))
            for block in blocks[:20]:
                text = run(
                    ["openssl", "x509", "-noout", "-subject", "-enddate"], timeout, input=block.encode()
                )
                ends.append(parse_certificate(text))
            if not ends:
                raise CollectError("it holds no certificate")
        except (OSError, ValueError, KeyError, CollectError) as error:
            seen.append({"path": path, "error": str(getattr(error, "strerror", None) or error)})
        else:
            seen.append({"path": path, **min(ends, key=lambda entry: entry["ends"])})
    return seen
