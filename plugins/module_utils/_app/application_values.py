# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read single values of an application's description, each checked. Private to flaskops.stack."""

from __future__ import annotations

import re
import typing as t

from .._input.values import as_int
from .._service.settings import check_app_path, normalise_settings, render_wsgi
from .dependencies import DependencyError
from .source import SourceError

_INTERPRETER = re.compile(r"(?:python)?(\d+(?:\.\d+)?)|python3?|/[\w./+-]+")


def choice(key: str, value: str, choices: t.Sequence[str]) -> str:
    """Return one of the choices."""
    if value not in choices:
        raise SourceError(f"{key} '{value}' must be one of {', '.join(choices)}")
    return value


def absolute(key: str, item: t.Mapping[str, t.Any]) -> str:
    """Return a path on the host; an empty one is none."""
    path = item.get(key) or ""
    if path and not path.startswith("/"):
        raise SourceError(f"{key} '{path}' must be an absolute path on the host")
    return path


def whole(key: str, item: t.Mapping[str, t.Any], default: int, least: int = 1) -> int:
    """Return a whole number, or the default where there is none."""
    return default if item.get(key) is None else as_int(key, item[key], least)


def interpreter(python: str) -> str:
    """Return the name or path of a Python."""
    found = _INTERPRETER.fullmatch(python)
    if not found:
        raise DependencyError(
            f"python '{python}' must be a version (3.12), a program (python3.12) or its absolute path"
        )
    if found.group(1) == "3.1":
        raise DependencyError("python is 3.1: YAML reads 3.10 without quotes as 3.1, so write python: '3.10'")
    return f"python{found.group(1)}" if found.group(1) else python


def wsgi_path(item: t.Mapping[str, t.Any]) -> str:
    """Return where the WSGI application is."""
    check_app_path(item["app"])
    render_wsgi(item["app"], 1, item.get("host_header") or "")
    return str(item["app"])


def settings_of(item: t.Mapping[str, t.Any]) -> dict[str, object]:
    """Return all settings of gunicorn."""
    settings = normalise_settings(item.get("gunicorn") or {})
    health = t.cast("dict[str, object]", settings["health"])
    domains = item.get("domains") or []
    # Applications that refuse unknown host names would answer the gate with 400 otherwise.
    return {**settings, "health": {**health, "host": health["host"] or (domains[0] if domains else "")}}


def shared_paths(paths: t.Sequence[str] | None) -> tuple[str, ...]:
    """Return the directories that outlive releases."""
    result = []
    for path in ("instance",) if paths is None else paths:
        parts = path.strip("/").split("/")
        if path.startswith("/") or any(part in ("", ".", "..") for part in parts):
            raise SourceError(
                f"shared '{path}' must be a plain path inside the application, such as 'uploads' or 'var/data'"
            )
        result.append("/".join(parts))
    for path in result:
        if any(other != path and path.startswith(other + "/") for other in result):
            raise SourceError(f"shared '{path}' is below another shared directory: list the outer one only")
    return tuple(sorted(set(result)))
