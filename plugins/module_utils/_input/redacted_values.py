# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Redact the secrets in module arguments that Ansible shows, and restore them. Private to flaskops.stack."""

from __future__ import annotations

import typing as t

from .redact import MASK, mask_urls

# Of an application; these are dictionaries whose keys may be shown.
_MAPPINGS = ("secrets", "environment", "build_secrets", "build_environment")
_TEXTS = ("deploy_key",)
_URLS = ("source", "index_url")
_LISTS = ("packages",)

SENSITIVE = (*_MAPPINGS, *_TEXTS, *_URLS, *_LISTS)

Item = t.Mapping[str, t.Any]


def redact(item: Item) -> dict[str, t.Any]:
    """Return the item with its secrets masked, in the same shape."""
    shown = dict(item)
    for key in SENSITIVE:
        if shown.get(key):
            shown[key] = _hidden(key, shown[key])
    return shown


def _hidden(key: str, value: object) -> object:
    if key in _MAPPINGS:
        return dict.fromkeys(map(str, value), MASK) if isinstance(value, t.Mapping) else MASK
    if key in _TEXTS:
        return MASK
    if isinstance(value, (list, tuple)):
        return [mask_urls(str(element)) for element in value]
    return mask_urls(str(value))


def redacted_values(item: Item) -> dict[str, t.Any]:
    """Return the secrets that C(redact) masks, for C(restore)."""
    shown = redact(item)
    return {key: item[key] for key in SENSITIVE if key in item and shown[key] != item[key]}


def restore(item: Item, hidden: Item) -> dict[str, t.Any]:
    """Return the item with its redacted values restored."""
    return {**item, **hidden}


def to_plain(value: t.Any) -> t.Any:
    """Return a value in JSON's own types: what Ansible wraps or decrypts on access is taken out of its wrapping."""
    if isinstance(value, t.Mapping):
        return {str(key): to_plain(content) for key, content in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(element) for element in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value)
