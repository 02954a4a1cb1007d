# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Detect damaged manifests. Private to flaskops.stack."""

from __future__ import annotations

import typing as t

from .._input.defaults import DEFAULTS, HEALTH_DEFAULTS

_TEXTS = ("name", "id", "user", "group", "python", "app", "built_at", "build", "venv")
_REQUIRED = ("name", "id", "user", "group", "source", "python", "app", "settings")
# The extra fields of a manifest, with their types.
_BESIDE: dict[str, tuple[type, ...]] = {
    "secret_names": (list,),
    "workers": (list,),
    "timers": (list,),
    "hooks": (dict,),
    "migration": (str,),
    "files": (list,),
}


def fault_of(values: t.Mapping[str, t.Any]) -> str:
    """Return the fault in the content of a manifest, or an empty text."""
    missing = sorted(set(_REQUIRED) - set(values))
    if missing:
        return f"lacks {', '.join(missing)}"
    wrong = [key for key in _TEXTS if not isinstance(values.get(key, ""), str)]
    wrong += [key for key in ("source", "settings") if not isinstance(values[key], dict)]
    if not _is_texts(values.get("shared", [])):
        wrong.append("shared")
    if not _is(values.get("keep", 1), int):
        wrong.append("keep")
    wrong += [key for key, kinds in _BESIDE.items() if key in values and not isinstance(values[key], kinds)]
    if wrong:
        return f"has something else than expected as {', '.join(sorted(wrong))}"
    texts = [key for key, value in values["source"].items() if not isinstance(value, str)]
    if texts:
        return f"has something else than a text as source.{texts[0]}"
    return _fault_of_settings("settings", values["settings"], DEFAULTS)


def _fault_of_settings(name: str, settings: t.Mapping[str, t.Any], defaults: t.Mapping[str, object]) -> str:
    for key, default in defaults.items():
        value = settings.get(key, default)
        # The one setting with two types.
        if key == "sandbox" and isinstance(value, dict):
            continue
        if not _is(value, type(default)):
            return f"has something else than expected as {name}.{key}"
    if name == "settings" and "health" in settings:
        return _fault_of_settings("settings.health", settings["health"], HEALTH_DEFAULTS)
    return ""


def _is(value: object, kind: type) -> bool:
    """Tell whether a value is of a type; a truth value is no number."""
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _is_texts(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)
