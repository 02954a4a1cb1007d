# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find secrets in the text of a configuration file of any format. Private to flaskops.stack."""

from __future__ import annotations

import re

# Shorter values ("8000", "debug") are in every log.
_SHORTEST = 6
# A line without a key and blanks that is as long is part of a key or certificate.
_SHORTEST_LINE = 16

# "key = value", "key: value" and "key => value", in Python, INI, TOML, YAML, JSON and shell.
_ENTRY = re.compile(r"""^(?:-\s+|export\s+)?["']?([A-Za-z_][\w.-]*)["']?\s*(?:=>|:=|[=:])\s*(.*)$""")
# Texts in quotes, and whether they are keys.
_QUOTED = re.compile(r"""(?:"([^"\n]+)"|'([^'\n]+)')(\s*:)?""")
_PAIR = re.compile(r"""["']([\w.-]+)["']\s*:\s*("[^"]*"|'[^']*')""")
_XML = re.compile(r">([^<>\n]+)</")
_LISTED = re.compile(r"^-\s+(.+)$")

# The end of the names of options that hold a secret.
_SECRET_NAME = re.compile(
    r"(?i)(?:secret|secret[_.-]?key|password|passwd|passphrase|api[_.-]?key|access[_.-]?key|private[_.-]?key|token)$"
)
# A reference to something else, or a path; without quotes also an expression.
_REFERENCE = re.compile(r"^\$|\$\{|\{\{|%\(|^\.{0,2}/|^file:|^env:")
_EXPRESSION = re.compile(r"[(\[{ ]")
_CONSTANTS = {"none", "null", "nil", "true", "false", "undefined", "default", "required", "optional", "<empty>"}
_URL = re.compile(r"://[^/\s:@]*:([^/\s@]+)@")


def values_of(text: str) -> list[str]:
    """Return what a secret file may have that a log repeats: its values, and the lines that they are in."""
    found: list[str] = []
    for line in map(str.strip, text.splitlines()):
        entry = _ENTRY.match(line)
        inner = [one or other for one, other, is_key in _QUOTED.findall(line) if not is_key]
        listed = _LISTED.match(line)
        found += [*inner, *_XML.findall(line), *([listed[1]] if listed else [])]
        if entry:
            found.append(_bare(entry[2]))
        if entry or inner or (" " not in line and len(line) >= _SHORTEST_LINE):
            found.append(line)
    return list(dict.fromkeys(part.strip() for part in found if len(part.strip()) >= _SHORTEST))


def find_secret(text: str) -> str:
    """Return what in a file looks like a secret, without its value; an empty text when nothing does."""
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if line.startswith("-----BEGIN ") and "PRIVATE KEY" in line:
            return f"a private key (line {number})"
        if line.startswith(("#", ";", "//")):
            continue
        entry = _ENTRY.match(line)
        for name, value in [*_PAIR.findall(line), *([entry.groups()] if entry else [])]:
            if _SECRET_NAME.search(name) and _is_literal(value):
                return f"a value of {name} (line {number})"
        if any(_is_literal(password) for password in _URL.findall(line)):
            return f"a password in a URL (line {number})"
    return ""


def _bare(value: str) -> str:
    return value.strip(" \t,;}\"'")


def _is_literal(value: str) -> bool:
    """Tell whether a value is one itself, and does not only say where it comes from."""
    value = value.partition(" #")[0].strip(" \t,;}")
    bare = _bare(value)
    if len(bare) < _SHORTEST or bare.lower() in _CONSTANTS or bare.replace(".", "", 1).replace("_", "").isdigit():
        return False
    is_quoted = value[:1] in ("'", '"')
    return not _REFERENCE.search(bare) and (is_quoted or not _EXPRESSION.search(bare))
