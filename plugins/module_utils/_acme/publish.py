# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let nginx serve other certificates: copy, validate, swap the links, reload, prove, or revert. Private.

nginx reads a copy of what certbot has, through a link of ours: what it would refuse it does not meet at a restart.
"""

from __future__ import annotations

import os
import shutil
import typing as t

from .._nginx.apply import nginx_of, swap_and_reload
from .._nginx.binary import Nginx
from .._nginx.certificate import ISSUED_PREFIX
from .._nginx.certificate_use import readers
from .._nginx.conf import Configuration, ConfigurationError
from .._nginx.journal import Journal, instance_id, merge_steps, resolve_interrupted
from .._nginx.layout import read_site_paths
from .._nginx.model import NginxLayout, NginxPlan, NginxSiteError, Node, Swap
from .._nginx.policy import ReloadError, RunningNginx
from .._nginx.request import NginxRequest
from .._nginx.server import find_master, given_directives
from .._nginx.staged_tree import StagedTree
from .._nginx.tree import read_node
from .._nginx.validate import validate
from .._system.files import replace_link, write_file
from .._system.lock import Lock
from .lineage import CHAIN, KEY, STAND_IN, Lineage, Places, target_of
from .model import AcmeError

_CONFIG = "/etc/nginx/nginx.conf"


def nginx_request(directory_enabled: str | None = None, suffix: str | None = None) -> NginxRequest:
    """Return the nginx of this host."""
    sites = read_site_paths(_CONFIG).chosen(directory_enabled, suffix)
    return NginxRequest(NginxLayout("/etc/nginx/sites-available", sites.directory, sites.suffix), "nginx", _CONFIG)


def publish(request: NginxRequest, places: Places, lineages: t.Sequence[Lineage]) -> list[str]:
    """Let nginx serve certificates, all with one reload, and return warnings; raise AcmeError when it refuses them."""
    for lineage in lineages:
        _copy(places, lineage)
    return _switch(request, places, {one.name: (one.directory, one.chain, one.key) for one in lineages})


def is_read(request: NginxRequest, directory: str) -> bool:
    """Tell whether a site of nginx reads its certificate from a directory, or may do so."""
    return is_used(_loaded(request), directory)


def check_withdrawal(request: NginxRequest, places: Places, name: str) -> None:
    """Raise AcmeError for a certificate that cannot be taken away: a site uses it, and has no stand-in."""
    directory = os.path.join(places.tls, name)
    whole = all(os.path.isfile(os.path.join(directory, STAND_IN, base)) for base in (CHAIN, KEY))
    if not whole and is_used(_loaded(request), directory):
        raise AcmeError(f"the site '{name}' of nginx uses the certificate: remove or change the site first")


def withdraw(request: NginxRequest, places: Places, name: str) -> None:
    """Take away a site's certificate; a site of nginx that uses it gets its stand-in."""
    directory = os.path.join(places.tls, name)
    if is_used(_loaded(request), directory):
        stand_in = os.path.join(directory, STAND_IN)
        chain, key = (read_node(os.path.join(stand_in, base)).content or b"" for base in (CHAIN, KEY))
        _switch(request, places, {name: (STAND_IN, chain, key)})
    elif os.path.isdir(directory):
        shutil.rmtree(directory)


def _copy(places: Places, lineage: Lineage) -> None:
    directory = os.path.join(places.tls, lineage.name, lineage.directory)
    os.makedirs(directory, mode=0o755, exist_ok=True)
    write_file(os.path.join(directory, KEY), lineage.key, 0o600)
    write_file(os.path.join(directory, CHAIN), lineage.chain, 0o644)


def _switch(request: NginxRequest, places: Places, wanted: t.Mapping[str, tuple[str, bytes, bytes]]) -> list[str]:
    """Point the links of sites to other directories; certificates and keys are given for the test."""
    with Lock(f"{request.locks}/nginx-{instance_id(request.config)}.lock", request.lock_timeout, "sites of nginx"):
        swaps, staged = [], []
        for name, (target, chain, key) in wanted.items():
            link = places.current(name)
            swaps.append(Swap(link, read_node(link, content=False), Node("link", target)))
            for base, content in ((CHAIN, chain), (KEY, key)):
                staged.append(Swap(os.path.join(link, base), Node(), Node("file", content=content)))
        config = _loaded(request)
        if config is None or any(is_used(config, os.path.dirname(places.current(name))) for name in wanted):
            warnings = _reload(request, swaps, staged)
        else:
            warnings = []
            for swap in swaps:
                replace_link(swap.after.target, swap.path)
    for name in wanted:
        _remove_unused(os.path.dirname(places.current(name)), target_of(places, name))
    return warnings


def _reload(request: NginxRequest, swaps: t.Sequence[Swap], staged: t.Sequence[Swap]) -> list[str]:
    """Validate, swap the links and reload; raise AcmeError when nginx refuses, with everything as it was."""
    nginx = nginx_of(request)
    journal = Journal(request.config, request.layout.keep, request.state)
    try:
        pending = resolve_interrupted(journal.read())
        master = find_master(nginx.host, request.config, nginx.build, request.service)
        nginx.options = given_directives(nginx.host, master, request.service)
        running = RunningNginx(master.pid if master else 0, tuple(swap.path for swap in staged))
        validation = validate(nginx, NginxPlan(swaps=list(staged)), request.policy, running)
        plan = NginxPlan(swaps=list(swaps))
        reload = swap_and_reload(request, nginx, journal, merge_steps(pending, swaps), plan, validation)
    except (NginxSiteError, ReloadError) as exc:
        raise AcmeError(f"nginx does not accept it, and keeps the certificate that it has: {exc}") from exc
    unproved = [] if reload.performed else [f"the new certificate is in place, but {reload.reason}"]
    return [*validation.warnings, *unproved]


def _loaded(request: NginxRequest) -> Configuration | None:
    """Return the configuration on disk; an empty one without nginx, None when it cannot be followed."""
    if not Nginx(request.binary, request.config, request.prefix, request.host).present:
        return StagedTree({request.config: b""}).load(request.config)
    try:
        return StagedTree({}).load(request.config)
    except ConfigurationError:
        return None


def is_used(config: Configuration | None, directory: str) -> bool:
    """Tell whether nginx reads something from a directory, also for C(stream) or C(mail), or may do so."""
    return config is None or bool(readers(config, directory))


def _remove_unused(directory: str, current: str) -> None:
    """Remove the copies of earlier certificates: no worker of nginx reads them any more."""
    for base in os.listdir(directory):
        path = os.path.join(directory, base)
        if base.startswith(ISSUED_PREFIX) and base != current and os.path.isdir(path):
            shutil.rmtree(path)
