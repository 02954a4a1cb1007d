# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read host names and dates of an X.509 certificate without a library or a process. Private to flaskops.stack.

nginx itself refuses a key that does not match; what it does not look at is read here. A thousand sites would cost a
thousand runs of openssl(1).
"""

from __future__ import annotations

import base64
import binascii
import calendar
import hashlib
import re
import time
import typing as t

_PEM = re.compile(rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----(.+?)-----END", re.DOTALL)
_BLOCK = re.compile(rb"-----BEGIN (TRUSTED |X509 |)CERTIFICATE-----.+?-----END \1CERTIFICATE-----", re.DOTALL)
_KEY = re.compile(rb"-----BEGIN (RSA |EC |)PRIVATE KEY-----(.+?)-----END", re.DOTALL)
RSA, EC = bytes.fromhex("2a864886f70d010101"), bytes.fromhex("2a8648ce3d0201")
_KEY_KINDS = {b"RSA ": RSA, b"EC ": EC}
_SUBJECT_ALT_NAME = bytes((0x55, 0x1D, 0x11))
_COMMON_NAME = bytes((0x55, 0x04, 0x03))
_DNS, _ADDRESS = 0x82, 0x87
_EXPLICIT_0, _EXPLICIT_3, _UTC_TIME = 0xA0, 0xA3, 0x17
# Begins the name of a directory with copies for nginx of a certificate that a CA has issued.
ISSUED_PREFIX = "issued-"


def directory_of(chain: bytes, key: bytes) -> str:
    """Return the name of the directory with copies of a certificate and its key: it says what is in it."""
    return ISSUED_PREFIX + hashlib.sha256(chain + key).hexdigest()[:12]


def without_keys(pem: bytes) -> bytes:
    """Return the certificates of a file alone: many files hold the key, too, which only root may read."""
    return b"".join(match.group() + b"\n" for match in _BLOCK.finditer(pem))


class CertificateError(ValueError):
    """A file that holds no certificate that can be read."""


class Certificate(t.NamedTuple):
    """The host names of a certificate, and the times at which it ends and begins to be valid."""

    names: tuple[str, ...]
    not_after: float
    not_before: float = 0


class _Node(t.NamedTuple):
    tag: int
    data: bytes


def _nodes(data: bytes) -> list[_Node]:
    """Return the DER values that stand one after the other in C(data)."""
    found, place = [], 0
    while place < len(data):
        tag, size, place = data[place], data[place + 1], place + 2
        if size & 0x80:
            count = size & 0x7F
            size, place = int.from_bytes(data[place : place + count], "big"), place + count
        if place + size > len(data):
            raise CertificateError("truncated DER value")
        found.append(_Node(tag, data[place : place + size]))
        place += size
    return found


def _time(node: _Node) -> float:
    text = node.data.decode("ascii")
    if node.tag == _UTC_TIME:
        # RFC 5280: two-digit years from 50 on are in the last century.
        text = ("19" if text >= "50" else "20") + text
    return float(calendar.timegm(time.strptime(text, "%Y%m%d%H%M%SZ")))


def _alternative_names(fields: t.Sequence[_Node]) -> list[str]:
    for block in fields:
        if block.tag != _EXPLICIT_3:
            continue
        for extension in _nodes(_nodes(block.data)[0].data):
            parts = _nodes(extension.data)
            if parts[0].data == _SUBJECT_ALT_NAME:
                return [_general_name(node) for node in _nodes(_nodes(parts[-1].data)[0].data)]
    return []


def _general_name(node: _Node) -> str:
    if node.tag == _ADDRESS:
        return ".".join(str(byte) for byte in node.data) if len(node.data) == 4 else node.data.hex()
    return node.data.decode("ascii", "replace").lower() if node.tag == _DNS else ""


def _common_names(subject: _Node) -> list[str]:
    pairs = [_nodes(pair.data) for part in _nodes(subject.data) for pair in _nodes(part.data)]
    return [value.data.decode("utf-8", "replace").lower() for kind, value in pairs if kind.data == _COMMON_NAME]


def read_certificate(pem: bytes) -> Certificate:
    """Return the first certificate of a PEM file; raise CertificateError when there is none."""
    match = _PEM.search(pem)
    if match is None:
        raise CertificateError("it holds no PEM certificate")
    try:
        fields = _nodes(_nodes(_nodes(base64.b64decode(match.group(1)))[0].data)[0].data)
        # A version field stands first, except in X.509 version 1.
        _serial, _algorithm, _issuer, validity, subject = fields[1:6] if fields[0].tag == _EXPLICIT_0 else fields[:5]
        names = [name for name in _alternative_names(fields) if name] or _common_names(subject)
        begin, end = map(_time, _nodes(validity.data)[:2])
        return Certificate(tuple(names), end, begin)
    except (IndexError, ValueError, binascii.Error) as exc:
        raise CertificateError(f"its certificate cannot be read: {exc}") from exc


def covers(names: t.Iterable[str], host: str) -> bool:
    """Tell whether one of a certificate's names stands for a server_name; C(.example.com) needs both of its forms."""
    known = set(names)
    if host.startswith("."):
        return host[1:] in known and "*" + host in known
    _label, _dot, rest = host.partition(".")
    return host in known or (not host.startswith("*") and f"*.{rest}" in known)


class Signed(t.NamedTuple):
    """Who a certificate is of and who has signed it, as in the certificate, and the signer's name for people."""

    subject: bytes
    issuer: bytes
    issuer_name: str
    # The kind of its key: an object identifier.
    key_kind: bytes = b""

    @property
    def is_self_signed(self) -> bool:
        """Tell whether it has signed itself, as roots have."""
        return self.issuer == self.subject


def read_signed(pem: bytes) -> list[Signed]:
    """Return what all certificates of a PEM file say of that; raise CertificateError when one cannot be read."""
    found = []
    for match in _PEM.finditer(pem):
        try:
            fields = _nodes(_nodes(_nodes(base64.b64decode(match.group(1)))[0].data)[0].data)
            issuer, _validity, subject, public = fields[3:7] if fields[0].tag == _EXPLICIT_0 else fields[2:6]
            kind = _nodes(_nodes(public.data)[0].data)[0].data
            names = [value.decode("utf-8", "replace") for value in _texts(issuer)]
        except (IndexError, ValueError, binascii.Error) as exc:
            raise CertificateError(f"its certificates cannot be read: {exc}") from exc
        found.append(Signed(subject.data, issuer.data, names[-1] if names else "", kind))
    return found


def read_key_kind(pem: bytes) -> bytes:
    """Return the kind of a private key in PEM, as C(Signed) has it; nothing for one that cannot be told."""
    match = _KEY.search(pem)
    if match is None:
        return b""
    if match.group(1) in _KEY_KINDS:
        return _KEY_KINDS[match.group(1)]
    try:
        return _nodes(_nodes(_nodes(base64.b64decode(match.group(2)))[0].data)[1].data)[0].data
    except (IndexError, ValueError, binascii.Error):
        return b""


def _texts(name: _Node) -> list[bytes]:
    """Return the values of a distinguished name; the common name is usually the last."""
    return [_nodes(pair.data)[1].data for part in _nodes(name.data) for pair in _nodes(part.data)]
