# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificate that visitors of a site get today, by the configuration that is published. Only reads. Private.

A site that is to have a certificate of a CA keeps it until that has come.
"""

from __future__ import annotations

import os
import typing as t

from .._site.syntax import Directive, parse
from .._system.files import read_file
from .certificate import (
    Certificate,
    CertificateError,
    covers,
    directory_of,
    read_certificate,
    read_signed,
    without_keys,
)


class Pair(t.NamedTuple):
    """A certificate with its chain and its key, and the file that it was read from."""

    source: str
    chain: bytes
    key: bytes
    certificate: Certificate

    @property
    def directory(self) -> str:
        """Return the name of the directory for a copy."""
        return directory_of(self.chain, self.key)


def find_published(texts: t.Iterable[bytes], names: t.Sequence[str], now: float) -> Pair | None:
    """Return the pair that configurations name and that is trusted for most of the names; None when there is none."""
    named = [paths for text in texts for paths in _named(parse(text.decode("utf-8", "replace")))]
    found = [pair for pair in map(_read, dict.fromkeys(named)) if pair and _covered(pair.certificate, names, now)]
    return max(found, key=lambda pair: len(_covered(pair.certificate, names, now)), default=None)


def is_better(pair: Pair, other: bytes, names: t.Sequence[str], now: float) -> bool:
    """Tell whether a pair is good for more of the names than another certificate, or for the same ones and longer."""
    try:
        before = read_certificate(other)
    except CertificateError:
        return True
    ours, theirs = (_covered(each, names, now) for each in (pair.certificate, before))
    return not ours <= theirs or (ours == theirs and pair.certificate.not_after > before.not_after)


def _covered(certificate: Certificate, names: t.Iterable[str], now: float) -> set[str]:
    """Return the names for which a certificate is good now."""
    if not certificate.not_before <= now < certificate.not_after:
        return set()
    return {name for name in names if covers(certificate.names, name.lower())}


def _named(level: t.Sequence[Directive]) -> t.Iterator[tuple[str, str]]:
    """Yield the paths of certificates and their keys."""
    words = ("ssl_certificate", "ssl_certificate_key")
    certificates, keys = ([each.args[0] for each in level if each.name == word and each.args] for word in words)
    yield from zip(certificates, keys)
    for each in level:
        yield from _named(each.block or [])


def _read(paths: tuple[str, str]) -> Pair | None:
    """Return a pair that nginx would load; None when it would not, or when the certificate is self-signed."""
    if not all(map(os.path.isabs, paths)):
        return None
    try:
        whole, key = (read_file(path) or b"" for path in paths)
        chain = without_keys(whole)
        signed, certificate = read_signed(chain), read_certificate(chain)
    except (ValueError, OSError):
        # No certificate, or a path with a character that no path has.
        return None
    return Pair(paths[0], chain, key, certificate) if not signed[0].is_self_signed and _fits(chain, key) else None


def _fits(chain: bytes, key: bytes) -> bool:
    """Tell whether a key is that of a certificate, and needs no password."""
    # Loaded when the certificate of a site comes from elsewhere than before.
    import ssl

    # Python reads files only, and the key is to be on no disk for this.
    descriptor = os.memfd_create("pair")
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(chain + b"\n" + key)
        stream.flush()
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(f"/proc/self/fd/{descriptor}", password="")
        except (ssl.SSLError, OSError):
            return False
    return True
