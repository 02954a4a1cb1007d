# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep secrets out of what is shown. Private to flaskops.stack."""

from __future__ import annotations

import re
import typing as t
from urllib.parse import quote

MASK = "********"

# Options of an application that may hold secrets. These are dictionaries whose keys may be shown.
SECRET = ("secrets", "environment", "build_secrets", "build_environment")
# Options of a site that hold passwords, also where another type was written in their place.
_PASSWORDS = ("basic_auth", "users", "password")
_TEXTS = ("deploy_key",)
_URLS = ("source", "index_url")
_LISTS = ("packages", "extra_index_url")
# Files of the release; whether they are secret or not, they may be long.
_FILES = ("files",)

SENSITIVE = (*SECRET, *_TEXTS, *_URLS, *_LISTS, *_FILES)

Item = t.Mapping[str, t.Any]

# Shorter values ("1", "true", "8000") say nothing and occur everywhere.
_SHORTEST = 6
# They tell nothing, also where a variable that is secret has them.
_CONSTANTS = {"none", "null", "nil", "true", "false", "yes", "off", "undefined", "default"}
# Shorter ones of letters or of digits alone are parts of other words and numbers: "is NoneType", "line 1234".
_WORD = 8

# The password in a URL such as postgresql://user:password@host/name.
_PASSWORD = re.compile(r"://[^/\s:@]*:([^/\s@]+)@")

# The user part of https://user:password@host and https://token@host; a plain user name (ssh://git@host) is no secret.
_HTTP = re.compile(r"(?i)\b(https?://)[^/\s'\"<>]*@")
_OTHER = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://[^/\s:@'\"<>]*:)[^/\s'\"<>]*@")
# A password with a '/' in it that is not written as %2F, so that it ends before its '@' for programs: what begins like
# a port is no number, and not masked yet.
_UNQUOTED = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^/\s:@'\"<>\[\]]*:(?!\*+@|\d*(?:[/?#,\s'\"<>]|$))[^\s'\"<>]*@")


def mask_urls(text: str) -> str:
    """Return C(text) with the credentials in its URLs masked."""
    for pattern in (_HTTP, _OTHER, _UNQUOTED):
        text = pattern.sub(rf"\1{MASK}@", text)
    return text


def mask(text: str, values: t.Iterable[str], shortest: int = _SHORTEST) -> str:
    """Return the text with the values, their lines and the passwords in them masked, and with all URL credentials.

    Values of fewer than C(shortest) characters, and those that programs have for nothing, yes and no, are left: masking
    them would only garble the text. Short words and numbers are masked where they stand alone.
    """
    wanted = _search(values, shortest)
    if wanted:
        text = re.sub(wanted, MASK, text)
    return mask_urls(text)


def holds(text: str, value: str) -> bool:
    """Tell whether a text has a secret in it, or a line of it, which C(mask) would mask."""
    wanted = _search([value], _SHORTEST)
    return bool(wanted) and re.search(wanted, text) is not None


def _search(values: t.Iterable[str], shortest: int) -> str:
    """Return the pattern of what is masked; an empty text when that is nothing."""
    forms = {form for value in values for part in _parts(value) for form in spellings(part.strip())}
    wanted = [form for form in forms if len(form) >= shortest and form.lower() not in _CONSTANTS]
    # In one pass, the longest first: nothing is masked within what was masked.
    return "|".join(map(_pattern, sorted(wanted, key=len, reverse=True)))


def _pattern(form: str) -> str:
    is_word = (form.isalpha() or form.isdigit()) and len(form) < _WORD
    return rf"(?<![A-Za-z0-9]){re.escape(form)}(?![A-Za-z0-9])" if is_word else re.escape(form)


def _parts(value: str) -> list[str]:
    return [value, *value.splitlines(), *_PASSWORD.findall(value)]


def spellings(part: str) -> tuple[str, ...]:
    """Return a text as it is, as Python shows it in a traceback, and as it stands in a URL."""
    return part, repr(part)[1:-1], quote(part, safe="")


def is_secret(path: str) -> bool:
    """Tell whether an option, by its path such as C(basic_auth.users[0]), has a value that no error shows."""
    return path.rpartition(".")[2].partition("[")[0] in (*SECRET, *_PASSWORDS)


def without_passwords(site: Item) -> dict[str, t.Any]:
    """Return the settings of a site, as they may be shown, with others in the place of the visitors' passwords."""
    mounts = site.get("mounts")
    if isinstance(mounts, (list, tuple)):
        shown = [without_passwords(mount) if isinstance(mount, t.Mapping) else mount for mount in mounts]
        site = {**site, "mounts": shown}
    auth = site.get("basic_auth")
    if not auth:
        return dict(site)
    users = auth.get("users") if isinstance(auth, t.Mapping) else None
    if not isinstance(users, (list, tuple)) or not all(isinstance(user, t.Mapping) for user in users):
        return {key: value for key, value in site.items() if key != "basic_auth"}
    return {**site, "basic_auth": {**auth, "users": [{"name": user.get("name"), "password": MASK} for user in users]}}


def masked(item: Item) -> dict[str, t.Any]:
    """Return what is shown in the place of the secrets of an application or a task, in the same shape."""
    return {key: _masked(key, item[key]) for key in SENSITIVE if item.get(key)}


def _masked(key: str, value: object) -> object:
    if key in SECRET:
        return dict.fromkeys(map(str, value), MASK) if isinstance(value, t.Mapping) else MASK
    if key in _TEXTS:
        return MASK
    if key in _FILES:
        return [_masked_file(file) for file in value] if isinstance(value, (list, tuple)) else MASK
    if isinstance(value, (list, tuple)):
        return [mask_urls(str(element)) for element in value]
    return mask_urls(str(value))


def _masked_file(file: object) -> object:
    if not isinstance(file, t.Mapping):
        return MASK
    return {**file, **({} if file.get("content") is None else {"content": MASK})}


def secret_part(item: Item) -> dict[str, t.Any]:
    """Return the values in whose place C(masked) has others."""
    return {key: item[key] for key, shown in masked(item).items() if shown != item[key]}
