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
from ..module_utils._site.acme import certificate_packages, check_sites, read_acme, with_acme
from ..module_utils._site.parse import parse_sites, status_port_fault
from ..module_utils._site.render import site_configs

Item = t.Mapping[str, object]


def nginx_site_configs(
    sites: t.Sequence[Item],
    version: str = "",
    defaults: Item | None = None,
    catch_all: object = True,
    acme: Item | None = None,
    modules: t.Sequence[str] = (),
    plain: t.Sequence[str] = (),
) -> list[dict[str, t.Any]]:
    """Return what module nginx_site is to do for items of nginx_sites; C(acme) are the variables of certificates."""
    try:
        read = read_acme(acme or {})
        wanted = catch_all is None or boolean(catch_all)
        return site_configs(sites, defaults or {}, version, wanted, Display().warning, read, modules, plain)
    except InputError as exc:
        raise AnsibleFilterError(str(exc)) from exc


def nginx_site_problems(
    sites: t.Sequence[Item],
    defaults: Item | None = None,
    status_port: object = 0,
    acme: Item | None = None,
    firewall_allow: t.Sequence[Item] = (),
    firewall_close: t.Sequence[object] = (),
) -> list[str]:
    """Return why items of nginx_sites, and other variables of the role, are impossible; nothing when they are not."""
    try:
        read = read_acme(acme or {})
        parsed = parse_sites(sites, with_acme(defaults or {}, read))
        check_sites(parsed, read)
        fault = status_port_fault(status_port, parsed)
    except InputError as exc:
        return [str(exc)]
    return ([fault] if fault else []) + firewall_faults(firewall_allow, firewall_close)


def firewall_faults(allow: t.Sequence[Item], close: t.Sequence[object]) -> list[str]:
    """Return what is wrong with the exceptions of the firewall."""
    if not (allow or close):
        return []
    # Most hosts have none: no file more to load.
    from ..module_utils._firewall.openings import firewall_faults as faults

    return faults(allow, close)


def nginx_listen_ports(configs: t.Sequence[Item]) -> list[str]:
    """Return the ports on which sites are reached from outside."""
    # As above.
    from ..module_utils._site.listen import listen_ports

    return listen_ports(configs)


def nginx_certificates(
    sites: t.Sequence[Item],
    defaults: Item | None = None,
    acme: Item | None = None,
    directory_enabled: object = "",
    suffix: object = "",
) -> dict[str, t.Any]:
    """Return what the certificates of sites need: packages, and the arguments of nginx_certificate and preflight."""
    try:
        read = read_acme(acme or {})
        parsed = parse_sites(sites, with_acme(defaults or {}, read))
    except InputError:
        # Filter nginx_site_problems says why.
        return {"packages": [], "request": {}, "host": {}}
    return {
        "packages": certificate_packages(parsed),
        "request": read.request(parsed),
        "host": read.on_host(parsed, directory_enabled, suffix),
    }


class FilterModule:
    """The filters of this file by their names."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return them."""
        return {
            "nginx_certificates": nginx_certificates,
            "nginx_listen_ports": nginx_listen_ports,
            "nginx_site_configs": nginx_site_configs,
            "nginx_site_problems": nginx_site_problems,
        }
