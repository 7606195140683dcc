# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate that browsers would refuse, or nginx, is reported of in words; made here, for real."""

from __future__ import annotations

import ipaddress
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from ansible_collections.airflowops.cluster.plugins.filter.preflight import front_facts
from ansible_collections.airflowops.cluster.plugins.plugin_utils.certificate_problems import (
    certificate_problems,
    is_address,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

NOW = datetime.now(timezone.utc)
DAY = timedelta(days=1)
NAME = "airflow.example.org"


def new_key() -> Any:
    return ec.generate_private_key(ec.SECP256R1())


def pem(key: Any, passphrase: bytes = b"") -> str:
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()


def signed(
    key: Any, *names: str, begins: datetime = NOW - DAY, ends: datetime = NOW + DAY, subject: str = "subject"
) -> str:
    """A certificate for the names; of itself, as who has signed it is not asked."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
    if names:
        entries = [
            x509.IPAddress(ipaddress.ip_address(one)) if is_address(one) else x509.DNSName(one)
            for one in names
        ]
        builder = builder.add_extension(x509.SubjectAlternativeName(entries), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def only(certificate: str, key: str, *names: str) -> str:
    problems = certificate_problems(certificate, key, names or (NAME,))
    assert len(problems) == 1, problems
    what, separator, fix = problems[0].partition(": ")
    assert what and separator and fix
    return problems[0]


@pytest.mark.parametrize("key", [new_key(), rsa.generate_private_key(65537, 2048)], ids=["ec", "rsa"])
def test_a_good_one(key: Any) -> None:
    assert certificate_problems(signed(key, NAME, "10.0.0.7"), pem(key), [NAME, "10.0.0.7"]) == []


def test_the_key_of_another() -> None:
    problem = only(signed(new_key(), NAME), pem(new_key()))
    assert problem.startswith("does not match nginx_lb_private_key")


def test_a_key_with_a_passphrase() -> None:
    key = new_key()
    assert "has a passphrase" in only(signed(key, NAME), pem(key, b"secret"))


def test_a_key_that_is_none() -> None:
    assert "cannot be read" in only(signed(new_key(), NAME), "-----BEGIN PRIVATE KEY-----\nAAAA\n")


@pytest.mark.parametrize(
    "text", ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_certificate_that_is_none(text: str) -> None:
    assert only(text, pem(new_key())).startswith("holds no certificate in PEM")


def test_one_that_has_expired() -> None:
    key = new_key()
    ended = NOW - timedelta(minutes=1)
    assert only(signed(key, NAME, ends=ended), pem(key)).startswith(f"has expired on {ended:%Y-%m-%d}")


def test_one_that_is_not_valid_yet() -> None:
    key = new_key()
    begins = NOW + timedelta(hours=1)
    assert "is not valid before" in only(signed(key, NAME, begins=begins), pem(key))


def test_an_authority_between_that_has_expired() -> None:
    key = new_key()
    between = signed(new_key(), begins=NOW - 2 * DAY, ends=NOW - DAY, subject="Example CA")
    assert only(signed(key, NAME) + between, pem(key)).startswith("has CN=Example CA, which has expired on")


def test_a_chain_in_the_wrong_order() -> None:
    key = new_key()
    chain = signed(new_key(), NAME, subject="Example CA") + signed(key, NAME)
    assert only(chain, pem(key)).startswith("does not begin with the host's own")


def test_the_common_name_is_no_name() -> None:
    key = new_key()
    problem = only(signed(key, subject=NAME), pem(key))
    assert problem.startswith(f"does not cover {NAME}, but no name")


@pytest.mark.parametrize(
    ("name", "there", "good"),
    [
        ("airflow.example.org", "*.example.org", True),
        ("AIRFLOW.example.org", "Airflow.Example.org", True),
        ("a.airflow.example.org", "*.example.org", False),
        ("example.org", "*.example.org", False),
        ("example.org", "*.org", True),
        ("10.0.0.7", "*.0.0.7", False),
        ("10.0.0.7", "10.0.0.8", False),
        ("fd00::7", "fd00::7", True),
        ("flower.example.org", "airflow.example.org", False),
    ],
)
def test_which_names_are_covered(name: str, there: str, good: bool) -> None:
    key = new_key()
    assert (certificate_problems(signed(key, there), pem(key), [name]) == []) is good


# --- What of it preflight is reported


def test_facts_tell_no_key() -> None:
    key = new_key()
    facts = front_facts(f"https://{NAME}/x", signed(key, "other.example.org"), pem(key))
    assert facts["https"]
    assert facts["given"] == ["certificate", "private_key"]
    assert facts["certificate"][0].startswith(f"does not cover {NAME}, but other.example.org")
    assert "PRIVATE KEY" not in str(facts)


def test_flower_s_own_name_has_to_be_covered_as_well() -> None:
    key = new_key()
    facts = front_facts(f"https://{NAME}", signed(key, NAME), pem(key), "flower.example.org")
    assert facts["certificate"][0].startswith("does not cover flower.example.org")
    assert facts["names"] == [NAME, "flower.example.org"]


def test_which_names_are_looked_up() -> None:
    assert front_facts("http://airflow.invalid")["unresolved"] == []
    assert front_facts("http://airflow.invalid", floating="10.0.0.7")["unresolved"] == ["airflow.invalid"]
    assert front_facts("https://airflow.invalid:8443")["unresolved"] == ["airflow.invalid"]
    assert front_facts("https://localhost")["unresolved"] == []
    assert front_facts("https://10.0.0.7")["names"] == []
    assert front_facts("") == {
        "https": False, "given": [], "certificate": [], "names": [], "unresolved": [],
    }  # fmt: skip
