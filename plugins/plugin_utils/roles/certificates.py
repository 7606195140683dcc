# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's certificate names, and the certificates of an authority among others."""

from __future__ import annotations

import re
from typing import Iterable, Sequence

from ansible.errors import AnsibleFilterError
from ansible_collections.airflowops.cluster.plugins.plugin_utils.addresses import ip_address
from ansible_collections.airflowops.cluster.plugins.plugin_utils.certificate_problems import (
    HAS_CRYPTOGRAPHY,
    PEM,
    common_name,
)

ADDRESS = re.compile(r"[0-9.]+|[^:]*:.*", re.DOTALL)


def certificate_names(host: str, address: str, more: Sequence[str] = ()) -> list[str]:
    """The subject's alternative names of a host, as OpenSSL writes them."""
    names = [f"DNS:{host}", f"{'IP' if address == ip_address(address) else 'DNS'}:{address}"]
    names += [f"{'IP' if ADDRESS.fullmatch(name) else 'DNS'}:{name}" for name in more]
    return [*dict.fromkeys(names)]


def named_certificates(texts: Iterable[str], name: str) -> list[str]:
    """Those of the certificates in PEM whose subject has this common name, each once and in order."""
    if not HAS_CRYPTOGRAPHY:
        raise AnsibleFilterError("Install the Python package cryptography beside Ansible on the controller")
    found = [pem for text in texts for pem in PEM.findall(text) if common_name(pem) == name]
    return [f"{pem}\n" for pem in dict.fromkeys(found)]
