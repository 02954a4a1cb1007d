# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find what Ansible Vault has encrypted where it would be no secret. Private to flaskops.stack.

Ansible marks a text that was encrypted (C(!vault)) as long as it is a whole value, also through C({{ name }}). A text
that is made of it and of others, and values of a file that is encrypted as a whole, have no mark.
"""

from __future__ import annotations

import typing as t

from ansible.parsing.vault import VaultHelper

from ..module_utils._input.values import read_flag

_FROM_ENVIRONMENT = (
    "stands in files that every user of the host may read: put it into secrets, and read it from the environment"
)
# Options of an application that are no secret, and what to do instead. Those of its site are not part of a release.
_OPEN: t.Mapping[str, str] = {
    "environment": "values of environment may stand in logs: move it to secrets",
    "build_environment": "values of build_environment may stand in the output of a build: move it to build_secrets",
    "app": _FROM_ENVIRONMENT,
    "host_header": _FROM_ENVIRONMENT,
    "gunicorn": _FROM_ENVIRONMENT,
    "hooks": _FROM_ENVIRONMENT,
    "workers": _FROM_ENVIRONMENT,
    "timers": _FROM_ENVIRONMENT,
}


def vaulted_faults(apps: object) -> list[str]:
    """Return where applications, as Ansible has templated them, have an encrypted text that would not be secret.

    What is malformed is left to those who check it.
    """
    items = [app for app in apps if isinstance(app, t.Mapping)] if isinstance(apps, (list, tuple)) else []
    return [f"app '{app.get('name')}': {fault}" for app in items for fault in _of_app(app)]


def _of_app(app: t.Mapping[t.Any, t.Any]) -> t.Iterator[str]:
    for option, advice in _OPEN.items():
        for place in _vaulted(app.get(option), option):
            yield f"{place} is encrypted with Ansible Vault, and {advice}"
    files = app.get("files")
    for file in files if isinstance(files, (list, tuple)) else ():
        if isinstance(file, t.Mapping) and not read_flag(file.get("secret")):
            for _place in _vaulted(file.get("content"), ""):
                yield f"files '{file.get('path')}': content is encrypted, and the file is not secret: set secret: true"


def _vaulted(value: object, place: str) -> t.Iterator[str]:
    """Yield the places of encrypted texts in a value."""
    if isinstance(value, t.Mapping):
        for key, inner in value.items():
            yield from _vaulted(inner, f"{place}.{key}")
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            yield from _vaulted(inner, f"{place}[{number}]")
    elif VaultHelper.get_ciphertext(value, with_tags=False):
        yield place
