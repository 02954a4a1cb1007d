# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment for nginx -t: a private directory with the staged configuration. Private to flaskops.stack.

Two ways: directories and files to be mounted over the real ones in a mount namespace of the test's own, or, where
mounts are not allowed, a shadow tree of everything that nginx reads, with includes and written paths pointed into it.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import typing as t

from .._site.syntax import Directive, descend
from .build_options import TEMPORARY, Build
from .conf import Configuration, quote, replace_words
from .references import LOGS, log_path, log_paths
from .staged_tree import StagedTree

_CACHES = ("proxy_cache_path", "fastcgi_cache_path", "uwsgi_cache_path", "scgi_cache_path")
_PATHS = (*TEMPORARY.values(), *_CACHES)
# A scratch directory over one of these would hide what a test needs.
_NEVER_HIDE = (
    "/",
    "/dev",
    "/etc",
    "/run",
    "/tmp",
    "/usr",
    "/var",
    "/var/lib",
    "/var/run",
    "/var/tmp",
    "/root",
    "/home",
)
# A GeoIP database has 60 MiB, a configuration some KiB; a mount costs a millisecond.
_LARGE = 1024 * 1024
# Their relative paths are taken from nginx's prefix, which a shadow does not change.
_FROM_PREFIX = (*_PATHS, *LOGS, "alias", "load_module", "pid", "root")
_UP = re.compile(r"(?:\.\.?/+)+")
_WRITES = re.compile(r"\b(?:pid|http)[ \t\r\n{]|_(?:temp|cache)_path\b")


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _existing(directory: str) -> str:
    """Return the nearest directory, upwards, that is there."""
    while not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    return directory


def _is_plain_file(path: str) -> bool:
    return os.path.isfile(path) and not os.path.islink(path)


def _is_costly(entry: os.DirEntry[str]) -> bool:
    """Tell whether a file is better mounted than copied: one of some size, or code (the stage may be noexec)."""
    return entry.name.endswith(".so") or entry.stat().st_size > _LARGE


class ValidationEnvironment:
    """A private directory with staged files and scratch directories, and the real paths to report for them."""

    def __init__(self, directory: str, config: Configuration, staged_tree: StagedTree, build: Build) -> None:
        """Name the directory and what is to be tested; nothing is written."""
        self.directory = directory
        self.shadow = os.path.join(directory, "shadow")
        self.mounts: list[tuple[str, str]] = []
        self._config = config
        self._staged_tree = staged_tree
        self._build = build
        self._count = 0
        self._names: dict[str, str] = {}
        self._hiding: dict[str, bool] = {}
        self._owner = self._worker_uid()
        self._logs = log_paths(config, build.prefix) | ({build.error_log} - {"stderr"})

    def _new(self, kind: str) -> str:
        self._count += 1
        return os.path.join(self.directory, f"{kind}{self._count}")

    def _scratch(self) -> str:
        path = self._new("scratch")
        os.mkdir(path)
        return path

    def _write(self, path: str, data: bytes) -> str:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(data)
        return path

    def real_names(self, text: str) -> str:
        """Return nginx's words with the real paths in place of staged ones."""
        for staged in sorted(self._names, key=len, reverse=True):
            text = text.replace(staged, self._names[staged])
        return text

    # What the test must not touch: pid file, logs, temporary files and caches.

    def _worker_uid(self) -> int:
        name = next((item.directive.args[0] for item in self._config.top() if item.directive.name == "user"), "")
        try:
            return pwd.getpwnam(name or self._build.user).pw_uid
        except KeyError:
            return -1

    def _settled(self, path: str) -> bool:
        """Tell whether nginx would leave a directory as it is: it makes missing ones and takes over others' ones."""
        try:
            return os.stat(path).st_uid == self._owner
        except OSError:
            return False

    def _stand_in(self, path: str) -> str:
        """Return a private path to be used for one that the test must not touch."""
        scratch = os.path.join(self._scratch(), os.path.basename(path) or "x")
        self._names[scratch] = path
        return scratch

    def _harmless(self, directive: Directive, logs: bool) -> str:
        """Return the private path that takes the place of a directive's first argument; '' when it can stay."""
        prefix = self._build.prefix
        path = os.path.join(prefix, directive.args[0]) if directive.args else ""
        if not path or not os.path.isdir(os.path.dirname(path)) or "$" in path:
            return ""  # nginx's own complaint is the right one
        if directive.name == "pid" or (directive.name in _PATHS and not self._settled(path)):
            return self._stand_in(path)
        log = log_path(directive, prefix)
        if log and (logs or self._hides(os.path.dirname(log))) and not os.path.isdir(log):
            return self._stand_in(log)
        return ""

    def _neutral(self, file: str, logs: bool, shadow: str = "") -> bytes | None:
        """Return a file with harmless paths and those that lead into a shadow; None when it can stay as it is."""
        text = self._config.texts[file]
        changed = self._harmless_text(text, self._config.files[file], logs, shadow)
        return None if changed == text else _encode(changed)

    def _harmless_text(self, text: str, directives: t.Iterable[Directive], logs: bool, shadow: str) -> str:
        replacements = []
        for item in descend(directives):
            if shadow:
                replacements += self._shadowed(item, shadow)
            if item.name in ("pid", *_PATHS, *LOGS):
                stand_in = self._harmless(item, logs)
                if stand_in:
                    replacements.append((item.spans[0], quote(stand_in)))
            elif item.name == "http" and item.block is not None:
                missing = self._missing_paths()
                replacements += [(self._block_start(text, item), "{" + missing)] if missing else []
        return replace_words(text, replacements)

    def _shadowed(self, directive: Directive, root: str) -> list[tuple[tuple[int, int], str]]:
        """Return what replaces words that would lead out of a shadow, or past it to what changes."""
        found = []
        # Above the root directory there is the root directory.
        most = os.path.realpath(os.path.dirname(self._config.main)).strip("/").count("/") + 1
        for span, word in zip(directive.spans, directive.args):
            up = _UP.match(word)
            if word.startswith("/") and (directive.name == "include" or self._staged_tree.changed(word)):
                found.append((span, quote(root + word)))
            elif up and up.group().count("..") > most and directive.name not in _FROM_PREFIX:
                found.append((span, quote("../" * most + word[up.end() :])))
        return found

    @staticmethod
    def _block_start(text: str, directive: Directive) -> tuple[int, int]:
        start = text.index("{", directive.offset)
        return (start, start + 1)

    def _missing_paths(self) -> str:
        """Return directives for compiled-in temporary directories that nginx would make or take over."""
        given = {
            item.directive.name
            for http in self._config.top()
            if http.directive.name == "http"
            for item in self._config.inside(http)
        }
        return "".join(
            f" {name} {quote(self._stand_in(path))};"
            for name, path in self._build.temporary
            if name not in given and not self._settled(path) and os.path.isdir(os.path.dirname(path))
        )

    def _hides(self, directory: str) -> bool:
        """Tell whether a scratch directory in a place would hide more than logs."""
        if directory not in self._hiding:
            below = directory + "/"
            needed = (*self._config.files, self._build.config, self._build.prefix + "/")
            more = any(path.startswith(below) for path in needed) or self._is_used(below)
            self._hiding[directory] = directory in _NEVER_HIDE or more
        return self._hiding[directory]

    def _is_used(self, below: str) -> bool:
        """Tell whether the configuration names something else than a log below a directory."""
        return any(
            item.name not in LOGS and any(argument.startswith(below) for argument in item.args)
            for file, text in self._config.texts.items()
            if below in text
            for item in descend(self._config.files[file])
        )

    def arguments(self, shadow: str = "") -> list[str]:
        """Return the directives that nginx is started with; the test must not make the compiled-in pid file either."""
        given = self._harmless_text(self._config.options, self._config.given, logs=True, shadow=shadow)
        if not any(item.directive.name == "pid" for item in self._config.top()):
            given += f" pid {quote(self._stand_in(self._build.pid))};"
        return ["-g", given.strip()] if given.strip() else []

    # Mounts

    def prepare_mounts(self) -> None:
        """Stage what is to be mounted over the real tree."""
        changes: dict[str, bytes | None] = dict(self._staged_tree.changes)
        hidden = any(self._hides(directory) for directory in self._log_directories())
        for file, text in self._config.texts.items():
            if _WRITES.search(text) or (hidden and "_log" in text):
                data = self._neutral(file, logs=False)
                if data is not None:
                    changes[self._staged_tree.key(file)] = data
        places: dict[str, dict[str, bytes | None]] = {}
        for path, content in changes.items():
            places.setdefault(_existing(os.path.dirname(path)), {})[path] = content
        for directory in sorted(places):
            self._mount_changes(directory, places[directory])
        self._mount_scratch()

    def _mount_changes(self, directory: str, changes: t.Mapping[str, bytes | None]) -> None:
        if all(content is not None and _is_plain_file(path) for path, content in changes.items()):
            for path, content in changes.items():
                self.mounts.append((self._write(self._new("file"), content or b""), path))
            return
        staged = self._copy_directory(directory, changes)
        for path, content in changes.items():
            if content is not None:
                self._write(os.path.join(staged, os.path.relpath(path, directory)), content)
        self.mounts.append((staged, directory))

    def _copy_directory(self, directory: str, without: t.Container[str]) -> str:
        """Stage a copy of a directory: links as they are, files copied, the rest mounted into it."""
        staged = self._new("directory")
        os.mkdir(staged)
        shutil.copymode(directory, staged)
        with os.scandir(directory) as entries:
            for entry in entries:
                copy = os.path.join(staged, entry.name)
                if os.path.join(directory, entry.name) in without:
                    continue
                if entry.is_symlink():
                    os.symlink(os.readlink(entry.path), copy)
                elif entry.is_dir():
                    os.mkdir(copy)
                    self.mounts.append((entry.path, copy))
                elif entry.is_file() and _is_costly(entry):
                    self.mounts.append((entry.path, self._write(copy, b"")))
                elif entry.is_file():
                    shutil.copy(entry.path, copy)
        return staged

    def _log_directories(self) -> list[str]:
        return sorted({os.path.dirname(path) for path in self._logs if os.path.isdir(os.path.dirname(path))})

    def _mount_scratch(self) -> None:
        """Hide the directories of the live logs."""
        for directory in self._log_directories():
            if self._hides(directory):
                continue
            scratch = self._scratch()
            for path in self._logs:
                if os.path.dirname(path) == directory and os.path.isdir(path):
                    os.mkdir(os.path.join(scratch, os.path.basename(path)))
            self.mounts.append((scratch, os.path.realpath(directory)))

    # Shadow tree

    def prepare_shadow(self) -> str:
        """Make a tree of everything that nginx reads; return its main file.

        All else that there is (certificates, password files) is linked into it, from the root directory on: nginx takes
        relative paths from the directory of its main file, and they may leave it. Links of directories are made anew,
        so that C(..) leads behind them to where it does in the real tree.
        """
        root = self.shadow
        self._names[root] = ""
        for file in self._config.files:
            data = self._neutral(file, logs=True, shadow=root)
            self._write(self._mirrored(file, root), _encode(self._config.texts[file]) if data is None else data)
        for file in self._config.missing:
            place = self._mirrored(file, root)
            if os.path.islink(file) and not os.path.lexists(place):
                os.symlink(file, place)
        for path, content in self._staged_tree.changes.items():
            place = self._mirrored(path, root)
            if content is not None and not os.path.lexists(place):
                self._write(place, content)
        self._mirrored(self._config.main, root)
        self._link_others("/", root)
        return root + self._config.main

    def _mirrored(self, path: str, root: str) -> str:
        """Return the place of a path in the shadow, with its directories and the links on the way made there."""
        place = "/"
        directory, base = os.path.split(path)
        for part in directory.split("/"):
            place = os.path.dirname(place) if part == ".." else os.path.join(place, part)
            if part not in ("", ".", "..") and os.path.islink(place):
                link, place = root + place, os.path.realpath(place)
                if not os.path.lexists(link):
                    os.symlink(root + place, link)
            os.makedirs(root + place, exist_ok=True)
        return os.path.join(root + place, base)

    def _link_others(self, directory: str, root: str) -> None:
        """Link what a real directory holds into its shadow, and do the same below where the shadow has a directory."""
        with os.scandir(directory) as entries:
            for entry in entries:
                shadow = root + entry.path
                if os.path.isdir(shadow) and not os.path.islink(shadow):
                    self._link_others(entry.path, root)
                elif not os.path.lexists(shadow) and not self._staged_tree.changed(entry.path):
                    os.symlink(self._target(entry, root), shadow)

    def _target(self, entry: os.DirEntry[str], root: str) -> str:
        """Return what stands for an entry in a shadow: itself, but for a link to what the shadow has of its own."""
        if entry.is_symlink():
            real = os.path.realpath(entry.path)
            staged = root + real
            if self._staged_tree.changed(real) or (os.path.exists(staged) and not os.path.islink(staged)):
                return staged
        return entry.path
