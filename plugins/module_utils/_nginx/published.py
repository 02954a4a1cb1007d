# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificate that visitors of a site get today, by the configuration that is published. Only reads. Private.

A site that is to have a certificate of a CA keeps it until that has come.
"""

from __future__ import annotations

import os
import typing as t

from .._site.syntax import descend
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
from .checks import find_servers
from .conf import Configuration, ConfigurationError
from .staged_tree import StagedTree

# A certificate with its chain, and its key.
Paths = t.Tuple[str, str]


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


def find_named(main: str, sites: t.Mapping[str, str]) -> dict[str, list[Paths]]:
    """Return the certificates and keys that nginx reads for sites, by their names; C(sites) has these by their links.

    They may be named in files that a site includes, and once for all sites.
    """
    tree = StagedTree({})
    try:
        config = tree.load(main)
    except ConfigurationError:
        return {}
    owners = {tree.key(file): name for link, name in sites.items() for file in _files(config, link)}
    found: dict[str, list[Paths]] = {}
    for server in find_servers(config):
        name = owners.get(tree.key(server.file), "")
        if name and any(listen.tls for listen in server.listens):
            pairs = [(config.absolute(chain), config.absolute(key)) for chain, key in server.certificates]
            found.setdefault(name, []).extend(pairs)
    return found


def _files(config: Configuration, path: str) -> t.Iterator[str]:
    """Yield a file and those that it includes."""
    yield path
    for directive in descend(config.files.get(path, ())):
        if directive.name == "include" and directive.args:
            for included in config.includes.get(directive.args[0], ()):
                yield from _files(config, included)


def find_published(named: t.Iterable[Paths], names: t.Sequence[str], now: float) -> Pair | None:
    """Return the pair that is trusted for most of the names, and of several the one that is valid longest."""

    def worth(pair: Pair) -> tuple[int, float]:
        return len(_covered(pair.certificate, names, now)), pair.certificate.not_after

    best = max(filter(None, map(_read, dict.fromkeys(named))), key=worth, default=None)
    return best if best and worth(best)[0] else None


def is_better(pair: Pair, other: bytes, names: t.Sequence[str], now: float) -> bool:
    """Tell whether a pair is good for a name for which another certificate is not, or for the same ones and longer."""
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


def _read(paths: Paths) -> Pair | None:
    """Return a pair that nginx would load; None when it would not, or when the certificate is self-signed."""
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
