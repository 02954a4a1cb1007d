# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import ipaddress
import time

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.certificate import (
    CertificateError,
    covers,
    read_certificate,
)
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.made_certificates import (
    KINDS,
    named,
    new_key,
    signed,
)
from cryptography import x509


@pytest.mark.parametrize("kind", KINDS)
def test_names_and_end_are_read(kind: str) -> None:
    names = [x509.DNSName("A.example.com"), x509.DNSName("*.b.example.com")]
    others = [x509.IPAddress(ipaddress.ip_address("192.0.2.1")), x509.RFC822Name("x@example.com")]
    certificate = read_certificate(signed(named("other"), new_key(kind), names=[*names, *others], days=10))
    assert certificate.names == ("a.example.com", "*.b.example.com", "192.0.2.1")
    assert abs(certificate.not_after - time.time() - 10 * 86400) < 300


def test_the_common_name_counts_where_there_is_no_other() -> None:
    certificate = read_certificate(signed(named("c.example.com", "x"), new_key("rsa"), days=36500))
    assert certificate.names == ("c.example.com",)
    assert certificate.not_after > time.time() + 36000 * 86400


def test_the_first_of_a_chain_counts() -> None:
    first, second = (signed(named(name), new_key("ec")) for name in ("first", "second"))
    assert read_certificate(b"text\n" + first + second).names == ("first",)


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"nonsense",
        b"-----BEGIN CERTIFICATE-----\nMIIBIjAN\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n!\n-----END",
    ],
)
def test_what_is_no_certificate_is_said_to_be_none(pem: bytes) -> None:
    with pytest.raises(CertificateError):
        read_certificate(pem)


@pytest.mark.parametrize(
    ("names", "host", "expected"),
    [
        (["a.b"], "a.b", True),
        (["*.b"], "a.b", True),
        (["*.b"], "b", False),
        (["*.b"], "x.a.b", False),
        (["*.b"], "*.b", True),
        (["*.c"], "*.b.c", False),
        (["a.b", "*.a.b"], ".a.b", True),
        (["*.a.b"], ".a.b", False),
    ],
)
def test_a_name_covers_what_browsers_say_it_does(names: list[str], host: str, expected: bool) -> None:
    assert covers(names, host) is expected
