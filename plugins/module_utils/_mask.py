# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep secrets out of what is shown. Pure. Private to flaskops.stack."""

from __future__ import annotations

import re
import typing as t
from urllib.parse import quote

MASK = "********"

# Shorter values ("1", "true", "8000") say nothing and occur everywhere.
_SHORTEST = 6

# The password in a URL such as postgresql://user:password@host/name.
_PASSWORD = re.compile(r"://[^/\s:@]*:([^/\s@]+)@")

# The user part of https://user:password@host and https://token@host; a plain user name (ssh://git@host) is no secret.
_HTTP = re.compile(r"(?i)\b(https?://)[^/\s'\"<>]*@")
_OTHER = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://[^/\s:@'\"<>]*:)[^/\s'\"<>]*@")


def mask_urls(text: str) -> str:
    """Return C(text) with the credentials in its URLs masked."""
    return _OTHER.sub(rf"\1{MASK}@", _HTTP.sub(rf"\1{MASK}@", text))


def mask(text: str, values: t.Iterable[str], shortest: int = _SHORTEST) -> str:
    """Return the text with the values, their lines and the passwords in them masked, and with all URL credentials.

    Values of fewer than C(shortest) characters are left: masking them would only garble the text.
    """
    forms = {form for value in values for part in _parts(value) for form in spellings(part.strip())}
    for form in sorted(forms, key=len, reverse=True):
        if len(form) >= shortest:
            text = text.replace(form, MASK)
    return mask_urls(text)


def _parts(value: str) -> list[str]:
    return [value, *value.splitlines(), *_PASSWORD.findall(value)]


def spellings(part: str) -> tuple[str, ...]:
    """Return a text as it is, as Python shows it in a traceback, and as it stands in a URL."""
    return part, repr(part)[1:-1], quote(part, safe="")
