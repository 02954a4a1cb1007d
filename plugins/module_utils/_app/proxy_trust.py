# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell where every host that reaches nginx is believed to be a proxy. Private to flaskops.stack."""

from __future__ import annotations

import typing as t

Item = t.Mapping[str, t.Any]

# What a user sets who has thought of it.
_CONSIDERED = ("trusted_proxies", "behind_proxy", "template", "content")


def trust_warnings(apps: t.Iterable[Item], site_defaults: Item) -> list[str]:
    """Return a warning for each application that believes requests which come past its proxy."""
    return [_warning(app) for app in apps if _believes_anybody(app, site_defaults)]


def _believes_anybody(app: Item, site_defaults: Item) -> bool:
    site = app.get("nginx") or {}
    considered = any(given.get(key) not in (None, "", []) for given in (site, site_defaults) for key in _CONSIDERED)
    return int(app.get("trusted_hops") or 0) > 1 and bool(app.get("domains")) and not considered


def _warning(app: Item) -> str:
    return (
        f"app '{app['name']}': trusted_hops is {app['trusted_hops']}, and nginx.trusted_proxies is not set: a visitor "
        "who reaches nginx past the other proxy forges his address, scheme and host. Set nginx.trusted_proxies to the "
        "addresses of that proxy, such as [10.0.0.0/24], or nginx.behind_proxy: true where a firewall keeps others out"
    )
