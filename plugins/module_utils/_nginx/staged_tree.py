# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration tree after a planned change: the disk with some paths replaced. Private to flaskops.stack."""

from __future__ import annotations

import fnmatch
import glob
import os
import stat
import typing as t

from .._system.files import read_file
from .conf import Configuration, load


class StagedTree:
    """Reads and globs like the disk, except that changed paths have their content to be (None: nothing)."""

    def __init__(self, changes: t.Mapping[str, bytes | None]) -> None:
        """Name the changes."""
        self._directories: dict[str, str] = {}
        self.changes = {self.key(path): content for path, content in changes.items()}
        self._by_directory: dict[str, list[str]] = {}
        for path in self.changes:
            self._by_directory.setdefault(os.path.dirname(path), []).append(path)

    def key(self, path: str) -> str:
        """Return a path with the links in its directory, not itself, resolved: one name for one place."""
        directory, base = os.path.split(path)
        if directory not in self._directories:
            self._directories[directory] = os.path.realpath(directory)
        return os.path.join(self._directories[directory], base)

    def changed(self, path: str) -> bool:
        """Tell whether a path is one of those that change."""
        return self.key(path) in self.changes

    def read(self, path: str) -> bytes | None:
        """Return the future content of a path, None when there is nothing that can be read."""
        key = self.key(path)
        if key in self.changes:
            return self.changes[key]
        try:
            return read_file(path) if stat.S_ISREG(os.stat(path).st_mode) else None
        except OSError:
            return None

    def glob(self, pattern: str) -> list[str]:
        """Return, sorted, the future names that match a pattern."""
        found = {path for path in glob.glob(pattern) if not self.changed(path)}
        parent, wanted = os.path.split(pattern)
        for directory in [parent] if not glob.has_magic(parent) else glob.glob(parent):
            for path in self._by_directory.get(os.path.realpath(directory), ()):
                base = os.path.basename(path)
                hidden = base.startswith(".") and not wanted.startswith(".")
                if self.changes[path] is not None and not hidden and fnmatch.fnmatchcase(base, wanted):
                    found.add(os.path.join(directory, base))
        return sorted(found)

    def load(self, main: str, options: str = "") -> Configuration:
        """Return the whole future configuration; C(options) are directives of nginx's command line."""
        return load(main, self.read, self.glob, options)
