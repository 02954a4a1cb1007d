# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploy, roll back or remove the services of one task. Private to flaskops.stack."""

from __future__ import annotations

import contextlib
import os
import typing as t
from dataclasses import dataclass, field

from .._build.adopt import adopt_existing
from .._build.secret_values import redact_secrets
from .._input.defaults import REFUSE
from .._input.hooks import MIGRATE, HookError
from .._input.values import InputError
from .._release.assets import remove_stale_asset_links
from .._release.history import history_path, read_history
from .._release.migration import migrated_key
from .._release.model import Layout, Manifest, ReleaseError, is_release_id
from .._release.release import forget_manifest
from .._release.verified import is_verified
from .._release.way_out import place_of_release, with_ways_out
from .._service.process_units import process_units
from .._service.units import address_links, address_units, release_units
from .._system.account import UserError
from .._system.command import CommandError
from .._system.files import read_link, remove_stale_temp_files, replace_link
from .._system.homes import uses_home
from .._system.host import Host
from .._system.lock import Lock
from .._system.read_only import ReadOnlyError, refuse_read_only
from .._system.users import find_user
from .deployer import Deployer
from .deployment import Deployment, Service
from .finish import finish, record_refusal, record_start
from .hook_run import HookResult, run_hooks
from .log_excerpt import excerpt, has_trouble
from .memory import MemoryCheck
from .migrate import (
    describe_hooks,
    explain_migrated_meanwhile,
    is_due_in_fleet,
    key_of,
    migrate,
    note_migration,
)
from .observe import RUNTIME_UNITS, ForeignUnitError, UnitDirectory, observe
from .plan import WantedUnits
from .release_warnings import release_warnings
from .report import describe_service
from .request import ServiceRequest
from .rollback import resolve_target
from .rollback_hook import due_rollback_hook, run_rollback_hook

_LOG_LINES = 30
# Many workers may log the same error before the master exits.
_LOG_READ = 1000


@dataclass(frozen=True)
class DeployOptions:
    """The options that hold for all services of a task."""

    # systemd's directory.
    directory: str
    # Seconds to wait for the lock.
    lock_timeout: float = 60
    # Who runs it, for the history and the lock.
    by: str = ""
    # The policy when there is too little memory for two releases.
    overlap: str = REFUSE
    # The live release when the run began, by service, in a fleet.
    expected: t.Mapping[str, str] = field(default_factory=dict)
    # The id of the Ansible run, for the histories of all its hosts.
    run: str = ""
    # Where the files of busy units go that are no longer wanted.
    runtime_directory: str = RUNTIME_UNITS


class Services:
    """The services of one task on this host."""

    def __init__(
        self,
        host: Host,
        requests: t.Sequence[ServiceRequest],
        options: DeployOptions,
    ) -> None:
        """Take the host, the requests and the options."""
        self._host = host
        self._requests = requests
        self._options = options
        self._directory = UnitDirectory(host, options.directory, options.runtime_directory)
        # Rollback hooks that can be run now.
        self.pending_rollback_hooks: list[dict[str, t.Any]] = []

    def plan(
        self, check: bool = True, refused: t.Mapping[str, str] | None = None, migrated: t.Collection[str] = ()
    ) -> list[Deployment]:
        """Return the planned deployments; nothing is written.

        C(refused) are errors by name that stop one service, C(migrated) the services that this run has migrated.
        """
        errors = dict(refused or {})
        self._requests = [
            request if request.name in errors else resolve_target(request, check) for request in self._requests
        ]
        observed = observe(self._host, self._directory, [request.layout for request in self._requests])
        deployments = [
            Deployment.from_observed(_service(request), observed[request.name], self._host)
            for request in self._requests
        ]
        for deployment in deployments:
            try:
                self._directory.check([*deployment.plan.write, *deployment.plan.forward_write])
                if not deployment.plan.empty:
                    refuse_read_only([deployment.service.layout.base, self._directory.path])
            except (ForeignUnitError, ReadOnlyError) as exc:
                errors.setdefault(deployment.service.name, str(exc))
            name = deployment.service.name
            deployment.error = errors.get(name, "") or self._explain_overtaken(deployment, name in migrated)
            deployment.warnings = release_warnings(deployment, done=False) if check else []
        return deployments

    def _explain_overtaken(self, deployment: Deployment, migrated: bool) -> str:
        """Return why the live release, which another run deployed meanwhile, is not replaced; empty when none did."""
        name, current = deployment.service.name, deployment.observed.current or ""
        expected, wanted = self._options.expected.get(name, current), deployment.service.wanted.release
        if current in (expected, wanted):
            return ""
        by = next((entry.get("by") for entry in reversed(read_history(name)) if entry.get("release") == current), None)
        left = f"{current} was left as it is" if current else "Nothing was started here"
        database = f", but hooks.migrate of release {wanted} has run: the database is migrated for that"
        return (
            f"{current or 'no release'} serves here, and {expected or 'none'} served when this run began: another run "
            f"({by or 'by an unknown user'}) deployed meanwhile. {left}{database if migrated else ''}. See with "
            "status.yml what the hosts serve, and run one of the two again"
        )

    def due_migrations(self) -> list[dict[str, str]]:
        """Return the services whose migrations one host has to run before any host starts the release."""
        found = [(request.layout, request.manifest) for request in self._requests]
        return [
            {"name": layout.name, "key": key_of(manifest), "seen": migrated_key(layout.name)}
            for layout, manifest in found
            if manifest and is_due_in_fleet(layout, manifest)
        ]

    def migrate(self, seen: t.Mapping[str, str]) -> dict[str, t.Any]:
        """Run only the migrations of these services; one that fails does not stop the others.

        C(seen) are by name the migrations that were the last ones when these were found due.
        """
        with contextlib.ExitStack() as stack:
            busy = self._lock_all(stack, seen)
            # Under the lock: another run may have deployed while this one waited.
            deployments, ran = self.plan(refused=busy), {}
            # The database is not migrated for a release that could not be started.
            MemoryCheck(
                self._host, self._options.overlap, lambda deployment, error: setattr(deployment, "error", error)
            ).check(deployments)
            for deployment, request in zip(deployments, self._requests):
                if request.name not in seen or request.manifest is None:
                    continue
                done = self._migrate(deployment, request.layout, request.manifest, seen[request.name])
                if deployment.error:
                    record_refusal(deployment, request, self._options.by)
                else:
                    ran[request.name] = describe_hooks(done)
        refused = [deployment for deployment in deployments if deployment.error]
        errors = {deployment.service.name: deployment.error for deployment in refused}
        services = [describe_service(deployment) for deployment in refused]
        return {"changed": True, "services": services, "migrated": ran, "unmigrated": errors}

    def _migrate(self, deployment: Deployment, layout: Layout, manifest: Manifest, seen: str) -> list[HookResult]:
        """Run the migrations of one service; a failure is in the error of its deployment."""
        deployment.error = deployment.error or explain_migrated_meanwhile(layout, manifest, seen)
        try:
            return [] if deployment.error else migrate(self._host, layout, manifest)
        except (HookError, OSError, CommandError) as exc:
            deployment.error = str(exc)
            return []

    def run_rollback_hooks(self, left: t.Mapping[str, str]) -> dict[str, t.Any]:
        """Run only the rollback hooks asked for, of the releases that were rolled back."""
        ran, failed = {}, {}
        for request in self._requests:
            try:
                with self._lock(request):
                    gone, served = left[request.name], request.asked
                    done = run_rollback_hook(self._host, request.layout, gone, request.hook, self._options.by, served)
                ran[request.name] = describe_hooks(done)
            except (HookError, OSError, CommandError) as exc:
                failed[request.name] = str(exc)
        return {"changed": True, "services": [], "ran": ran, "unsuccessful": failed}

    def apply(self, migrated: t.Collection[str] = ()) -> list[Deployment]:
        """Deploy; a failure is in the error of its deployment. C(migrated) are those that another host migrated."""
        with contextlib.ExitStack() as stack:
            busy = self._lock_all(stack, [request.name for request in self._requests])
            deployments = self.plan(check=False, refused=busy, migrated=migrated)
            self._directory.remove_stale_temp_files()
            # An application that another run has locked is left alone, with its files.
            ours = [pair for pair in zip(deployments, self._requests) if pair[1].name not in busy]
            for deployment, request in ours:
                _remove_stale_temp_files(request)
                _prepare(deployment, request)
                if request.name in migrated:
                    note_migration(request.layout, request.manifest)
            for deployment, request in ours:
                record_start(deployment, request, self._options.by, self._options.run)
            deployer = Deployer(self._host, self._directory, self._explain, self._run_hooks, self._options.overlap)
            deployer.run([deployment for deployment, _request in ours])
            for deployment, request in ours:
                deployment.warnings = release_warnings(deployment)
                try:
                    finish(deployment, request, self._options.by, self._options.run)
                except (CommandError, OSError) as exc:
                    # The deploy succeeded: a history that cannot be written must not hide that.
                    deployment.step_warning = f"writing the history or pruning old releases failed: {exc}"
            self.pending_rollback_hooks = [
                due for deployment, request in ours if (due := due_rollback_hook(deployment, request))
            ]
            return deployments

    def _lock_all(self, stack: contextlib.ExitStack, names: t.Collection[str]) -> dict[str, str]:
        """Lock all of these services that can be locked; return by name why the others cannot be."""
        busy = {}
        named = [request for request in self._requests if request.name in names]
        # Always in the same order, so that two tasks never wait for each other.
        for request in sorted(named, key=lambda request: request.name):
            try:
                stack.enter_context(self._lock(request))
            except OSError as exc:
                busy[request.name] = str(exc)
        return busy

    def _run_hooks(self, deployment: Deployment, stage: str) -> list[HookResult]:
        layout, manifest = deployment.service.layout, deployment.service.manifest
        going_back = any(request.rollback for request in self._requests if request.name == layout.name)
        # A rollback runs no migrations: the older release has none for the newer schema.
        if manifest is None or (stage == MIGRATE and going_back):
            return []
        if stage == MIGRATE:
            return migrate(self._host, layout, manifest)
        return run_hooks(self._host, stage, layout, manifest, deployment.observed.current or "")

    @staticmethod
    def _explain(deployment: Deployment, reason: str) -> str:
        """Return the failure message; a release that cannot be imported is marked unfinished, and rebuilt next time."""
        layout, release, manifest = (
            deployment.service.layout,
            deployment.service.wanted.release,
            deployment.service.manifest,
        )
        asked = deployment.started and deployment.plan.switch and not deployment.healthy
        if manifest is None:
            return _explain(deployment, reason)
        said = _explain_load(deployment, manifest) if asked and not is_verified(layout, release) else ""
        return with_ways_out(said or _explain(deployment, reason), place_of_release(layout, manifest))

    def _lock(self, request: ServiceRequest) -> Lock:
        what = f"deploy of release {request.release}" if request.present else "removal"
        what = "rollback" if request.rollback else what
        return Lock(request.layout.lock, self._options.lock_timeout, f"{what} of {request.name}", self._options.by)


def _service(request: ServiceRequest) -> Service:
    if request.manifest is None:
        return Service(request.layout, None, WantedUnits(request.release))
    release = request.layout.release(request.release)
    places = (request.existing.directory, request.existing.virtualenv) if request.existing else None
    home_is_used = uses_home(*(places or (f"{release}/app", f"{release}/venv")))
    return Service(
        request.layout,
        request.manifest,
        WantedUnits(
            request.release,
            release_units(request.layout, request.manifest, home_is_used),
            address_units(request.layout, request.manifest),
            process_units(request.layout, request.manifest, home_is_used),
        ),
        request.chain,
        request.rollback,
    )


def _remove_stale_temp_files(request: ServiceRequest) -> None:
    """Remove stale temporary files of killed runs."""
    remove_stale_temp_files(request.layout.base)
    remove_stale_temp_files(os.path.dirname(history_path(request.name)))
    # The killed run may have deployed another release.
    for name in filter(is_release_id, _names(request.layout.releases)):
        remove_stale_temp_files(request.layout.release(name))
        remove_stale_temp_files(os.path.join(request.layout.release(name), "run"))
    remove_stale_asset_links()


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def _prepare(deployment: Deployment, request: ServiceRequest) -> None:
    """Prepare the files that the deploy needs; a failure stops this service alone."""
    try:
        if not deployment.error:
            _prepare_release(request)
    except (InputError, ReleaseError, UserError, CommandError, OSError) as exc:
        deployment.error = str(exc)


def _prepare_release(request: ServiceRequest) -> None:
    if request.existing:
        adopt_existing(request.layout, request.existing)
    manifest = request.manifest
    if manifest and find_user(manifest.user) is None:
        raise InputError(f"user '{manifest.user}' of {request.name} does not exist on this host: run role flask again")
    for name, target in address_links(manifest).items() if manifest else ():
        path = os.path.join(request.layout.release(request.release), "run", name)
        if read_link(path) != target:
            replace_link(target, path)


def _explain_load(deployment: Deployment, manifest: Manifest) -> str:
    """Return why a release that was never import-checked cannot be imported; empty when it can, or is not known."""
    # Imported late: a run that succeeds does not need it.
    from .._build.load import explain_import_failure

    # When the old release was stopped for lack of memory there is none for an import check: assume it is broken.
    said = "" if deployment.stopped_units else explain_import_failure(deployment.service.layout, manifest)
    if said or deployment.stopped_units:
        forget_manifest(deployment.service.layout.release(manifest.id))
    return said


def _explain(deployment: Deployment, reason: str) -> str:
    """Return the reason with a log excerpt, redacted."""
    failed = (
        [probe.service for probe in deployment.health_check.probes if not probe.passed]
        if deployment.health_check
        else []
    )
    services = [
        *filter(None, [deployment.failed_worker]),
        *failed,
        *(name for name in deployment.service.wanted.units if name.endswith(".service")),
    ]
    commands, systemd = deployment.host.commands, deployment.host.systemd
    try:
        commands.run(["journalctl", "--sync"])
        log = systemd.journal_tail(services[0], _LOG_READ, f"@{int(deployment.started_at)}") if services else ""
        if services and " ended" in reason and not has_trouble(log):
            # A killed run may have started it, before this one.
            log = systemd.journal_tail(services[0], _LOG_READ)
    except CommandError as exc:
        # A journal that hangs must not hide the reason.
        log = f"(it cannot be read: {exc})"
    text = excerpt(log, _LOG_LINES)
    release = deployment.service.layout.release(deployment.service.wanted.release)
    said = redact_secrets(reason + (f"\nIts log says:\n{text}" if text else ""), release, deployment.service.manifest)
    return said if has_trouble(log) else said + _name_own_logs(deployment)


def _name_own_logs(deployment: Deployment) -> str:
    """Return where the application has written its log, when that is a file."""
    # Imported late: a run that succeeds does not need it.
    from .own_logs import own_logs

    found = own_logs(deployment.service.layout.shared, int(deployment.started_at))
    return f"\nIts own log is in {', '.join(found)}" if found else ""
