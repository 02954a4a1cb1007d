# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find what Ansible Vault has encrypted where it would be no secret. Private to flaskops.stack.

Ansible marks a text that was encrypted (C(!vault)) as long as it is a whole value, also through C({{ name }}). A text
that is composed with one is found by the variables that its template names. Values of a file that is encrypted as a
whole have no mark.
"""

from __future__ import annotations

import re
import typing as t
from contextlib import suppress
from dataclasses import dataclass

from ansible.errors import AnsibleError
from ansible.parsing.vault import VaultHelper

from ..module_utils._input.defaults import DEFAULTS
from ..module_utils._input.redact import holds
from ..module_utils._input.values import read_flag

Variables = t.Mapping[str, t.Any]

_FROM_ENVIRONMENT = (
    "stands in files that every user of the host may read: put it into secrets, and read it from the environment"
)
_Options = t.Mapping[str, str]
# _Options that are no secret, and what to do instead.
_PROCESS: _Options = {
    "environment": "values of environment may stand in logs: move it to secrets",
    "app": _FROM_ENVIRONMENT,
    "host_header": _FROM_ENVIRONMENT,
}


@dataclass(frozen=True)
class _Variable:
    """The entries of a variable that is a list of them."""

    # How errors call one.
    label: str
    options: _Options


_VARIABLES: t.Mapping[str, _Variable] = {
    # _Options of its site are not part of a release.
    "flask_apps": _Variable(
        "app",
        {
            **_PROCESS,
            "build_environment": (
                "values of build_environment may stand in the output of a build: move it to build_secrets"
            ),
            **dict.fromkeys(("gunicorn", "hooks", "workers", "timers"), _FROM_ENVIRONMENT),
        },
    ),
    # A service has the settings of gunicorn beside its other options.
    "gunicorn_services": _Variable("service", {**_PROCESS, **dict.fromkeys(DEFAULTS, _FROM_ENVIRONMENT)}),
}
_KEPT = "secret: set secret: true"
_EXPRESSION = re.compile(r"\{[{%](.*?)[%}]\}", re.DOTALL)
# A name, and the part of its value that is used: .password, ['password'] or [0].
_PART = r"\.[A-Za-z_]\w*(?![\w(])|\[\s*(?:\d+|'[^']*'|\"[^\"]*\")\s*\]"
_NAME = re.compile(rf"(?<![\w.])([A-Za-z_]\w*)(?=((?:{_PART})*))")
_PARTS = re.compile(_PART)
# A text that is the value of a variable.
_ALIAS = re.compile(r"\s*\{\{\s*([A-Za-z_]\w*)\s*\}\}\s*")


def vaulted_faults(variable: str, entries: object, variables: Variables) -> list[str]:
    """Return where applications or services, as Ansible has templated them, have an encrypted text that is not secret.

    C(variable) lists them. What is malformed is left to those who check it. C(variables) are as the user has written
    them.
    """
    given = entries if isinstance(entries, (list, tuple)) else []
    written, kind = _resolved(variables.get(variable), variables), _VARIABLES[variable]
    return [
        f"{kind.label} '{entry.get('name')}': {fault}"
        for number, entry in enumerate(given)
        if isinstance(entry, t.Mapping) and not _is_unread(entry)
        for fault in _of_entry(entry, kind.options, _written_entry(written, number, variables), variables)
    ]


def _is_unread(entry: t.Mapping[t.Any, t.Any]) -> bool:
    """Tell whether a service makes no release, so that nothing reads the options of one."""
    return bool(entry.get("release")) or entry.get("state") in ("absent", "rolled_back")


def _written_entry(written: object, number: int, variables: Variables) -> object:
    """Return an entry as the user has written it; one that a template makes has no places to compare."""
    entry = _resolved(_inner(written, number), variables)
    return None if isinstance(entry, str) else entry


def encrypted_in(template: str, variables: Variables) -> list[tuple[str, str]]:
    """Return the encrypted texts that a template may use, with the names of their variables."""
    return list(_reached(template, variables, set()))


def _of_entry(
    entry: t.Mapping[t.Any, t.Any], options: _Options, written: object, variables: Variables
) -> t.Iterator[str]:
    for option, advice in options.items():
        for place, verb in _places(entry.get(option), _inner(written, option), variables, option):
            yield f"{place} {verb} encrypted with Ansible Vault, and {advice}"
    files = entry.get("files")
    sources = _resolved(_inner(written, "files"), variables)
    for number, file in enumerate(files if isinstance(files, (list, tuple)) else ()):
        if isinstance(file, t.Mapping) and not read_flag(file.get("secret")):
            source = _inner(_resolved(_inner(sources, number), variables), "content")
            for place, verb in _places(file.get("content"), source, variables, "content"):
                yield f"files '{file.get('path')}': {place} {verb} encrypted, and the file is not {_KEPT}"


def _places(value: object, written: object, variables: Variables, place: str) -> t.Iterator[tuple[str, str]]:
    """Yield the places of encrypted texts in a value, and whether they are all of the text there or a part."""
    written = _resolved(written, variables)
    if isinstance(value, t.Mapping):
        for key, inner in value.items():
            yield from _places(inner, _inner(written, key), variables, f"{place}.{key}")
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            yield from _places(inner, _inner(written, number), variables, f"{place}[{number}]")
    elif VaultHelper.get_ciphertext(value, with_tags=False):
        yield place, "is"
    elif (
        isinstance(value, str)
        and isinstance(written, str)
        and any(holds(value, secret) for _name, secret in encrypted_in(written, variables))
    ):
        yield place, "has a text in it that is"


def _resolved(written: object, variables: Variables) -> object:
    """Return what a user has written where a value comes from another variable."""
    seen = set()
    while isinstance(written, str):
        found = _ALIAS.fullmatch(written)
        if not found or found[1] in seen or found[1] not in variables:
            break
        seen.add(found[1])
        written = variables[found[1]]
    return written


def _inner(written: t.Any, key: object) -> object:
    """Return a part of what a user has written; a template that makes the whole stands for each part."""
    if isinstance(written, t.Mapping):
        return written.get(key)
    if isinstance(written, (list, tuple)) and isinstance(key, int):
        return written[key] if key < len(written) else None
    return written if isinstance(written, str) else None


def _reached(template: str, variables: Variables, seen: set[str]) -> t.Iterator[tuple[str, str]]:
    for expression in _EXPRESSION.findall(template):
        for name, parts in _NAME.findall(expression):
            if name in variables and name + parts not in seen:
                seen.add(name + parts)
                used = _used(variables[name], parts)
                yield from ((name, value) for value in _encrypted(used, variables, seen))


def _used(value: t.Any, parts: str) -> object:
    """Return the part of a value that a template uses, or as much of it as is certain without rendering it."""
    for part in _PARTS.findall(parts):
        key = part.strip(".[] '\"")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            break
    return value


def _encrypted(value: object, variables: Variables, seen: set[str]) -> t.Iterator[str]:
    # The variables of all hosts, and the like, are no plain dictionaries.
    if isinstance(value, dict):
        for inner in value.values():
            yield from _encrypted(inner, variables, seen)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _encrypted(inner, variables, seen)
    elif VaultHelper.get_ciphertext(value, with_tags=False):
        # What cannot be decrypted was not used.
        with suppress(AnsibleError):
            yield str(value)
    elif isinstance(value, str):
        yield from (text for _name, text in _reached(value, variables, seen))
