# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment file of a service, as systemd.exec(5) reads it. Pure. Private to flaskops.stack."""

from __future__ import annotations

import re
import typing as t

from ._gunicorn_values import SettingsError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What a backslash protects inside double quotes; nothing is expanded there.
_SPECIAL = re.compile(r'(["\\`$])')
_ESCAPED = re.compile(r'\\(["\\`$])')
_ASSIGNMENT = re.compile(r'^([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"$', re.MULTILINE | re.DOTALL)
# Linux refuses a longer "NAME=value" (MAX_ARG_STRLEN, execve(2)).
_LONGEST = 128 * 1024 - 1


def render_environment(values: t.Mapping[str, str]) -> str:
    """Return the text of an EnvironmentFile from which systemd reads exactly C(values)."""
    return "".join(f"{_check_name(name)}={_quote(name, value)}\n" for name, value in sorted(values.items()))


def parse_environment(text: str) -> dict[str, str]:
    """Return the values in a text that C(render_environment) made."""
    return {name: _ESCAPED.sub(r"\1", value) for name, value in _ASSIGNMENT.findall(text)}


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"environment variable '{name}' must be letters, digits and '_', and not start with a digit"
        )
    return name


def _quote(name: str, value: str) -> str:
    """Quote a value; errors name the variable only, because the value may be a secret."""
    bad = next((char for char in value if (ord(char) < 32 and char not in "\t\n") or ord(char) == 127), None)
    if bad is not None:
        raise SettingsError(
            f"environment variable '{name}' has the control character {bad!r}, and systemd ignores such a variable: "
            "encode the value (base64) or put it into a file"
        )
    try:
        size = len(f"{name}={value}".encode())
    except UnicodeEncodeError:
        raise SettingsError(f"environment variable '{name}' is not valid UTF-8: encode the value (base64)") from None
    if size > _LONGEST:
        raise SettingsError(f"environment variable '{name}' has {size} bytes; Linux accepts {_LONGEST}: use a file")
    return '"' + _SPECIAL.sub(r"\\\1", value) + '"'
