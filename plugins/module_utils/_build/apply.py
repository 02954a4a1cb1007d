# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build, activate or remove the applications of a task. Private to flaskops.stack."""

from __future__ import annotations

import errno
import json
import os
import pwd
import time
import typing as t
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from .._app.application import App, AppError, parse_apps
from .._app.dependencies import DependencyError
from .._app.source import SourceError, is_commit
from .._input.defaults import to_json
from .._input.hooks import HookError
from .._input.printable import short_reason
from .._input.values import InputError, UnsafeNameError, check_name
from .._release.history import try_record
from .._release.linked_data import is_link_of_rename, linked_data
from .._release.model import Layout, ReleaseError
from .._release.ownership import check_owner, check_place, owner_ids
from .._release.release import current_id, is_foreign_link, list_releases, own_releases, read_manifest
from .._release.releases import find_applications
from .._release.shared import ShareError
from .._release.way_out import place_of, with_ways_out
from .._service.own_conf import USUAL, explain_unread
from .._system.account import UserError
from .._system.command import CommandError
from .._system.fence import hook_unit
from .._system.files import TEMPORARY, remove_file, remove_stale_temp_files, replace_link, utc_now
from .._system.lock import Lock, caller
from .._system.paths import ANSWERS
from .._system.read_only import refuse_read_only
from .._system.trees import remove_tree
from .._system.users import check_accounts, end_user, remove_user
from .build import BuildPlan, build, is_built, needs_payload
from .build_fence import end_leftovers
from .fetch import UploadedSource, find_revision, text_reader
from .host_check import check_paths, check_service_host, check_switch
from .preflight import check_schedules
from .rename import RenameError, check_rename, has_data_to_move, move_data
from .venv import BuildError, Interpreter, find_interpreter, trusted_bundle
from .verify_import import verify_if_unverified

FAILURES = (
    AppError,
    BuildError,
    CommandError,
    DependencyError,
    HookError,
    OSError,
    ReleaseError,
    RenameError,
    InputError,
    ShareError,
    SourceError,
    UnsafeNameError,
    UserError,
)

Item = t.Mapping[str, t.Any]

# A new ext4 file system contains this directory.
_OF_MOUNT = frozenset(["lost+found"])


class Builds:
    """What builds and records the releases of this host; tests hand in one of their own."""

    def needs_payload(self, plan: BuildPlan) -> bool:
        """Tell whether a release can only be built from a file that the controller has to send."""
        return needs_payload(plan)

    def is_built(self, plan: BuildPlan) -> bool:
        """Tell whether a release is there, complete."""
        return is_built(plan)

    def build(self, plan: BuildPlan, starts_next: bool) -> None:
        """Build a release."""
        build(plan, starts_next)

    def verify(self, plan: BuildPlan, starts_next: bool) -> None:
        """Import-check a complete release if a killed run did not."""
        verify_if_unverified(plan.app, plan.layout, plan.id, starts_next)

    def record(self, name: str, entry: dict[str, t.Any]) -> None:
        """Write an entry into the history of an application."""
        try_record(name, entry)

    def lock(self, layout: Layout, timeout: float, what: str, by: str) -> AbstractContextManager[object]:
        """Return the lock of an application."""
        return Lock(layout.lock, timeout, f"{what} of {layout.name}", by)


@dataclass(frozen=True)
class BuildOptions:
    """The options that hold for all applications of a task."""

    root: str
    lock_timeout: float
    uv_requirement: str
    activate: bool
    check_mode: bool
    # Who runs it, for the lock and the history.
    by: str = ""
    # Whether the releases are deployed next, so that the import check is deferred to their start.
    starts_next: bool = False
    # Whether the play publishes the applications with nginx afterwards.
    publishes: bool = True
    # Whether uv gets a Python that the host lacks, and from where.
    python_download: bool = False
    python_mirror: str = ""
    builds: Builds = field(default_factory=Builds)


def present(items: t.Sequence[Item], sent: Item, options: BuildOptions) -> dict[str, t.Any]:
    """Build the releases that are missing and return the module's result; change nothing unless all input is right.

    An application that cannot be built does not stop the others: the releases lack it, and C(msg) has its error.
    C(faults) are errors that the action plugin hands back in C(sent), so that a server that is down is waited for once.
    """
    apps = parse_apps(items, options.root)
    plans, faults = _make_plans(apps, sent, options)
    wanted = [] if options.check_mode else [plan.app.name for plan in plans if options.builds.needs_payload(plan)]
    if wanted:
        return {"changed": False, "releases": [], "removed": [], "wanted": wanted, "faults": faults}
    rows, diffs = [], []
    errors = {name: f"app '{name}': {fault}" for name, fault in faults.items()}
    for plan in plans:
        before = current_id(plan.layout)
        try:
            rows.append(_apply(plan, options))
        except AppError as exc:
            errors[plan.app.name] = str(exc)
            continue
        if before != plan.id:
            diffs.append(_diff(plan, before))
    listed = {name for app in apps for name in (app.name, app.rename_from)}
    result = {**_result(rows, diffs, errors), "unlisted": _unlisted(options.root, listed)}
    if errors:
        result["serving"] = {name: _serving(Layout(options.root, name)) for name in errors}
    warnings = [f"app '{plan.app.name}': {plan.app.mask(warning)}" for plan in plans for warning in plan.warnings]
    return {**result, **({"warnings": warnings} if warnings else {})}


def _serving(layout: Layout) -> str:
    """Return the release that goes on serving; an empty text for none."""
    return "" if is_foreign_link(layout) else current_id(layout) or ""


def _unlisted(root: str, listed: t.Collection[str]) -> list[str]:
    """Return the live applications that are not in the list, such as the old name after a rename."""
    found = [layout for layout in find_applications(root) if layout.name not in listed]
    return [layout.name for layout in found if current_id(layout) and not _is_existing(layout)]


def _is_existing(layout: Layout) -> bool:
    """Tell whether it is an adopted application, which role gunicorn alone runs."""
    try:
        manifest = read_manifest(layout.release(current_id(layout) or ""))
    except ReleaseError:
        return False
    return manifest is not None and manifest.source.get("type") == "existing"


def _result(rows: t.Sequence[Item], diffs: t.Sequence[Item], errors: t.Mapping[str, str]) -> dict[str, t.Any]:
    changed = any(row["built"] or row["activated"] for row in rows)
    releases = [{key: value for key, value in row.items() if key != "activated"} for row in rows]
    facts = {"flask_releases": releases}
    result = {"changed": changed, "releases": releases, "removed": [], "ansible_facts": facts, "diff": [*diffs]}
    return {**result, "failed": True, "msg": "\n".join(errors.values()), "errors": errors} if errors else result


def _make_plans(apps: t.Sequence[App], sent: Item, options: BuildOptions) -> tuple[list[BuildPlan], dict[str, str]]:
    """Return what to build, and by name why the other applications cannot be built."""
    interpreters: dict[str, Interpreter] = {}
    plans, faults = [], {}
    for app in apps:
        try:
            plans.append(_make_plan(app, sent.get(app.name), interpreters, options))
        except FAILURES as exc:
            faults[app.name] = app.mask(str(exc))
    return plans, faults


def _make_plan(app: App, sent: Item | None, interpreters: dict[str, Interpreter], options: BuildOptions) -> BuildPlan:
    layout = Layout(options.root, app.name)
    found = UploadedSource(**sent) if sent else None
    if found and found.error:
        raise SourceError(found.error)
    check_place(layout)
    check_accounts(app.claim(owner_ids(layout)))
    check_schedules(app.timers)
    check_owner(layout, app.user, bool(app.shared))
    if app.rename_from:
        former = Layout(options.root, app.rename_from)
        check_rename(layout, former, options.publishes)
        # The old and the new name serve side by side, for a moment.
        check_owner(former, app.user, bool(app.shared))
    # What role gunicorn would refuse later, for all applications at once.
    check_switch(layout)
    if not options.check_mode:
        check_service_host(app.settings)
        check_paths(app.settings, below=layout.base)
    bundle = trusted_bundle(app.ca_bundle)
    if app.wheel_dir and not os.path.isdir(app.wheel_dir):
        raise DependencyError(f"wheel_dir '{app.wheel_dir}' is no directory on this host: copy the wheels there first")
    if app.python not in interpreters:
        interpreters[app.python] = _find_python(app, bundle, options)
    expect_new = options.starts_next
    revision = find_revision(app, found, layout, app.ca_bundle, options.check_mode, expect_new)
    plan = BuildPlan(app, layout, revision, interpreters[app.python], bundle, options.uv_requirement)
    if options.check_mode:
        plan.warnings.extend(_explain_provisional_id(plan))
    return plan


def _explain_provisional_id(plan: BuildPlan) -> list[str]:
    """Return the warning that check mode cannot know the id of a release; none when it does."""
    if plan.revision.type == "git" and not is_commit(plan.revision.revision):
        why = "git"
    elif not os.path.exists(plan.interpreter.path):
        why = plan.app.python
    else:
        return []
    cannot = "is not installed on this host yet, so check mode cannot know the release"
    return [f"{why} {cannot}: a run will give it another id than {plan.id}"]


def _find_python(app: App, bundle: str, options: BuildOptions) -> Interpreter:
    """Return the Python of an application: one of the host, or one that uv gets by the user's choice."""
    if not (options.python_download or options.python_mirror):
        return find_interpreter(app.python)
    # Loaded by choice: each file that is imported costs every run.
    from .managed_python import PythonSource, find_or_get
    from .venv_commands import UV, VenvRequest

    source = PythonSource(options.python_download, options.python_mirror)
    request = VenvRequest(UV, "", "", "", "/root/.cache", "", app.index_url, bundle, app.wheel_dir)
    return find_or_get(app.python, source, options.uv_requirement, request, options.check_mode)


def _apply(plan: BuildPlan, options: BuildOptions) -> dict[str, t.Any]:
    started = time.monotonic()
    lock: AbstractContextManager[object] = nullcontext()
    if not options.check_mode:
        lock = _lock(plan.layout, options, f"build of release {plan.id}")
    try:
        with lock:
            if not options.check_mode:
                remove_stale_temp_files(plan.layout.base)
            built = _is_missing(plan, options)
            if not options.check_mode:
                _move_renamed_data(plan, options)
            if built and not options.check_mode:
                _build(plan, options)
            elif not options.check_mode:
                options.builds.verify(plan, options.starts_next)
            if plan.app.served and not options.check_mode:
                _link_packages(plan)
            activated = options.activate and _activate(plan, options.check_mode)
        plan.warnings.extend(_own_configuration(plan))
    except FAILURES as exc:
        place = place_of(plan.layout, plan.app.user, plan.app.shared, plan.app.app, plan.app.source_type)
        said = plan.app.mask(str(exc))
        # An error of this module, which runs as root: no setting of the application helps.
        said = said if isinstance(exc, OSError) else with_ways_out(said, place)
        raise AppError(f"app '{plan.app.name}', release {plan.id}: {said}") from exc
    return {
        "name": plan.app.name,
        "id": plan.id,
        "path": plan.path,
        "built": built,
        "activated": activated,
        "source": plan.revision.location,
        "revision": plan.revision.revision,
        "former": _former(plan, options),
        "seconds": round(time.monotonic() - started, 3),
    }


def _is_missing(plan: BuildPlan, options: BuildOptions) -> bool:
    """Tell whether the release is to be built; raise ReadOnlyError where its disk does not allow that."""
    missing = not options.builds.is_built(plan)
    if missing:
        refuse_read_only([plan.layout.base])
    return missing


def _link_packages(plan: BuildPlan) -> None:
    # Loaded for those who serve files of packages: each file that is imported costs every run.
    from .served import link_all

    link_all(plan.layout, plan.id, plan.app.served)


def _own_configuration(plan: BuildPlan) -> list[str]:
    """Return the warning about a gunicorn.conf.py of the application that the release does not read."""
    if plan.app.settings.config_file == USUAL:
        return []
    said = explain_unread(text_reader(os.path.join(plan.path, "app"))(USUAL) or "")
    return [said] if said else []


def _move_renamed_data(plan: BuildPlan, options: BuildOptions) -> None:
    """Move the data of an application that was renamed."""
    former = Layout(options.root, plan.app.rename_from)
    if plan.app.rename_from and has_data_to_move(former):
        with _lock(former, options, f"renaming to {plan.app.name}"):
            move_data(plan.layout, former)


def _former(plan: BuildPlan, options: BuildOptions) -> str:
    """Return the former name as long as something is on the host under it."""
    name = plan.app.rename_from
    return name if name and has_data_to_move(Layout(options.root, name)) else ""


def _build(plan: BuildPlan, options: BuildOptions) -> None:
    """Build a release; a failure stands in the history, like that of an activation, unless it was the first of all."""
    try:
        # Of an application without a release that serves, one that cannot be loaded leaves nothing on the host.
        options.builds.build(plan, options.starts_next and current_id(plan.layout) is not None)
    except FAILURES as exc:
        if not os.path.lexists(plan.layout.base):
            raise
        entry = {
            "when": utc_now(),
            "what": "build",
            "release": plan.id,
            "revision": plan.revision.revision,
            "by": caller(options.by, os.environ),
            "result": "failed",
            "reason": short_reason(plan.app.mask(str(exc))),
        }
        options.builds.record(plan.app.name, entry)
        raise


def _lock(layout: Layout, options: BuildOptions, what: str) -> AbstractContextManager[object]:
    return options.builds.lock(layout, options.lock_timeout, what, options.by)


def _activate(plan: BuildPlan, check_mode: bool) -> bool:
    if current_id(plan.layout) == plan.id:
        return False
    if not check_mode:
        replace_link(os.path.join("releases", plan.id), plan.layout.current)
    return True


def _diff(plan: BuildPlan, before: str | None) -> dict[str, str]:
    """Return the public facts of the current and of the wanted release: neither environment nor secrets."""
    manifest = read_manifest(plan.layout.release(before)) if before else None
    old: dict[str, t.Any] = {}
    if manifest:
        old = {"id": manifest.id, "source": manifest.source, "python": manifest.python, "app": manifest.app}
        old.update(shared=list(manifest.shared), settings=to_json(manifest.settings))
        if manifest.extra.get("files"):
            old["files"] = manifest.extra["files"]
    app = plan.app
    new: dict[str, t.Any] = {
        "id": plan.id,
        "source": plan.revision.describe(),
        "python": plan.interpreter.version,
        "app": plan.placed.app,
    }
    new.update(shared=list(app.shared), settings=to_json(app.settings))
    if app.files:
        new["files"] = [file.to_json() for file in app.files]
    return {
        "before_header": f"{app.name}: current release",
        "after_header": f"{app.name}: wanted release",
        "before": _text(old),
        "after": _text(new),
    }


def _text(values: Item) -> str:
    return json.dumps(values, indent=1, sort_keys=True) + "\n" if values else ""


def absent(names: t.Sequence[str], options: BuildOptions, purge_data: bool) -> dict[str, t.Any]:
    """Remove applications, with their data only on request, and return the module's result."""
    for name in names:
        check_name(name)
    warnings: list[str] = []
    removed = [name for name in names if _remove(Layout(options.root, name), options, purge_data, warnings)]
    said = {"warnings": warnings} if warnings else {}
    return {"changed": bool(removed), "releases": [], "removed": removed, **said}


def _remove(layout: Layout, options: BuildOptions, purge_data: bool, warnings: list[str]) -> bool:
    """Remove one application and return whether there was anything; C(warnings) get what was not as expected."""
    found = _removable(layout, purge_data)
    if not (found or _is_empty(layout.base)) or options.check_mode:
        return bool(found) or _is_empty(layout.base)
    with _lock(layout, options, "removal"):
        user = _user_of(layout)
        is_used = _is_used(user, layout)
        left = linked_data(layout) if purge_data else []
        # Nothing of it may write, or keep its number, when its files and its user go.
        end_leftovers(layout.name, [hook_unit(layout.name)])
        warnings += _end_processes(layout, "" if is_used else user)
        if not is_foreign_link(layout):
            remove_file(layout.current)
        for path in found:
            if path != layout.current:
                _remove_place(path)
        remove_stale_temp_files(layout.base)
        if left:
            warnings.append(_explain_left(layout, left, user))
        # The number of a user who is gone is given to the next one, and the data with it.
        elif purge_data and not is_used:
            remove_user(user)
        if _is_empty(layout.base):
            os.rmdir(layout.base)
    return True


def _end_processes(layout: Layout, user: str) -> list[str]:
    """Kill what still runs as a user, if any is named, and return the warning about it."""
    processes = end_user(user) if user else []
    said = f"{layout.name} was removed, and what still ran as its user was killed: {', '.join(processes)}"
    return [said] if processes else []


def _removable(layout: Layout, purge_data: bool) -> list[str]:
    """Return what is there to remove; releases and links of another deploy tool in this directory stay."""
    # After a rename, the data is that of the application that has another name now.
    with_data = is_link_of_rename(layout) or (purge_data and not _is_empty_mount(layout.shared))
    paths = [
        *([] if is_foreign_link(layout) else [layout.current]),
        *own_releases(layout),
        layout.maintenance,
        layout.cache,
        f"{ANSWERS}-{layout.name}",
        *([layout.shared] if with_data else []),
    ]
    return [path for path in paths if os.path.lexists(path)]


def _explain_left(layout: Layout, left: t.Sequence[str], user: str) -> str:
    return (
        f"{layout.name} was removed, and so were links in its data to other places, but not the data there: "
        f"{', '.join(left)}. It is yours to remove, and so is user '{user}', who stays because of it"
    )


def _is_empty(directory: str) -> bool:
    """Tell whether there is such a directory, with nothing in it but the leftovers of a killed run.

    A link to another disk, or a mount point, is the administrator's, and stays.
    """
    if os.path.islink(directory) or os.path.ismount(directory):
        return False
    return os.path.isdir(directory) and all(name.startswith(TEMPORARY) for name in os.listdir(directory))


def _is_empty_mount(path: str) -> bool:
    return os.path.ismount(path) and not set(os.listdir(path)) - _OF_MOUNT


def _remove_place(path: str) -> None:
    """Remove a tree; of a mount point only what is in it. Raise AppError for a mount point deeper in it."""
    places = [path]
    if os.path.ismount(path):
        places = [os.path.join(path, name) for name in sorted(set(os.listdir(path)) - _OF_MOUNT)]
    try:
        for place in places:
            remove_tree(place)
    except OSError as exc:
        if exc.errno != errno.EBUSY:
            raise
        raise AppError(
            f"{exc.filename or path} is a mount point, which cannot be removed: 'umount {exc.filename or path}' on the "
            "host, take it out of /etc/fstab, and run this again"
        ) from exc


def _user_of(layout: Layout) -> str:
    """Return whose data it is, which also a run after the releases were removed has to know."""
    try:
        return pwd.getpwuid(os.stat(layout.shared).st_uid).pw_name
    # Also for a link in a circle.
    except (OSError, KeyError):
        return layout.name


def _is_used(user: str, layout: Layout) -> bool:
    """Tell whether another application has the same user."""
    others = [Layout(layout.root, name) for name in os.listdir(layout.root) if name != layout.name]
    # A release that cannot be read does not say whose it is, but its data does.
    return any(
        (os.path.isdir(other.shared) and _user_of(other) == user)
        or any(manifest.user == user for manifest in list_releases(other))
        for other in others
    )
