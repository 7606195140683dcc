# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which certificates of the collection's own CA lie in a folder. Used on hosts and on the controller."""

from __future__ import annotations

import binascii
import hashlib
import re
from pathlib import Path

CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
# In the subject of each CA that the role certificates has made, and of no certificate of a host.
OUR_NAME = b"airflowops.cluster CA"


def fingerprints(text: str) -> list[str]:
    """SHA-256 of each certificate in PEM that carries our CA's name as its subject and issuer."""
    found = []
    for body in CERTIFICATE.findall(text):
        try:
            der = binascii.a2b_base64(body)
        except binascii.Error:
            continue
        if der.count(OUR_NAME) > 1:
            found.append(hashlib.sha256(der).hexdigest())
    return found


def authorities(folder: str, pattern: str) -> dict[str, list[str]]:
    """{path: fingerprints} of the folder's files that match and hold any. Raises OSError."""
    found = {}
    for path in sorted(Path(folder).glob(pattern)):
        prints = fingerprints(path.read_text(encoding="utf-8", errors="replace"))
        if prints:
            found[str(path)] = prints
    return found
