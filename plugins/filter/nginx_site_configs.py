# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that write sites as nginx configuration, or say why that cannot be."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.utils.display import Display

from ..module_utils._input.values import InputError
from ..module_utils._site.parse import parse_sites, status_port_fault
from ..module_utils._site.render import site_configs

Item = t.Mapping[str, object]


def nginx_site_configs(
    sites: t.Sequence[Item], version: str = "", defaults: Item | None = None, catch_all: object = True
) -> list[dict[str, str]]:
    """Return what module nginx_site is to do for items of nginx_sites."""
    try:
        return site_configs(sites, defaults or {}, version, boolean(catch_all), Display().warning)
    except InputError as exc:
        raise AnsibleFilterError(str(exc)) from exc


def nginx_site_problems(sites: t.Sequence[Item], defaults: Item | None = None, status_port: object = 0) -> list[str]:
    """Return why items of nginx_sites are impossible; nothing when they are not."""
    try:
        fault = status_port_fault(status_port, parse_sites(sites, defaults or {}))
    except InputError as exc:
        return [str(exc)]
    return [fault] if fault else []


class FilterModule:
    """The filters of this file by their names."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return them."""
        return {"nginx_site_configs": nginx_site_configs, "nginx_site_problems": nginx_site_problems}
