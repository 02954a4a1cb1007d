# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the hosts of a run have the same secrets; values are never shown. Private to flaskops.stack."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import typing as t

from ansible import constants

from ._run_once import RunOnceLock

Item = t.Mapping[str, t.Any]

_KEY = "key"


def warn_of_unequal(apps: t.Iterable[object], host: str) -> list[str]:
    """Return a warning for each secret that has another value on a host of this run that came earlier."""
    named = [app for app in apps if isinstance(app, t.Mapping) and isinstance(app.get("secrets"), t.Mapping)]
    found = {f"{app.get('name')} {name}": str(value) for app in named for name, value in app["secrets"].items()}
    if not found:
        return []
    with RunOnceLock(constants.DEFAULT_LOCAL_TMP, "secrets") as turn:
        known = dict(turn.outcomes.get("seen", {}))
        key = turn.outcomes.setdefault(_KEY, {"hex": secrets.token_hex(32)})
        digests = {name: _digest(key["hex"], value) for name, value in found.items()}
        unequal = sorted(name for name, digest in digests.items() if name in known and _differs(known[name], digest))
        first = {name: known[name]["host"] for name in unequal}
        for name, digest in digests.items():
            # One warning for each variable is enough.
            known.setdefault(name, {"digest": digest, "host": host, "told": False})
            known[name]["told"] |= name in unequal
        turn.finish("seen", known)
    return [_describe(name, host, first[name]) for name in unequal]


def _digest(key: str, value: str) -> str:
    return hmac.new(bytes.fromhex(key), value.encode(), hashlib.sha256).hexdigest()


def _differs(known: Item, digest: str) -> bool:
    return bool(known["digest"] != digest and not known["told"])


def _describe(name: str, host: str, other: str) -> str:
    app, variable = name.split(" ", 1)
    return (
        f"app '{app}': secret {variable} has another value on {host} than on {other}. Visitors whose requests go to "
        "both may lose their sessions, and the hosts get different releases. Give the variable one value for all "
        "hosts, unless that is meant"
    )
