# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follow the includes of nginx configuration, as nginx does. Private to flaskops.stack."""

from __future__ import annotations

import os
import re
import typing as t

from .._site.syntax import Directive, descend, parse

_GLOB = re.compile(r"[*?\[]")


# Stands for a file where directives are given by nginx's option -g.
COMMAND_LINE = "command line"


class ConfigurationError(ValueError):
    """A configuration that cannot be followed to its end."""


class Placed(t.NamedTuple):
    """A directive and the file it stands in."""

    directive: Directive
    file: str


class Configuration:
    """Everything that nginx reads, beginning with one file, in the order in which nginx reads it."""

    def __init__(self, main: str, options: str = "") -> None:
        """Name the main file, from whose directory relative includes are taken, and what C(-g) says before it."""
        self.main = main
        self.options = options
        self.given = parse(options)
        self.texts: dict[str, str] = {}
        self.files: dict[str, list[Directive]] = {}
        self.includes: dict[str, list[str]] = {}
        self.missing: list[str] = []

    def absolute(self, path: str) -> str:
        """Return the place of a path that nginx takes from the directory of its main file."""
        return path if path.startswith("/") else os.path.join(os.path.dirname(self.main), path)

    def expand(self, directives: t.Iterable[Directive], file: str) -> t.Iterator[Placed]:
        """Yield the directives of one block with those of included files in place of C(include)."""
        for directive in directives:
            if directive.name != "include" or len(directive.args) != 1:
                yield Placed(directive, file)
                continue
            for path in self.includes.get(directive.args[0], ()):
                yield from self.expand(self.files.get(path, ()), path)

    def top(self) -> t.Iterator[Placed]:
        """Yield the directives of the main level."""
        yield from self.expand(self.given, COMMAND_LINE)
        yield from self.expand(self.files.get(self.main, ()), self.main)

    def inside(self, placed: Placed) -> t.Iterator[Placed]:
        """Yield the directives in a block."""
        return self.expand(placed.directive.block or (), placed.file)

    def line(self, placed: Placed) -> int:
        """Return the line, from 1, in which a directive stands."""
        text = self.texts.get(placed.file, self.options)
        return text.count("\n", 0, placed.directive.offset) + 1


Reader = t.Callable[[str], t.Optional[bytes]]
Globber = t.Callable[[str], t.List[str]]


def load(main: str, read: Reader, glob: Globber, options: str = "") -> Configuration:
    """Follow all includes from the main file; raise ConfigurationError where a file includes itself.

    C(glob) returns the sorted names that match a pattern. nginx itself says what is wrong with a missing file.
    """
    config = Configuration(main, options)
    _follow(config, config.given, read, glob, ())
    _load(config, main, read, glob, ())
    return config


def _load(config: Configuration, path: str, read: Reader, glob: Globber, chain: tuple[str, ...]) -> None:
    if path in chain:
        loop = " -> ".join([*chain[chain.index(path) :], path])
        raise ConfigurationError(f"{path} includes itself ({loop}): remove one of these includes")
    if path in config.files:
        return
    data = read(path)
    if data is None:
        config.missing.append(path)
        return
    config.texts[path] = text = data.decode("utf-8", "surrogateescape")
    config.files[path] = directives = parse(text)
    if "include" in text:
        _follow(config, directives, read, glob, (*chain, path))


def _follow(
    config: Configuration, directives: t.Iterable[Directive], read: Reader, glob: Globber, chain: tuple[str, ...]
) -> None:
    for directive in descend(directives):
        if directive.name == "include" and len(directive.args) == 1:
            for found in _included(config, directive.args[0], glob):
                _load(config, found, read, glob, chain)


def _included(config: Configuration, pattern: str, glob: Globber) -> list[str]:
    if pattern not in config.includes:
        full = config.absolute(pattern)
        config.includes[pattern] = glob(full) if _GLOB.search(full) else [full]
    return config.includes[pattern]


def quote(value: str) -> str:
    """Return a value as one nginx word."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def replace_words(text: str, replacements: t.Iterable[tuple[tuple[int, int], str]]) -> str:
    """Return the text with the given spans replaced; the count of lines stays, so that messages name the right one."""
    parts: list[str] = []
    last = 0
    for (start, end), word in sorted(replacements):
        parts += [text[last:start], word, "\n" * text.count("\n", start, end)]
        last = end
    return "".join([*parts, text[last:]])
