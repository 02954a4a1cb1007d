# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.certificate import (
    CertificateError,
    covers,
    read_certificate,
)

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")


def made(path: Path, key: list[str], days: int, *options: str) -> bytes:
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", *key, "-days", str(days), "-out", str(path / "c.pem")]
    command += ["-keyout", str(path / "k.pem"), *options]
    subprocess.run(command, check=True, capture_output=True)
    return (path / "c.pem").read_bytes()


@pytest.mark.parametrize("key", [["rsa:2048"], ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]])
def test_names_and_end_are_read(tmp_path: Path, key: list[str]) -> None:
    names = "subjectAltName=DNS:A.example.com,DNS:*.b.example.com,IP:192.0.2.1,email:x@example.com"
    certificate = read_certificate(made(tmp_path, key, 10, "-subj", "/CN=other", "-addext", names))
    assert certificate.names == ("a.example.com", "*.b.example.com", "192.0.2.1")
    assert abs(certificate.not_after - time.time() - 10 * 86400) < 300


def test_the_common_name_counts_where_there_is_no_other(tmp_path: Path) -> None:
    certificate = read_certificate(made(tmp_path, ["rsa:2048"], 36500, "-subj", "/O=x/CN=c.example.com"))
    assert certificate.names == ("c.example.com",)
    assert certificate.not_after > time.time() + 36000 * 86400


def test_the_first_of_a_chain_counts(tmp_path: Path) -> None:
    first = made(tmp_path, ["rsa:2048"], 10, "-subj", "/CN=first")
    second = made(tmp_path, ["rsa:2048"], 10, "-subj", "/CN=second")
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
