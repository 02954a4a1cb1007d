# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parse and validate the parameters of gunicorn_service. Private to flaskops.stack."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, replace

from .._build.adopt import ExistingApp, check_existing
from .._build.host_check import check_paths, check_service_host, check_switch
from .._input.defaults import to_json
from .._input.values import InputError, check_name, check_root, check_socket_path
from .._nginx.socket_group import socket_group
from .._release.model import Layout, Manifest, ReleaseError, is_release_id
from .._release.ownership import check_directories_of, check_owner, check_place, owner_ids
from .._release.release import damage, read_manifest
from .._service.settings import parse_settings
from .._site.forwarded import ForwardedChain
from .._system.users import check_accounts


@dataclass(frozen=True)
class ServiceRequest:
    """The validated parameters of one service."""

    layout: Layout
    present: bool
    release: str = ""
    manifest: Manifest | None = None
    existing: ExistingApp | None = None
    # Whether to roll back; the release is chosen while the lock is held.
    rollback: bool = False
    # The client address, scheme and host that nginx forwards, where that is known.
    chain: ForwardedChain | None = None
    asked: str = ""
    # The rollback hook to run, and the release that is rolled back, whose hook it is.
    hook: str = ""
    rolled_back_from: str = ""

    @property
    def name(self) -> str:
        """Return the application's name."""
        return self.layout.name

    @property
    def keep(self) -> int:
        """Return how many releases to keep."""
        return self.existing.keep if self.existing else self.manifest.keep if self.manifest else 1


def read_requests(services: t.Sequence[t.Mapping[str, t.Any]], root: str, check: bool) -> list[ServiceRequest]:
    """Return the services of a task, each validated, and all against each other, before anything changes."""
    top = os.path.normpath(check_root(root))
    requests = [_read_named(service, top, check) for service in services]
    _refuse_twice((request.name for request in requests), "services has the name", "each application is one service")
    binds = [address for request in requests if request.manifest for address in request.manifest.settings.bind]
    _refuse_twice(binds, "two services bind", "give each an address of its own")
    return requests


def _refuse_twice(values: t.Iterable[str], what: str, remedy: str) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise InputError(f"{what} '{value}' twice: {remedy}")
        seen.add(value)


def _read_named(service: t.Mapping[str, t.Any], root: str, check: bool) -> ServiceRequest:
    try:
        return _read_request(service, root, check)
    except InputError as exc:
        raise InputError(f"service '{service['name']}': {exc}") from exc


def _chain_of(service: t.Mapping[str, t.Any]) -> ForwardedChain | None:
    site = service.get("site")
    return ForwardedChain(**{key: value for key, value in site.items() if value is not None}) if site else None


def _read_request(service: t.Mapping[str, t.Any], root: str, check: bool) -> ServiceRequest:
    release, state = service.get("release"), service.get("state")
    # The path of a release names its root.
    layout = Layout(_root_of(release) if release and state != "rolled_back" else root, check_name(service["name"]))
    check_switch(layout)
    hook = service.get("hook") or ""
    if state == "rolled_back":
        check_directories_of(layout)
        return ServiceRequest(layout, True, rollback=True, asked=_id_of(release) if release else "", hook=hook)
    if hook:
        raise InputError(f"hook '{hook}' is for a rollback: set state: rolled_back, or leave it out")
    if state == "absent":
        return ServiceRequest(layout, present=False)
    check_place(layout)
    request = read_release(layout, release, check) if release else _read_existing(layout, service, check)
    request = replace(request, chain=_chain_of(service))
    if request.manifest and not check:
        check_service_host(request.manifest.settings)
        check_paths(request.manifest.settings)
        check_owner(layout, request.manifest.user, bool(request.manifest.shared))
    return request


def _id_of(release: str) -> str:
    """Return the id of a release, or its beginning, from that or from a path; never nothing, which means another."""
    return os.path.basename(os.path.normpath(release)) or release


def _root_of(release: str) -> str:
    """Return the root of <root>/<name>/releases/<id>."""
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.normpath(release))))


def read_release(layout: Layout, path: str, check: bool) -> ServiceRequest:
    """Return the request for a release that was built; raise an error when it cannot be run."""
    release = os.path.basename(os.path.normpath(path))
    if not is_release_id(release) or os.path.normpath(path) != layout.release(release):
        raise InputError(f"release '{path}' must be the absolute path <root>/{layout.name}/releases/<id>")
    manifest = read_manifest(path)
    if manifest is None and not check:
        why = damage(path)
        raise ReleaseError(
            f"release '{release}' of {layout.name} cannot be run: {why}"
            if why
            else f"release '{path}' is not there or was not built to its end: build it with role flask again"
        )
    if manifest is not None and (manifest.name, manifest.id) != (layout.name, release):
        raise ReleaseError(
            f"{path}/release.json is of {manifest.name} {manifest.id}: a release cannot be moved or copied"
        )
    return ServiceRequest(layout, True, release, _checked(layout, manifest) if manifest else None)


def _read_existing(layout: Layout, service: t.Mapping[str, t.Any], check: bool) -> ServiceRequest:
    existing = ExistingApp.from_params(service)
    check_accounts(existing.claim(owner_ids(layout)))
    if not check:
        check_existing(existing)
    return ServiceRequest(layout, True, existing.id, _checked(layout, existing.manifest()), existing)


def _checked(layout: Layout, manifest: Manifest) -> Manifest:
    """Return a manifest whose settings can be used, with the group that nginx has on this host."""
    if manifest.unknown_settings:
        raise InputError(
            f"release {manifest.id} has the setting gunicorn.{manifest.unknown_settings[0]}, which this version of the "
            "collection does not know: use the version that built it, or deploy another release"
        )
    settings = parse_settings(to_json(manifest.settings))
    checked = replace(manifest, settings=replace(settings, socket_group=socket_group(settings.socket_group)))
    for number in range(checked.settings.instances):
        check_socket_path(layout.socket(checked.id, number))
    return checked
