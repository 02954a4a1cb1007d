# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entry point of module preflight: look at a host before anything changes on it. Private to flaskops.stack."""

from __future__ import annotations

import os
import re
import time
import typing as t

from .._nginx.layout import account_of, read_site_paths
from .._system.command import CommandError, Commands
from .._system.command import run as run_command
from .._system.distribution import (
    HostError,
    check_host,
    idle_services,
    missing_packages,
    parse_nginx_version,
    parse_os_release,
    refuse_masked,
)
from .._system.files import read_file
from .._system.nginx_modules import static_modules
from .._system.paths import FIREWALL_STATE
from .._system.systemd import Systemd, is_running

Params = t.Mapping[str, t.Any]

_CONFIG = "/etc/nginx/nginx.conf"
# As apt takes one, also with a version, a release or an architecture, or as the path of a file.
_PACKAGE = re.compile(r"[A-Za-z0-9/.][A-Za-z0-9+.:=~_/*-]*")


def inspect(packages: list[str], services: list[str], nginx: str) -> dict[str, t.Any]:
    """Check the host and return the facts that RETURN describes; raise HostError when it cannot be managed."""
    with open("/etc/os-release", encoding="utf-8") as stream:
        distribution = parse_os_release(stream.read())
    check_host(os.geteuid() == 0, is_running(), distribution)
    states = Systemd(Commands()).show(services, ["ActiveState", "UnitFileState"])
    refuse_masked(states)
    return {
        "distribution": distribution.identifier,
        "distribution_version": distribution.version,
        "missing_packages": missing_packages(packages, dpkg_states(packages)),
        "idle_services": idle_services(states),
        "nginx_version": nginx_version(nginx),
        "nginx_user": nginx_user(),
        "nginx_modules": static_modules(),
        "firewall": os.path.exists(FIREWALL_STATE),
    }


def package_names(wanted: list[str]) -> list[str]:
    """Return each name once, also of entries that are several between commas; raise HostError for what is no name."""
    names = [name.strip() for entry in wanted for name in entry.split(",") if name.strip()]
    for name in names:
        if not _PACKAGE.fullmatch(name):
            raise HostError(f"package '{name}' cannot be a name: list names of packages, such as [nginx, logrotate]")
    return list(dict.fromkeys(names))


def dpkg_states(packages: list[str]) -> str:
    """Return a line 'name<TAB>state' for each package that dpkg knows."""
    # dpkg-query exits 1 when it does not know one of the names, and lists the others.
    query = ["dpkg-query", "--show", "--showformat=${Package}\\t${db:Status-Status}\\n", *packages]
    return run_command(query).out if packages else ""


def nginx_version(program: str) -> str:
    """Return the version of an nginx program, or an empty string when it is not installed."""
    try:
        answer = run_command([program, "-v"])
    except CommandError:
        return ""
    return parse_nginx_version(answer.err)


def nginx_user() -> str:
    """Return the user that nginx's main configuration file names, or an empty string."""
    account = account_of((read_file(_CONFIG) or b"").decode("utf-8", "replace"))
    return account[0] if account else ""


def certificate_facts(wanted: Params, installs: bool) -> tuple[list[str], list[str]]:
    """Return what is wrong with files for certificates, and the sites that are plain HTTP until theirs has come."""
    if not wanted:
        return [], []
    # Loaded for hosts with certificates of a CA.
    from .._acme.host_check import file_faults, plain_sites
    from .._acme.lineage import Places
    from .._acme.model import Authority
    from .._input.values import directory_url

    authority = Authority(
        directory_url(wanted.get("directory_url") or "", "nginx_acme_directory"),
        ca_bundle=wanted.get("ca_bundle") or "",
        eab_file=wanted.get("eab_file") or "",
        challenge=wanted.get("challenge") or Authority.challenge,
        dns_hook=wanted.get("dns_hook") or "",
    )
    faults = file_faults(authority, Places(), installs)
    enabled = read_site_paths(_CONFIG).chosen(wanted.get("directory_enabled"), wanted.get("suffix"))
    return faults, plain_sites(wanted.get("sites") or {}, enabled, Places(), time.time())


def firewall_fact(wanted: Params) -> tuple[str, bool]:
    """Return why the wanted firewall would be refused, and whether it is to change."""
    if not wanted:
        return "", False
    # Loaded for hosts with a firewall.
    from .._system.host import Host
    from .nginx_firewall import look_ahead

    params = {"ports": [], "allow": [], "close": [], "revert_after": 60, **wanted}
    try:
        return "", look_ahead(Host(), params).changed
    except (ValueError, RuntimeError, OSError) as exc:
        return f"nginx_firewall: {exc}", False


def run(params: Params, _check: bool, _diff: bool = False) -> dict[str, t.Any]:
    """Return the module's result; one that has failed says why."""
    if params["refuse"]:
        return {"failed": True, "msg": "\n".join(params["refuse"])}
    try:
        facts = inspect(package_names(params["packages"]), params["services"], params["nginx"])
    except (HostError, CommandError, OSError) as exc:
        return {"failed": True, "msg": f"flaskops.stack cannot manage this host: {exc}"}
    # The action plugin installs them, or would.
    missing = facts["missing_packages"] if params["install"] else []
    faults, facts["plain_sites"] = certificate_facts(params["certificates"], bool(missing))
    fault, facts["firewall_pending"] = firewall_fact(params["firewall"])
    if faults or fault:
        return {"failed": True, "msg": "\n".join([*faults, *filter(None, [fault])])}
    after = "".join(f"install {name}\n" for name in missing)
    return {"changed": bool(missing), "diff": {"before": "", "after": after}, **facts}
