# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment file of a service, as systemd.exec(5) reads it. Private to flaskops.stack."""

from __future__ import annotations

import re
import typing as t

from .._input.values import InputError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Characters that a backslash escapes inside double quotes; nothing is expanded there.
_SPECIAL = re.compile(r'(["\\`$])')
_ESCAPED = re.compile(r'\\(["\\`$])')
_ASSIGNMENT = re.compile(r'^([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"$', re.MULTILINE | re.DOTALL)
# Linux refuses a longer "NAME=value" (MAX_ARG_STRLEN, execve(2)).
_LONGEST = 128 * 1024 - 1


# What would overrule the settings of the release or its unit; how to say it instead.
_SYSTEMD = "leave it out: systemd sets it for the service"
_INTERPRETER = "leave it out: the interpreter is that of the release's virtualenv, see 'python'"
_OWNED = {
    "GUNICORN_CMD_ARGS": "use the settings of 'gunicorn' (workers, bind, ...) and, for all others, 'gunicorn.extra'",
    "GUNICORN_FD": "leave it out: the sockets are systemd's",
    "GUNICORN_PID": "leave it out: the process is systemd's",
    "LISTEN_FDNAMES": _SYSTEMD,
    "LISTEN_FDS": _SYSTEMD,
    "LISTEN_PID": _SYSTEMD,
    "MAINPID": _SYSTEMD,
    "NOTIFY_SOCKET": _SYSTEMD,
    "PYTHONEXECUTABLE": _INTERPRETER,
    "PYTHONHOME": _INTERPRETER,
    "WATCHDOG_PID": _SYSTEMD,
    "WATCHDOG_USEC": _SYSTEMD,
    "__PYVENV_LAUNCHER__": _INTERPRETER,
}


def merge_environment(environment: t.Mapping[str, str], secrets: t.Mapping[str, str]) -> dict[str, str]:
    """Return the variables of an application; raise InputError for variables that a release cannot have.

    Errors name variables only: a value may be a secret.
    """
    for key, values in (("environment", environment), ("secrets", secrets)):
        for name in sorted(set(values) & set(_OWNED)):
            raise InputError(f"{key} must not set '{name}', which overrules the release: {_OWNED[name]}")
    both = sorted(set(environment) & set(secrets))
    if both:
        raise InputError(f"'{both[0]}' is in environment and in secrets: keep one of them")
    merged = {**environment, **secrets}
    render_environment(merged)
    return merged


def render_environment(values: t.Mapping[str, str]) -> str:
    """Return the text of an EnvironmentFile from which systemd reads exactly C(values)."""
    return "".join(f"{_check_name(name)}={_quote(name, value)}\n" for name, value in sorted(values.items()))


def parse_environment(text: str) -> dict[str, str]:
    """Return the values in a text that C(render_environment) made."""
    return {name: _ESCAPED.sub(r"\1", value) for name, value in _ASSIGNMENT.findall(text)}


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InputError(f"environment variable '{name}' must be letters, digits and '_', and not start with a digit")
    return name


def _quote(name: str, value: str) -> str:
    """Quote a value; errors name the variable only, because the value may be a secret."""
    bad = next((char for char in value if (ord(char) < 32 and char not in "\t\n") or ord(char) == 127), None)
    if bad is not None:
        raise InputError(
            f"environment variable '{name}' has the control character {bad!r}, and systemd ignores such a variable: "
            "encode the value (base64) or put it into a file"
        )
    try:
        size = len(f"{name}={value}".encode())
    except UnicodeEncodeError:
        raise InputError(f"environment variable '{name}' is not valid UTF-8: encode the value (base64)") from None
    if size > _LONGEST:
        raise InputError(f"environment variable '{name}' has {size} bytes; Linux accepts {_LONGEST}: use a file")
    return '"' + _SPECIAL.sub(r"\\\1", value) + '"'
