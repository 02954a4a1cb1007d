# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requirements files as pip and uv read them. Private to flaskops.stack.

Only lines that pip and uv read alike, and that name no file but an included one, count as understood. What a virtualenv
holds can depend on any file of the source when there is another line.
"""

from __future__ import annotations

import codecs
import re
import typing as t
from dataclasses import dataclass

# Longest first: UTF-32 LE begins like UTF-16 LE.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

# At these pip begins a new line, and uv does not; the last stands for bytes that are no text.
_FOREIGN = re.compile("\r(?!\n)|[\x00\x0b\x0c\x1c-\x1e\x85\u2028\u2029\ufffd]")
# pip reads the file in this encoding (PEP 263), uv in UTF-8.
_CODING = re.compile(r"[ \t]*#.*coding[:=]\s*(?!utf-?8\b)", re.IGNORECASE)
_COMMENT_LINE = re.compile(r"\s*#")
# A comment behind something else ends at its line for uv, and not for pip.
_CONTINUED_COMMENT = re.compile(r"^[ \t]*[^\s#].*[ \t]#.*\\$", re.MULTILINE)
_COMMENT = re.compile(r"(?:^|\s+)#.*$")

_INCLUDE = re.compile(
    r"""(?:-[rc](?:\s*=\s*|\s*)|--(?:requirement|constraint)(?:\s*=\s*|\s+))"""
    r"""(?P<quote>["']?)(?P<path>[^\s"'\\#$=-][^\s"'\\#$]*)(?P=quote)"""
)
_REMOTE = r"(?:(?:git|hg|svn|bzr)\+)?(?:https?|ssh|git)://[^\s$]+"
_VERSIONS = r"\s*(?:===|[=<>!~]=|[<>])\s*[\w.*+!-]+(?:\s*,\s*(?:===|[=<>!~]=|[<>])\s*[\w.*+!-]+)*\s*,?\s*"
_REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[\w\s,.-]*\])?\s*"
    rf"(?:{_VERSIONS}|\({_VERSIONS}\)|@\s*{_REMOTE})?\s*(?:;[^$#\\]*?)?(?:\s+--hash[= ]\s*\w+:\w+)*"
)
_OPTION = re.compile(
    r"(?:-i|--index-url|--extra-index-url|-f|--find-links)(?:\s*=\s*|\s+)https?://[^\s$]+"
    r"|--(?:no-index|pre|prefer-binary|require-hashes)"
    r"|--(?:no-binary|only-binary|trusted-host|use-feature)(?:\s*=\s*|\s+)[\w.:,-]+"
)
# Such a name is that of a file, where there is one.
_ARCHIVE = re.compile(r"\.(?:whl|zip|tar|t(?:ar\.)?(?:gz|bz2?|xz|lz|lzma|zst)|tbz2)$", re.IGNORECASE)


@dataclass(frozen=True)
class Line:
    """One line of a requirements file, without its comment and with what continues it."""

    number: int
    text: str


def decode(data: bytes) -> str:
    """Return the text of a file as pip and uv decode it; bytes that are no text become U+FFFD."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace").replace("\r\n", "\n")
    return data.decode("utf-8", "replace").replace("\r\n", "\n")


def lines_of(text: str) -> list[Line]:
    """Return the lines that say anything."""
    found: list[Line] = []
    parts: list[str] = []
    first = 0
    for number, line in enumerate(text.split("\n"), 1):
        first = first if parts else number
        is_comment = _COMMENT_LINE.match(line) is not None
        if line.endswith("\\") and not is_comment:
            parts.append(line.rstrip("\\"))
            continue
        # A comment ends a continuation, and is not part of it.
        parts.append("" if is_comment else line)
        whole = _COMMENT.sub("", "".join(parts)).strip()
        parts = []
        if whole:
            found.append(Line(first, whole))
    if "".join(parts).strip():
        found.append(Line(first, "".join(parts).strip()))
    return found


def included(text: str) -> list[str]:
    """Return the paths of the files that a requirements file includes, as it spells them."""
    return [match.group("path") for match in map(_included, lines_of(text)) if match]


def _included(line: Line) -> re.Match[str] | None:
    match = _INCLUDE.fullmatch(line.text)
    # What is elsewhere is the installer's to read, with the rights of its user.
    return None if match is None or "://" in line.text or match.group("path").startswith(("file:", "/")) else match


def is_understood(text: str) -> bool:
    """Tell whether pip and uv install what C(text) says in every environment, but for the files it includes."""
    if (
        _FOREIGN.search(text)
        or _CONTINUED_COMMENT.search(text)
        or any(_CODING.match(line) for line in text.split("\n")[:2])
    ):
        return False
    return all(_included(line) or _is_plain(line.text) for line in lines_of(text))


def _is_plain(line: str) -> bool:
    requirement = _REQUIREMENT.fullmatch(line)
    if requirement:
        return _ARCHIVE.search(requirement.group("name")) is None
    return re.fullmatch(_REMOTE, line) is not None or _OPTION.fullmatch(line) is not None


def needs_tree(requirements: t.Sequence[str]) -> bool:
    """Tell whether one of the requirements, each a line, may be installed from the source."""
    return not all(is_understood(requirement) for requirement in requirements)
