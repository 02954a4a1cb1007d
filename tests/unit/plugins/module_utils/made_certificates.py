# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real certificates and keys, made without openssl(1) by the library that Ansible brings."""

from __future__ import annotations

import datetime
import typing as t

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

Key = t.Union[ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey]
KINDS = ("rsa", "ec")


def new_key(kind: str) -> Key:
    """Return a key, C(rsa) or C(ec)."""
    return ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, 2048)


def key_text(key: Key, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    """Return a key as PEM."""
    return key.private_bytes(Encoding.PEM, form, NoEncryption())


def named(name: str, organisation: str = "") -> x509.Name:
    """Return the subject with a common name."""
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation)] if organisation else []
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def signed(
    subject: x509.Name,
    key: Key,
    issuer: x509.Name | None = None,
    signer: Key | None = None,
    names: t.Sequence[x509.GeneralName] = (),
    days: int = 30,
) -> bytes:
    """Return a certificate for a key as PEM, which another one has signed, or itself."""
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder(issuer or subject, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=days))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signer or key, hashes.SHA256()).public_bytes(Encoding.PEM)
