# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find keys that anybody can read, and certificates without their chain: nginx accepts both. Private."""

from __future__ import annotations

import glob
import os
import stat
import typing as t

from .._system.files import read_file
from .certificate import CertificateError, Signed, read_signed
from .checks import Problem, ServerBlock
from .policy import CHAIN, KEY_MODE

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
            certificate, key = (path if _is_no_file(path) else absolute(path) for path in pair)
            found = []
            if not _is_no_file(certificate):
                found.append((CHAIN, "certificate", certificate, _chain_fault(certificate, read)))
            if not _is_no_file(key) and not is_staged(key):
                found.append((KEY_MODE, "key", key, _key_fault(key)))
            for kind, what, path, fault in found:
                if fault:
                    text = f"{what} {path}, used in {server.place}, {fault}"
                    problem = Problem(kind, path, (server.file,), text)
                    problems.setdefault(problem.key, problem)
    return list(problems.values())


def _is_no_file(path: str) -> bool:
    return "$" in path or path.startswith(("data:", "engine:", "store:"))


def _key_fault(path: str) -> str:
    """Return how everybody can read a key; an empty text when nobody can."""
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
    beside = _beside(path, first.issuer)
    if beside and beside[1].issuer == beside[1].subject:
        return ""
    source = f"append {beside[0]} to it" if beside else "append what the CA gave you as chain, bundle or intermediate"
    return (
        f"comes without that of its issuer '{first.issuer_name}', which browsers need to trust it: {source}, so that "
        "it has the whole chain (fullchain.pem)"
    )


def _is_root(subject: bytes, read: Reader) -> bool:
    try:
        return any(each.subject == subject for each in read_signed(read(_ROOTS) or b""))
    except CertificateError:
        return False


def _beside(path: str, subject: bytes) -> tuple[str, Signed] | None:
    """Return the file in the same directory that has the certificate with a subject, and that certificate."""
    directory = glob.escape(os.path.dirname(path))
    names = sorted({name for ending in _ENDINGS for name in glob.glob(os.path.join(directory, ending))} - {path})
    for name in names[:_MOST_FILES]:
        try:
            found = [each for each in read_signed(read_file(name) or b"") if each.subject == subject]
        except (CertificateError, OSError):
            continue
        if found:
            return name, found[0]
    return None
