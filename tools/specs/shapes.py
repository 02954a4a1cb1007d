# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that have an example, as the code that converts values of users is told of them."""

from __future__ import annotations

import json
import typing as t

from tools.specs.model import UNSET, Option
from tools.specs.python_text import Call, Name

_SCALARS = {"int": "Whole()", "bool": "Flag()"}


def shape(options: t.Iterable[Option]) -> dict[str, t.Any]:
    """Return what converts the options that have an example, or hold one that has."""
    kinds = {option.name: _kind(option) for option in options}
    return {name: kind for name, kind in kinds.items() if kind is not None}


def _kind(option: Option) -> object:
    if option.type == "dict":
        inner = {**_by_key(option), **shape(option.options)}
        return inner if inner or option.example is not UNSET else None
    if option.example is UNSET:
        return None
    if option.type == "list":
        return _listed(option, option.example, shape(option.options) if option.elements == "dict" else None)
    secret = ", secret=True" if option.secret else ""
    return Name(_SCALARS.get(option.type) or f"Text({json.dumps(option.example)}{secret})")


def _by_key(option: Option) -> dict[str, object]:
    """Return what converts the values of a dictionary whose keys are free."""
    examples: t.Mapping[str, str] = {} if option.example is UNSET else option.example
    return {key: _listed(option, example, None, mixed=True) for key, example in examples.items()}


def _listed(option: Option, example: str, inner: object, mixed: bool = False) -> Name:
    given: list[object] = [example, *([inner] if inner is not None else [])]
    given += [Name("mixed=True")] if mixed or option.elements == "raw" else []
    given += [Name("commas=True")] if option.commas else []
    given += [Name(f"hint={json.dumps(' ' + option.hint)}")] if option.hint else []
    return Call("Listed", given)
