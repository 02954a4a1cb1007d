# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pass the deploy key to a build, and remove the secrets of a build from its result. Private to flaskops.stack."""

from __future__ import annotations

import os
import re
import stat
import typing as t

from .._input.redact import MASK, spellings
from .._system.files import write_file
from .._system.planted import open_file, walk

# Shorter ones occur by chance.
_SHORTEST = 6
_CHUNK = 4 * 2**20
# Files in which installers and git record the origin of a package; their credentials are not needed again.
_NOTES = re.compile(r"(?:^|/)(?:[^/]+\.(?:dist|egg)-info|\.git)/")


class LeftSecretError(OSError):
    """A secret of a build in a file that stays."""


def private_cache(cache: str) -> str:
    """Return where a build that is given something secret works; it is removed with the build."""
    return os.path.join(cache, "private")


def write_deploy_key(cache: str, deploy_key: str, known_hosts: str, uid: int, gid: int) -> None:
    """Put a deploy key where the build's user alone reads it."""
    for name, text in (("deploy_key", deploy_key), ("known_hosts", known_hosts)):
        # ssh refuses a key whose last line does not end.
        data = (text.replace("\r\n", "\n").rstrip("\n") + "\n").encode()
        write_file(os.path.join(cache, name), data, 0o600, uid, gid, sync=False)


def remove_secrets(tops: t.Sequence[str], secrets: t.Mapping[str, str]) -> None:
    """Mask the secrets of a build in the records of installers; raise LeftSecretError for other files.

    The trees are root's, and no other user can write to them any more.
    """
    wanted = {
        form.encode(): name
        for name, value in secrets.items()
        if len(value.strip()) >= _SHORTEST
        for form in spellings(value.strip())
    }
    longest = max(map(len, wanted), default=0)
    for top in tops if wanted else ():
        for path, _directories, others, descriptor in walk(top):
            for name in others:
                if stat.S_ISREG(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode):
                    _clean(name, descriptor, os.path.join(path, name), top, wanted, longest)


def _clean(name: str, directory: int, path: str, top: str, wanted: t.Mapping[bytes, str], longest: int) -> None:
    found = _find(open_file(name, directory, path), wanted, longest)
    if not found:
        return
    shown = os.path.relpath(path, os.path.dirname(top))
    if not _NOTES.search(shown):
        raise LeftSecretError(
            f"{shown} holds the value of build_secrets.{found}: the build of a package has written it there, where the "
            "application and others could read it; let that build not keep it, or use another secret"
        )
    with os.fdopen(open_file(name, directory, path), "rb") as stream:
        status, data = os.fstat(stream.fileno()), stream.read()
    for form in sorted(wanted, key=len, reverse=True):
        data = data.replace(form, MASK.encode())
    write_file(path, data, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, sync=False)


def _find(descriptor: int, wanted: t.Mapping[bytes, str], longest: int) -> str:
    """Return the name of a secret that is in an open file, and close that."""
    kept = b""
    with os.fdopen(descriptor, "rb") as stream:
        while True:
            data = stream.read(_CHUNK)
            if not data:
                return ""
            kept = kept[-longest:] + data
            for form, name in wanted.items():
                if form in kept:
                    return name
