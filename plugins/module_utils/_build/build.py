# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build a release: complete, verified and immutable, or not at all. Private to flaskops.stack."""

from __future__ import annotations

import datetime
import grp
import os
import pwd
import typing as t
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property

from .._app.application import App, build_key, identify, migration_key
from .._app.dependencies import Dependencies, needs_source, plan_dependencies
from .._app.projects import Surroundings
from .._release.contents import write_token
from .._release.distributions import has_all, version_of
from .._release.kept_venv import keep_virtualenv, mark_complete, mark_durable, reuse_virtualenv
from .._release.model import MANIFEST, Layout, Manifest, digest, is_release_id
from .._release.ownership import transfer_ownership
from .._release.prepared import adopt_prepared
from .._release.release import current_id, damage, is_unfinished, read_manifest, write_manifest
from .._release.shared import Owner, link_instance, link_shared, make_shared
from .._release.shipped import shipped_by, stale_warnings
from .._release.verified import verified_releases
from .._service.environment import render_environment
from .._service.worker_model import complete_conf
from .._service.wsgi import complete_wsgi
from .._system.command import CommandError, sync_filesystem
from .._system.disk_space import explain_full_disk
from .._system.fence import Fence
from .._system.files import write_file
from .._system.nginx_modules import static_modules
from .._system.same_files import share_data, share_installed
from .._system.trees import chown_tree, hardlink_tree, remove_tree, rewrite_prefix
from .._system.users import ensure_user
from .build_fence import build_fence, end_leftovers
from .build_secrets import private_cache, remove_secrets, write_deploy_key
from .compress import Compressor, encodings, suffixes_served
from .fetch import Revision, describe, fetch, package_files, text_reader
from .flask_modules import flask_modules
from .home import home_variable
from .links import check_links
from .preflight import check_programs
from .progress import building, report_progress
from .scm_version import scm_environment, scm_files
from .source_copy import build_copy
from .venv import Builder, BuildError, Interpreter, ensure_uv
from .venv_commands import VenvRequest
from .verify_import import check_hooks, kill_processes_in, run_build_hooks, verify_import


@dataclass(frozen=True)
class BuildPlan:
    """One release that is wanted; what follows from its parts is found once, however often a build asks for it."""

    app: App
    layout: Layout
    revision: Revision
    interpreter: Interpreter
    ca_bundle: str
    uv_requirement: str
    # Warnings of the build.
    warnings: list[str] = field(default_factory=list, compare=False)

    @cached_property
    def id(self) -> str:
        """Return its name."""
        return identify(self.app, self.revision.type, self.revision.revision, self.interpreter.version)

    @cached_property
    def key(self) -> str:
        """Return the build key, which is equal for releases with the same code and virtualenv."""
        return build_key(self.app, self.revision.type, self.revision.revision, self.interpreter.version)

    def describe(self) -> str:
        """Return how git describes the commit."""
        return describe(self.revision, self.layout)

    @property
    def cache(self) -> str:
        """Return where it is built, and what makes the next build quick, unless that could hold a secret."""
        return private_cache(self.layout.cache) if self.app.has_build_access else self.layout.cache

    @property
    def path(self) -> str:
        """Return its directory."""
        return self.layout.release(self.id)

    @cached_property
    def placed(self) -> App:
        """Return the application with the places of the release instead of their placeholders, which name it."""
        if not self.app.has_braces:
            return self.app
        from .._app.places import fill_app, places_of

        return fill_app(self.app, places_of(self.layout, self.id, self.interpreter.version))


def is_built(plan: BuildPlan) -> bool:
    """Tell whether the release is there, complete."""
    return read_manifest(plan.path) is not None


def needs_payload(plan: BuildPlan) -> bool:
    """Tell whether the release can only be built from a file that the controller has to send."""
    return (
        plan.revision.sent and not plan.revision.payload and not is_built(plan) and find_identical_build(plan) is None
    )


def find_identical_build(plan: BuildPlan) -> Manifest | None:
    """Return the newest release with the same build key, whose code and virtualenv can be reused; hooks run again."""
    if plan.app.hooks.build:
        return None
    return _find_release(plan, lambda found: found.build == plan.key)


def _find_release(plan: BuildPlan, has_key: t.Callable[[Manifest], bool]) -> Manifest | None:
    """Return the newest release with a key, whose virtualenv also has what the key does not name."""

    def has_rest(found: Manifest) -> bool:
        return has_all(os.path.join(plan.layout.release(found.id), "venv"), plan.app.unkeyed_requirements)

    return next((found for found in verified_releases(plan.layout) if has_key(found) and has_rest(found)), None)


def build(plan: BuildPlan, starts_next: bool = False) -> None:
    """Build the release; the caller holds the application's lock. After a failure nothing of it is left but its caches.

    The complete parts of a failed build (user, download, virtualenv) are kept, so that the next one is quick.
    An application is loaded before its release is complete, unless it C(starts_next), which proves more.
    """
    remove_unfinished(plan.layout)
    if os.path.lexists(plan.path):
        why = damage(plan.path) or "it is not complete"
        raise BuildError(
            f"processes that run from {plan.path} keep it from being built again, and it cannot be used: {why}. "
            "Deploy another release first (any change makes one, such as a variable), then this one again"
        )
    is_first = not os.path.lexists(plan.layout.base)
    try:
        owner = _prepare(plan)
        os.mkdir(plan.path, 0o755)
        with building(plan.app.name):
            _build_contents(plan, owner, starts_next)
    except BaseException as exc:
        full = explain_full_disk(exc, [plan.path, plan.layout.cache])
        if not full:
            with suppress(OSError, CommandError):
                keep_virtualenv(plan.path, plan.layout.cache)
        remove_tree(plan.path)
        if is_first:
            remove_tree(plan.layout.base)
        if full:
            raise BuildError(full) from exc
        raise
    finally:
        remove_tree(private_cache(plan.layout.cache))


def _in_use(layout: Layout) -> set[str]:
    from .._release.prune import releases_in_use

    return {current_id(layout) or "", *releases_in_use(layout)}


def remove_unfinished(layout: Layout) -> None:
    """Remove the leftovers of killed builds: release directories without a usable manifest."""
    try:
        names = os.listdir(layout.releases)
    except FileNotFoundError:
        return
    unfinished = [name for name in names if is_release_id(name) and is_unfinished(layout.release(name))]
    damaged = [name for name in unfinished if os.path.lexists(os.path.join(layout.release(name), MANIFEST))]
    # One that was complete may run, as long as it lasts.
    used = _in_use(layout) if damaged else set()
    surplus = [name for name in unfinished if name not in damaged or name not in used]
    if surplus:
        end_leftovers(layout.name)
    for name in surplus:
        kill_processes_in(layout.release(name))
        with suppress(OSError, CommandError):
            keep_virtualenv(layout.release(name), layout.cache, durable=True)
        remove_tree(layout.release(name))


def _prepare(plan: BuildPlan) -> Owner:
    layout, app = plan.layout, plan.app
    ensure_user(app.user, app.group, layout.shared)
    owner = Owner(app.user, pwd.getpwnam(app.user).pw_uid, grp.getgrnam(app.group).gr_gid)
    # A killed build has left it.
    remove_tree(private_cache(layout.cache))
    for path in (layout.releases, plan.cache):
        os.makedirs(path, mode=0o755, exist_ok=True)
    for name in ("home", "tmp", "uv", "pip"):
        path = os.path.join(plan.cache, name)
        if os.path.isdir(path) and os.stat(path).st_uid != owner.uid:
            remove_tree(path)
        if not os.path.isdir(path):
            os.mkdir(path, 0o700)
        # Only root can put a link here, so this follows none.
        os.chown(path, owner.uid, owner.gid)
    transfer_ownership(layout, owner)
    adopt_prepared(layout, app.shared, owner.uid, owner.gid)
    make_shared(layout, app.shared, owner)
    if app.build_with_deploy_key:
        write_deploy_key(plan.cache, app.deploy_key, app.known_hosts, owner.uid, owner.gid)
    return owner


def _build_contents(plan: BuildPlan, owner: Owner, starts_next: bool) -> None:
    app, venv = os.path.join(plan.path, "app"), os.path.join(plan.path, "venv")
    identical = find_identical_build(plan)
    if identical:
        _copy(plan, identical, "app")
        _remove_files(plan, app)
        _copy(plan, identical, "venv")
        key = identical.venv
        names: list[str] = []
    else:
        os.mkdir(app, 0o755)
        report_progress(plan.app.name, "fetching the source")
        plan.warnings.extend(fetch(plan.app, plan.revision, plan.layout, plan.ca_bundle, app))
        dependencies = _read_dependencies(plan, app)
        key, names = _venv_key(plan, dependencies), dependencies.names
        was_built = _build_venv(plan, dependencies, key, owner)
        for path in [venv, app] if was_built else [app]:
            chown_tree(path, 0, 0, owner.uid)
        if was_built:
            # Before it is kept for another try, which does not look at it again.
            check_links(plan.layout, plan.path, [venv], ())
        # A project of the source has its own code in it, and a secret may be.
        if was_built and not _needs_source(plan.app, dependencies) and not plan.app.build_secrets:
            mark_complete(plan.path, key)
    shipped = _link_shared(plan, app, owner, identical)
    modules = [plan.app.app.split(":", 1)[0], *flask_modules(plan.path, plan.revision.describe())]
    link_instance(plan.layout, plan.app.shared, modules, venv)
    _write_settings(plan, owner)
    if plan.app.hooks.build:
        report_progress(plan.app.name, "running the build hooks")
        fence = _fence(plan, with_data=True)
        run_build_hooks(plan.placed, plan.path, plan.cache, owner, fence, _builder(plan, fence).compile)
    remove_secrets([venv, app], plan.app.build_secrets)
    _write_files(plan, app, owner)
    # Files reused from another release were checked when that was built.
    check_links(plan.layout, plan.path, [] if identical else [app], plan.app.shared)
    _compress(plan, app)
    if plan.app.served:
        from .served import link_served

        link_served(plan.path, plan.app.served)
    check_hooks(plan.placed, plan.path)
    own_path = {**plan.placed.environment, **plan.placed.secrets}.get("PATH", "")
    check_programs(plan.placed.workers, plan.placed.timers, plan.path, own_path)
    before = "" if identical else _release_before(plan)
    if before:
        # Nothing writes to them any more.
        share_data(app, os.path.join(before, "app"))
    manifest = _manifest(plan, key, shipped)
    # The manifest marks the release as complete, so all else must be on disk before it.
    report_progress(plan.app.name, "loading the application")
    with sync_filesystem(plan.path):
        verify_import(
            plan.app, plan.layout, manifest, bool(identical or names or plan.app.wanted_packages), starts_next
        )
    mark_durable(plan.path, plan.layout.cache)
    write_manifest(plan.path, manifest)


def _link_shared(plan: BuildPlan, app: str, owner: Owner, identical: Manifest | None) -> t.Mapping[str, str]:
    """Link the shared directories, warn of shipped files that differ there, and return the digests of those files."""
    found = link_shared(plan.layout, plan.app.shared, app, owner)
    if identical:
        # The shipped files were moved away when that release was built, so its digests hold.
        return shipped_by(identical)
    plan.warnings.extend(stale_warnings(found, shipped_by(_newest_before(plan)), plan.layout.shared))
    return {path: shipped.digest for path, shipped in found.items()}


def _remove_files(plan: BuildPlan, app: str) -> None:
    """Remove the files of configuration of another release, which may be secret."""
    if plan.app.files:
        from .release_files import remove_files

        remove_files(plan.app.files, app)


def _write_files(plan: BuildPlan, app: str, owner: Owner) -> None:
    """Write the application's own files of configuration, last of all: what hooks have made of them does not count."""
    if plan.app.files:
        from .release_files import write_files

        write_files(plan.placed.files, app, 0, owner.gid)


def _compress(plan: BuildPlan, app: str) -> None:
    """Compress static files, when there is nothing left that could change them."""
    if not plan.app.compressed:
        return
    report_progress(plan.app.name, "compressing static files")
    modules = static_modules()
    compressor = Compressor(encodings(modules), suffixes_served(modules))
    compressor.compress(app, plan.app.compressed)
    plan.warnings.extend(compressor.warnings)


def _fence(plan: BuildPlan, with_data: bool = False) -> Fence:
    app = plan.app
    needed = [app.wheel_dir, plan.ca_bundle, plan.uv_requirement]
    places = [place for place in needed if place.startswith("/")]
    return build_fence(app, plan.layout, plan.path, plan.cache, [plan.interpreter.path, *places], with_data)


def _read_dependencies(plan: BuildPlan, app: str) -> Dependencies:
    """Return the fields of the fetched source for the manifest; oddities become warnings."""
    around = Surroundings(package_files(app), plan.app.subdirectory, bool(plan.app.wanted_packages), os.path.exists)
    found = plan_dependencies(plan.app.requirements, text_reader(app), plan.app.installer, around)
    plan.warnings.extend(found.warnings)
    return found


def _venv_key(plan: BuildPlan, dependencies: Dependencies) -> str:
    app = plan.app
    tree = [plan.revision.revision, app.subdirectory] if _needs_source(app, dependencies) else []
    inputs = [dependencies.inputs, dependencies.names, app.wanted_packages, app.runtime_requirements]
    given = [given for given in (app.build_environment, app.version_rules) if given]
    return digest([inputs, app.installer, plan.interpreter.version, tree, *given])


def _needs_source(app: App, dependencies: Dependencies) -> bool:
    return dependencies.local or needs_source([*app.wanted_packages, *app.runtime_requirements])


def _copy(plan: BuildPlan, identical: Manifest, name: str) -> None:
    source = plan.layout.release(identical.id)
    hardlink_tree(os.path.join(source, name), os.path.join(plan.path, name))
    if name == "venv":
        rewrite_prefix(os.path.join(plan.path, name), source, plan.path)


def _build_venv(plan: BuildPlan, dependencies: Dependencies, key: str, owner: Owner) -> bool:
    """Make the virtualenv and compile it and the code; return whether it had to be built."""
    app, venv = os.path.join(plan.path, "app"), os.path.join(plan.path, "venv")
    identical = _find_release(plan, lambda found: found.venv == key)
    is_taken = not identical and reuse_virtualenv(plan.path, plan.layout.cache, key, plan.app.unkeyed_requirements)
    if identical or is_taken:
        chown_tree(app, owner.uid, owner.gid)
        # Nothing of the source or of a package runs, so that no unit is started for it.
        with _builder(plan, _fence(plan)).compiling(app):
            if identical:
                _copy(plan, identical, "venv")
        return False
    os.mkdir(venv, 0o755)
    os.chown(venv, owner.uid, owner.gid)
    local = _needs_source(plan.app, dependencies)
    given = scm_files(text_reader(app), plan.describe, plan.revision.revision)
    report_progress(plan.app.name, f"installing the requirements with {plan.app.installer}")
    copy = build_copy(app, venv, owner.uid, owner.gid, given) if local else nullcontext()
    with copy, _fence(plan) as fence:
        _builder(plan, fence).build(dependencies, plan.app.wanted_packages, plan.app.missing_requirements)
        # Nothing that a build has started may write on when its files are root's.
        fence.end()
    before = _release_before(plan)
    if before:
        # Before the rest is compiled, which takes longer than to compare.
        share_installed(venv, os.path.join(before, "venv"))
    report_progress(plan.app.name, "compiling the code")
    chown_tree(app, owner.uid, owner.gid)
    with _fence(plan) as another:
        _builder(plan, another).compile([os.path.join(venv, "lib"), app])
    return True


def _release_before(plan: BuildPlan) -> str:
    """Return the directory of the newest release, which has most files in common with the new one; or nothing."""
    found = _newest_before(plan)
    return plan.layout.release(found.id) if found else ""


def _newest_before(plan: BuildPlan) -> Manifest | None:
    return next(verified_releases(plan.layout), None)


def _builder(plan: BuildPlan, fence: Fence) -> Builder:
    app = plan.app
    read = text_reader(os.path.join(plan.path, "app"))
    scm = scm_environment(read, plan.describe, plan.revision.revision)
    env = {**scm, **app.build_variables(plan.cache)}
    return Builder(_request(plan), fence, app.build_timeout, app.mask, env, app.user)


def _request(plan: BuildPlan) -> VenvRequest:
    app = plan.app
    request = VenvRequest(
        installer=app.installer,
        interpreter=plan.interpreter.path,
        venv=os.path.join(plan.path, "venv"),
        app=os.path.join(plan.path, "app"),
        cache=plan.cache,
        uv="",
        index_url=app.index_url,
        extra_indexes=app.extra_index_url,
        constraints=app.constraints,
        build_constraints=app.build_constraints,
        prerelease=app.prerelease,
        ca_bundle=plan.ca_bundle,
        wheel_dir=app.wheel_dir,
    )
    return replace(request, uv=ensure_uv(plan.uv_requirement, request)) if app.installer == "uv" else request


def _write_settings(plan: BuildPlan, owner: Owner) -> None:
    app, path = plan.placed, plan.path
    home = home_variable(plan.layout, app.user, app.settings, os.path.join(path, "app"), os.path.join(path, "venv"))
    environment = render_environment({**home, **app.environment, **app.secrets})
    conf = complete_conf(app.settings, path)
    # The whole release is brought to the disk before it is complete.
    write_file(os.path.join(path, "env"), environment.encode(), 0o640, 0, owner.gid, sync=False)
    write_file(os.path.join(path, "gunicorn.conf.py"), conf.encode(), sync=False)
    write_file(os.path.join(path, "wsgi.py"), complete_wsgi(app.wsgi).encode(), sync=False)
    write_token(path, app.trusted_hops, owner.gid)
    os.symlink("wsgi.py", os.path.join(path, "flaskops_wsgi.py"))
    os.mkdir(os.path.join(path, "run"), 0o755)


def _manifest(plan: BuildPlan, key: str, shipped: t.Mapping[str, str]) -> Manifest:
    app = plan.app
    return Manifest(
        name=app.name,
        id=plan.id,
        user=app.user,
        group=app.group,
        source=_describe_source(plan),
        python=plan.interpreter.version,
        app=plan.placed.app,
        settings=app.settings,
        shared=app.shared,
        keep=app.keep,
        built_at=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        build=plan.key,
        venv=key,
        extra={**_extra(plan), **({"shipped": shipped} if shipped else {})},
    )


def _describe_source(plan: BuildPlan) -> dict[str, str]:
    """Return the source for the manifest, with the installed version of a requirement."""
    source = plan.revision.describe()
    return {**source, "version": version_of(source, os.path.join(plan.path, "venv"))}


def _extra(plan: BuildPlan) -> dict[str, object]:
    app = plan.placed
    # Their values are redacted in excerpts of the application's log.
    extra: dict[str, object] = {"secret_names": sorted(app.secrets), **app.processes}
    if app.rename_from:
        extra["former"] = app.rename_from
    if app.files:
        extra["files"] = [file.to_json() for file in app.files]
    if not app.hooks.empty:
        extra.update(hooks=app.hooks.to_json(), migration=migration_key(plan.app, plan.revision.revision))
    return extra
