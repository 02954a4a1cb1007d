# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that describe an application once and derive the rest."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ..module_utils._app.derive import App, DeriveError, derive_services, derive_sites
from ..module_utils._input.values import InputError, settle_apps, to_plain
from ..module_utils._site.acme import read_acme, with_acme


def gunicorn_services(
    apps: t.Sequence[App],
    releases: t.Sequence[t.Mapping[str, t.Any]],
    site_defaults: t.Mapping[str, object] | None = None,
    partial: bool = False,
    acme: t.Mapping[str, object] | None = None,
) -> list[dict[str, t.Any]]:
    """Return the services that run the given releases."""
    try:
        defaults = with_acme(to_plain(site_defaults or {}), read_acme(acme or {}))
        return derive_services(settle_apps(to_plain(apps)), releases, defaults, partial)
    except (DeriveError, InputError) as exc:
        raise AnsibleFilterError(str(exc)) from exc


def nginx_sites(
    apps: t.Sequence[App],
    root: str = "/srv",
    services: t.Sequence[t.Mapping[str, t.Any]] | None = None,
    site_defaults: t.Mapping[str, object] | None = None,
) -> list[dict[str, t.Any]]:
    """Return the sites that publish the applications."""
    try:
        return derive_sites(settle_apps(apps), root, services, site_defaults)
    except (DeriveError, InputError) as exc:
        raise AnsibleFilterError(str(exc)) from exc


class FilterModule:
    """The filters of this file by their names."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return them."""
        return {"gunicorn_services": gunicorn_services, "nginx_sites": nginx_sites}
