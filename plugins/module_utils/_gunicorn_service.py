# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the services of one task as they are wanted. Private to flaskops.stack."""

from __future__ import annotations

import contextlib
import os
import typing as t

from ._command import CommandError, run
from ._files import Lock, read_file, sweep
from ._gunicorn_change import Change, Service
from ._gunicorn_existing import make_release
from ._gunicorn_finish import begin, finish
from ._gunicorn_handover import Handover
from ._gunicorn_host import UnitDirectory, observe
from ._gunicorn_plan import Wanted
from ._gunicorn_request import Request
from ._gunicorn_rollback import with_target
from ._gunicorn_settings import SettingsError, parse_environment
from ._gunicorn_units import address_units, release_units
from ._log_excerpt import excerpt
from ._mask import mask
from ._systemd import journal_tail
from ._user import find_user

_LOG_LINES = 30
# Many workers may say the same before the master ends.
_LOG_READ = 1000
# Below these a process sees nothing when ProtectHome=yes.
_HOMES = ("/home/", "/root/", "/run/user/")


class Services:
    """The services of one task on this host."""

    def __init__(self, requests: t.Sequence[Request], directory: str, lock_timeout: float, by: str = "") -> None:
        """Take what is wanted, systemd's directory, how long to wait for others, and who asks for it."""
        self._requests = requests
        self._directory = UnitDirectory(directory)
        self._lock_timeout = lock_timeout
        self._by = by

    def plan(self, check: bool = True) -> list[Change]:
        """Return what would be done; nothing is written."""
        self._requests = [with_target(request, check) for request in self._requests]
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
            changes = self.plan(check=False)
            self._directory.sweep()
            for request in self._requests:
                sweep(request.layout.base)
                _prepare(request)
            for change, request in zip(changes, self._requests):
                begin(change, request, self._by)
            Handover(self._directory, _explain).run(changes)
            for change, request in zip(changes, self._requests):
                try:
                    finish(change, request, self._by)
                except OSError as exc:
                    # The services are as they shall be: a history that cannot be written must not hide that.
                    change.note = f"the history, or what is removed with it, is not up to date: {exc}"
            return changes

    def _lock(self, request: Request) -> Lock:
        what = f"hand-over to release {request.release}" if request.present else "removal"
        what = "rollback" if request.rollback else what
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
