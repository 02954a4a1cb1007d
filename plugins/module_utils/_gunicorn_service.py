# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the services of one task as they are wanted. Private to flaskops.stack."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
import typing as t
from dataclasses import dataclass, replace

from ._command import CommandError, run
from ._files import Lock, read_file, sweep
from ._gunicorn_change import Change, Service
from ._gunicorn_existing import Existing, check_existing, make_release
from ._gunicorn_handover import Handover
from ._gunicorn_host import UnitDirectory, observe
from ._gunicorn_plan import Wanted
from ._gunicorn_prune import prune_releases, remove_release
from ._gunicorn_settings import SettingsError, normalise_settings, parse_environment
from ._gunicorn_units import address_units, release_units
from ._history import forget, read_history, record
from ._log_excerpt import excerpt
from ._mask import mask
from ._names import check_name, check_socket_path
from ._release import Layout, Manifest, ReleaseError, is_release_id, list_releases, read_manifest
from ._systemd import journal_tail
from ._user import find_group, find_user, remove_user

_LOG_LINES = 30
# Many workers may say the same before the master ends.
_LOG_READ = 1000
# Below these a process sees nothing when ProtectHome=yes.
_HOMES = ("/home/", "/root/", "/run/user/")


@dataclass(frozen=True)
class Request:
    """What the user wants of one service, checked."""

    layout: Layout
    present: bool
    release: str = ""
    manifest: Manifest | None = None
    existing: Existing | None = None

    @property
    def name(self) -> str:
        """Return the application's name."""
        return self.layout.name

    @property
    def keep(self) -> int:
        """Return how many releases stay."""
        return self.existing.keep if self.existing else self.manifest.keep if self.manifest else 1


def read_requests(services: t.Sequence[t.Mapping[str, t.Any]], root: str, check: bool) -> list[Request]:
    """Return the services of a task, each checked, and all against each other, before anything changes."""
    if not os.path.isabs(root) or any(char.isspace() or char in "%\\\"'$" for char in root):
        raise SettingsError(f"root '{root}' must be an absolute path without blanks, quotes, '%', '$' and backslashes")
    requests = [_name_errors(service, os.path.normpath(root), check) for service in services]
    _refuse_twice((request.name for request in requests), "services has the name", "each application is one service")
    binds = [address for request in requests if request.manifest for address in _binds(request.manifest)]
    _refuse_twice(binds, "two services bind", "give each an address of its own")
    return requests


def _refuse_twice(values: t.Iterable[str], what: str, remedy: str) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise SettingsError(f"{what} '{value}' twice: {remedy}")
        seen.add(value)


def _binds(manifest: Manifest) -> list[str]:
    return t.cast("list[str]", manifest.settings["bind"])


def _name_errors(service: t.Mapping[str, t.Any], root: str, check: bool) -> Request:
    try:
        return _read_request(service, root, check)
    except SettingsError as exc:
        raise SettingsError(f"service '{service['name']}': {exc}") from exc


def _read_request(service: t.Mapping[str, t.Any], root: str, check: bool) -> Request:
    release = service.get("release")
    # A release says itself where it is.
    layout = Layout(_root_of(release) if release else root, check_name(service["name"]))
    if os.path.lexists(layout.current) and not os.path.islink(layout.current):
        raise SettingsError(
            f"{layout.current} is not a symbolic link: move it away, it has to lead to the current release"
        )
    if service.get("state") == "absent":
        return Request(layout, present=False)
    request = _read_release(layout, release, check) if release else _read_existing(layout, service, check)
    if request.manifest and not check:
        _check_host(request.manifest)
    return request


def _root_of(release: str) -> str:
    """Return the root in /root/name/releases/id."""
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.normpath(release))))


def _read_release(layout: Layout, path: str, check: bool) -> Request:
    release = os.path.basename(os.path.normpath(path))
    if not is_release_id(release) or os.path.normpath(path) != layout.release(release):
        raise SettingsError(f"release '{path}' must be the absolute path <root>/{layout.name}/releases/<id>")
    manifest = read_manifest(path)
    if manifest is None and not check:
        raise ReleaseError(f"release '{path}' is not there or was not built to its end: build it with role flask again")
    if manifest is not None and (manifest.name, manifest.id) != (layout.name, release):
        raise ReleaseError(
            f"{path}/release.json is of {manifest.name} {manifest.id}: a release cannot be moved or copied"
        )
    return Request(layout, True, release, _checked(layout, manifest) if manifest else None)


def _read_existing(layout: Layout, service: t.Mapping[str, t.Any], check: bool) -> Request:
    existing = Existing.from_params(service)
    if not check:
        check_existing(existing)
    return Request(layout, True, existing.id, _checked(layout, existing.manifest()), existing)


def _checked(layout: Layout, manifest: Manifest) -> Manifest:
    """Return a manifest whose settings are complete, also when an earlier version wrote it."""
    checked = replace(manifest, settings=normalise_settings(manifest.settings))
    for number in range(t.cast(int, checked.settings["instances"])):
        check_socket_path(layout.socket(checked.id, number))
    return checked


def _check_host(manifest: Manifest) -> None:
    group = t.cast(str, manifest.settings["socket_group"])
    if find_group(group) is None:
        raise SettingsError(f"socket_group '{group}' does not exist on this host: name the group that nginx runs as")


class Services:
    """The services of one task on this host."""

    def __init__(self, requests: t.Sequence[Request], directory: str, lock_timeout: float, by: str = "") -> None:
        """Take what is wanted, systemd's directory, how long to wait for others, and who asks for it."""
        self._requests = requests
        self._directory = UnitDirectory(directory)
        self._lock_timeout = lock_timeout
        self._by = by

    def plan(self) -> list[Change]:
        """Return what would be done; nothing is written."""
        observed = observe(self._directory, [request.layout for request in self._requests])
        changes = [Change.between(_service(request), observed[request.name]) for request in self._requests]
        for change in changes:
            self._directory.check([*change.plan.write, *change.plan.forward_write])
        return changes

    def apply(self) -> list[Change]:
        """Do it; what went wrong with a service is in its change."""
        with contextlib.ExitStack() as stack:
            # Always in the same order, so that two tasks never wait for each other.
            for request in sorted(self._requests, key=lambda request: request.name):
                stack.enter_context(self._lock(request))
            changes = self.plan()
            self._directory.sweep()
            for request in self._requests:
                sweep(request.layout.base)
                _prepare(request)
            Handover(self._directory, _explain).run(changes)
            for change, request in zip(changes, self._requests):
                try:
                    _finish(change, request)
                except OSError as exc:
                    # The services are as they shall be: a history that cannot be written must not hide that.
                    change.note = f"the history, or what is removed with it, is not up to date: {exc}"
            return changes

    def _lock(self, request: Request) -> Lock:
        what = f"hand-over to release {request.release}" if request.present else "removal"
        return Lock(request.layout.lock, self._lock_timeout, f"{what} of {request.name}", self._by)


def _service(request: Request) -> Service:
    if request.manifest is None:
        return Service(request.layout, None, Wanted(request.release))
    home_is_used = any(_real(request, part).startswith(_HOMES) for part in ("app", "venv", "venv/bin/python"))
    units = release_units(request.layout, request.manifest, home_is_used)
    return Service(
        request.layout,
        request.manifest,
        Wanted(request.release, units, address_units(request.layout, request.manifest)),
    )


def _real(request: Request, part: str) -> str:
    """Return where a part of the release really lies, also when the release is not made yet."""
    first, _slash, rest = part.partition("/")
    if request.existing:
        base = request.existing.directory if first == "app" else request.existing.virtualenv
        return os.path.realpath(os.path.join(base, rest))
    return os.path.realpath(os.path.join(request.layout.release(request.release), part))


def _prepare(request: Request) -> None:
    if request.existing:
        make_release(request.layout, request.existing)
    manifest = request.manifest
    if manifest and find_user(manifest.user) is None:
        raise SettingsError(
            f"user '{manifest.user}' of {request.name} does not exist on this host: run role flask again"
        )


def _explain(change: Change, reason: str) -> str:
    """Return why a release was refused and what its log says, without its secrets."""
    failed = [probe.service for probe in change.gate.probes if not probe.passed] if change.gate else []
    services = [*failed, *(name for name in change.service.wanted.units if name.endswith(".service"))]
    try:
        run(["journalctl", "--sync"])
        log = journal_tail(services[0], _LOG_READ, f"@{int(change.started_at)}") if services else ""
    except CommandError as exc:
        # A journal that hangs must not keep what is left to be undone from being undone.
        log = f"(it cannot be read: {exc})"
    text = excerpt(log, _LOG_LINES)
    return mask(reason + (f"\nIts log says:\n{text}" if text else ""), _secrets(change), shortest=3)


def _secrets(change: Change) -> list[str]:
    """Return the values of a release's secrets; of all its variables when it does not say which are secret."""
    release = change.service.layout.release(change.service.wanted.release)
    data = read_file(os.path.join(release, "env")) or b""
    values = parse_environment(data.decode("utf-8", "replace"))
    manifest = change.service.manifest
    names = t.cast("list[str]", manifest.extra.get("secret_names", list(values)) if manifest else list(values))
    return [values[name] for name in names if name in values]


def _finish(change: Change, request: Request) -> None:
    if change.plan.switch:
        record(request.name, _entry(change))
    if not request.present:
        if not (change.error or change.lingering):
            _remove_existing(request.layout)
            forget(request.name)
    elif not change.plan.empty:
        kept = {change.service.wanted.release, change.observed.current or ""}
        change.pruned = prune_releases(request.layout, request.keep, kept, read_history(request.name))


def _entry(change: Change) -> dict[str, object]:
    entry: dict[str, object] = {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "release": change.service.wanted.release,
        "from": change.observed.current or "",
        "by": os.environ.get("SUDO_USER") or "root",
        "result": "failed" if change.error else "activated",
        "seconds": change.seconds,
    }
    return {**entry, "reason": change.error.splitlines()[0]} if change.error else entry


def _remove_existing(layout: Layout) -> None:
    """Remove the releases that C(make_release) made, and what is empty then; shared files stay."""
    manifests = [manifest for manifest in list_releases(layout) if manifest.source.get("type") == "existing"]
    for manifest in manifests:
        remove_release(layout.release(manifest.id))
    for directory in (layout.releases, layout.shared, layout.base):
        if manifests and os.path.isdir(directory) and not os.listdir(directory):
            shutil.rmtree(directory)
    for manifest in manifests[-1:]:
        if not os.path.exists(layout.base):
            remove_user(manifest.user)
