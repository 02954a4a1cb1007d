# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remember for each site what its last attempt to get or renew a certificate came to. Private to flaskops.stack."""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import asdict, dataclass

from .._system.files import read_file, remove_file, write_file


@dataclass(frozen=True)
class Attempt:
    """A failed attempt: when, why, for which names at which CA, and until when the CA is not to be asked again."""

    when: float
    reason: str
    server: str = ""
    names: tuple[str, ...] = ()
    until: float = 0

    def forbids(self, server: str, names: t.Sequence[str], now: float) -> bool:
        """Tell whether the CA has said that it will not listen yet; one that is yet to come had a wrong clock."""
        return self.when <= now < self.until and self.server == server and set(self.names) == set(names)


class Attempts:
    """The failed attempts of a host, a file for each site."""

    def __init__(self, directory: str) -> None:
        """Name the directory; nothing is read or written."""
        self._directory = directory

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, f"{name}.json")

    def read(self, name: str) -> Attempt | None:
        """Return the last attempt if it has failed; None when it cannot be read, too."""
        try:
            values = json.loads(read_file(self._path(name)) or b"{}")
            return Attempt(
                float(values["when"]),
                str(values["reason"]),
                str(values["server"]),
                tuple(map(str, values["names"])),
                float(values["until"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, name: str, attempt: Attempt) -> None:
        """Record an attempt that has failed."""
        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        write_file(self._path(name), json.dumps(asdict(attempt)).encode(), 0o600)

    def forget(self, name: str) -> None:
        """Forget it: a later one has succeeded."""
        remove_file(self._path(name), sync=False)
