# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find keys that all users can read, and certificates without their chain: nginx accepts both. Private."""

from __future__ import annotations

import glob
import os
import stat
import typing as t

from .._system.files import read_file
from .certificate import EC, RSA, CertificateError, Signed, read_key_kind, read_signed
from .checks import Problem, ServerBlock
from .policy import CHAIN, KEY_MODE, PAIR

# The roots that the distribution trusts.
_ROOTS = "/etc/ssl/certs/ca-certificates.crt"
_ENDINGS = ("*.pem", "*.crt", "*.cer")
# A directory with more files than these is not looked through.
_MOST_FILES = 200

Reader = t.Callable[[str], t.Optional[bytes]]


def find_file_problems(
    servers: t.Iterable[ServerBlock], absolute: t.Callable[[str], str], read: Reader, is_staged: t.Callable[[str], bool]
) -> list[Problem]:
    """Return what is wrong with the files of certificates and keys that servers use, once for each file of nginx."""
    problems: dict[tuple[str, str, tuple[str, ...]], Problem] = {}
    for server in servers:
        for pair in server.certificates:
            if any(map(_is_no_file, pair)):
                continue
            certificate, key = map(absolute, pair)
            found = [
                (CHAIN, "certificate", certificate, _chain_fault(certificate, read)),
                (PAIR, "certificate", certificate, _pair_fault(certificate, key, read)),
                (KEY_MODE, "key", key, "" if is_staged(key) else _key_fault(key)),
            ]
            for kind, what, path, fault in found:
                if fault:
                    text = f"{what} {path}, used in {server.place}, {fault}"
                    problem = Problem(kind, path, (server.file,), text)
                    problems.setdefault(problem.key, problem)
    return list(problems.values())


def _pair_fault(certificate: str, key: str, read: Reader) -> str:
    """Return that a key is of another kind than its certificate: nginx takes them for halves of two pairs."""
    try:
        signed = read_signed(read(certificate) or b"")
    except CertificateError:
        return ""
    wanted, found = signed[0].key_kind if signed else b"", read_key_kind(read(key) or b"")
    if {wanted, found} != {RSA, EC}:
        return ""
    names = {RSA: "RSA", EC: "ECDSA"}
    return (
        f"does not match the key {key}: it is for a key of {names[wanted]}, and that is one of {names[found]}; name "
        "two files of one pair in tls.certificate and tls.key"
    )


def _is_no_file(path: str) -> bool:
    return "$" in path or path.startswith(("data:", "engine:", "store:"))


def _key_fault(path: str) -> str:
    """Return how all users can read a key; an empty text when they cannot."""
    try:
        real = os.path.realpath(path)
        mode = stat.S_IMODE(os.stat(real).st_mode)
        directory = os.path.dirname(real)
        while mode & stat.S_IROTH and directory != "/":
            if not os.stat(directory).st_mode & stat.S_IXOTH:
                return ""
            directory = os.path.dirname(directory)
    except OSError:
        # nginx says what is wrong with a missing one.
        return ""
    if not mode & stat.S_IROTH:
        return ""
    return f"can be read by every user of this host (mode {mode:04o}): 'chmod 600 {real}', and get a new pair"


def _chain_fault(path: str, read: Reader) -> str:
    """Return what a file lacks that browsers need to trust its first certificate; an empty text when it lacks nothing.

    A root, which signs itself, is none of it: who trusts it has it.
    """
    try:
        first, *others = read_signed(read(path) or b"")
    except (CertificateError, ValueError):
        return ""
    if first.issuer in (first.subject, *(each.subject for each in others)) or _is_root(first.issuer, read):
        return ""
    beside = _beside(path, first)
    if beside and beside.is_root:
        return ""
    source = beside.advice if beside else "append what the CA gave you as chain, bundle or intermediate to it"
    return f"comes without that of its issuer '{first.issuer_name}', which browsers need to trust it: {source}"


def _is_root(subject: bytes, read: Reader) -> bool:
    try:
        return any(each.subject == subject for each in read_signed(read(_ROOTS) or b""))
    except CertificateError:
        return False


class _Beside(t.NamedTuple):
    """A file that has the certificate of an issuer."""

    is_root: bool
    advice: str


def _beside(path: str, leaf: Signed) -> _Beside | None:
    """Return the file in the same directory that has the certificate of the issuer, and no key."""
    directory = glob.escape(os.path.dirname(path))
    names = {name for ending in _ENDINGS for name in glob.glob(os.path.join(directory, ending))} - {path}
    found = []
    for name in sorted(names)[:_MOST_FILES]:
        try:
            data = read_file(name) or b""
            signed = [] if b"PRIVATE KEY-----" in data else read_signed(data)
        except (CertificateError, OSError):
            continue
        issuers = [each for each in signed if each.subject == leaf.issuer]
        if issuers:
            is_whole = signed[0][:2] == leaf[:2]
            advice = f"name {name} instead, which has both" if is_whole else f"append {name} to it"
            found.append((not is_whole, len(signed), _Beside(issuers[0].is_self_signed, advice)))
    return min(found)[2] if found else None
