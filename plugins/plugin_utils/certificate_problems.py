# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a certificate and its private key. No function shows the key."""

from __future__ import annotations

import ipaddress
import re
from datetime import datetime, timezone
from typing import Any, Iterable

try:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
    from cryptography.x509.oid import NameOID

    HAS_CRYPTOGRAPHY = True
except ImportError:
    HAS_CRYPTOGRAPHY = False

PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def common_name(pem: str) -> str:
    """Of the subject of a certificate."""
    names = x509.load_pem_x509_certificate(pem.encode()).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def certificate_problems(
    certificate: str, private_key: str, names: Iterable[str], now: datetime | None = None
) -> list[str]:
    """Each problem as "what is wrong: fix", where what is wrong begins with a verb.

    certificate: in PEM, the host's own first, then those of the authorities between.
    names: the names and addresses that clients use.
    """
    if not HAS_CRYPTOGRAPHY:
        return [
            "cannot be looked at: install the Python package cryptography beside Ansible on the controller"
        ]
    try:
        chain = [x509.load_pem_x509_certificate(text.encode()) for text in PEM.findall(certificate)]
    except ValueError:
        chain = []
    if not chain:
        return ["holds no certificate in PEM: give its whole text, from -----BEGIN CERTIFICATE----- on"]
    problems = [key_problem(chain, private_key)]
    moment = now or datetime.now(timezone.utc)
    for number, one in enumerate(chain):
        problems.append(
            time_problem(one, moment, "" if number == 0 else f"has {one.subject.rfc4514_string()}, which ")
        )
    lacking = [name for name in names if not covers(chain[0], name)]
    if lacking:
        problems.append(
            f"does not cover {' and '.join(lacking)}, but {', '.join(named(chain[0])) or 'no name'}: get one "
            "for all names that users type"
        )
    return [problem for problem in problems if problem]


def key_problem(chain: list[x509.Certificate], private_key: str) -> str:
    try:
        key: Any = load_pem_private_key(private_key.encode(), password=None)
    except TypeError:
        return (
            "comes with a private key that has a passphrase, which nobody could type when nginx starts: take "
            "it off (openssl pkey -in KEY -out KEY), and encrypt the file of secrets instead"
        )
    except Exception:  # whatever the library cannot read
        return "comes with a private key that cannot be read: give its whole text in PEM"
    public = public_bytes(key.public_key())
    if public == public_bytes(chain[0].public_key()):
        return ""
    if any(public == public_bytes(one.public_key()) for one in chain[1:]):
        return "does not begin with the host's own: put that first, then those of the authorities"
    return "does not match nginx_lb_private_key: give the key that the certificate was made for"


def public_bytes(key: Any) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def time_problem(certificate: x509.Certificate, now: datetime, whose: str) -> str:
    begins, ends = validity(certificate)
    if now > ends:
        return f"{whose}has expired on {ends:%Y-%m-%d}: renew it"
    if now < begins:
        return (
            f"{whose}is not valid before {begins:%Y-%m-%d %H:%M} UTC: wait, or correct the controller's clock"
        )
    return ""


def validity(certificate: x509.Certificate) -> tuple[datetime, datetime]:
    # Before version 42 of cryptography they are reported without their zone.
    if hasattr(certificate, "not_valid_after_utc"):
        return certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return (
        certificate.not_valid_before.replace(tzinfo=timezone.utc),
        certificate.not_valid_after.replace(tzinfo=timezone.utc),
    )


def named(certificate: x509.Certificate) -> list[str]:
    """The names and addresses that it is for. Its common name is none: nobody looks at it any more."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]


def covers(certificate: x509.Certificate, name: str) -> bool:
    """Whether a client that asks for the name accepts it; a wildcard stands for one label (RFC 6125)."""
    wanted = name.lower().rstrip(".")
    there = {entry.lower() for entry in named(certificate)}
    _, dot, rest = wanted.partition(".")
    return wanted in there or (bool(dot) and not is_address(wanted) and f"*.{rest}" in there)


def is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
