# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find all that contradicts our rules in variables of the right types. Private to flaskops.stack.

Code that reads the variables stops at the first fault. This finds all of them when that has happened.
"""

from __future__ import annotations

import typing as t

from ..module_utils._app.application import AppError, parse_app, parse_apps
from ..module_utils._app.derive import DeriveError, check_apps, derive_sites
from ..module_utils._input.values import InputError, settle_apps, site_entries
from ..module_utils._site.acme import Acme, check_sites
from ..module_utils._site.parse import parse_site, parse_sites

_OURS = (AppError, DeriveError, InputError)


def own_sentence(error: BaseException | None) -> str:
    """Return what a filter of ours said, of an error that Ansible made of it; nothing for errors of others."""
    while error is not None and not isinstance(error, _OURS):
        error = error.__cause__
    return "" if error is None else str(error)


def check_rules(
    apps: object, sites: object, defaults: t.Mapping[str, t.Any], root: str, acme: Acme | None = None
) -> list[str]:
    """Return what cannot be built or published, in sentences."""
    faults: list[str] = []

    def attempt(function: t.Callable[..., t.Any], *given: t.Any) -> t.Any:
        try:
            return function(*given)
        except _OURS as exc:
            faults.append(str(exc))
            return []

    settled = attempt(settle_apps, apps)
    for app in settled:
        attempt(parse_app, app, root)
    attempt(check_apps, settled)
    if not faults:
        attempt(parse_apps, settled, root)
    alone = [app for app in settled if not app.get("mount")]
    # Those that are mounted there are part of a site.
    groups = [[app, *(other for other in settled if _is_mounted_at(other, app))] for app in alone]
    published = [site for group in groups for site in attempt(derive_sites, group, root, None, defaults)]
    published += attempt(site_entries, sites)
    for site in published:
        parsed = attempt(parse_site, site, defaults)
        attempt(check_sites, [parsed] if parsed else [], acme or Acme())
    if not faults:
        attempt(parse_sites, published, defaults)
    return list(dict.fromkeys(faults))


def _is_mounted_at(other: t.Mapping[str, t.Any], app: t.Mapping[str, t.Any]) -> bool:
    return bool(other.get("mount")) and other["mount"].get("site") == app["name"]
