# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the build hooks and the import check of a release. Private to flaskops.stack."""

from __future__ import annotations

import glob
import os
import signal
import typing as t
from contextlib import suppress

from .._app.application import App
from .._input.hooks import BUILD, Command, HookError, explain_hook_failure, hook_environment, show_command
from .._release.model import Layout, Manifest
from .._release.release import forget_manifest, read_manifest
from .._release.shared import Owner
from .._release.verified import has_dependencies, is_verified, mark_unverified, mark_verified
from .._system.command import CommandError
from .._system.fence import Fence, FenceError
from .._system.trees import chown_tree
from .hook_programs import check_hook_programs, find_program
from .venv import BuildError

# Imports a release; the last argument says whether anything was installed for it. It raises BuildError.
Load = t.Callable[[Layout, Manifest, bool], None]


def _import_once(layout: Layout, manifest: Manifest, with_dependencies: bool) -> None:
    # Imported late: most runs build nothing, or defer the check.
    from .load import import_once

    import_once(layout, manifest, with_dependencies)


def verify_import(
    app: App, layout: Layout, manifest: Manifest, with_dependencies: bool, starts_next: bool, load: Load = _import_once
) -> None:
    """Import-check the application, or defer the check to the first start of the release.

    With migrate hooks it is deferred, too: the import may need the migrated database.
    """
    if starts_next or app.hooks.migrate:
        mark_unverified(layout.release(manifest.id), with_dependencies)
    else:
        load(layout, manifest, with_dependencies)


def verify_if_unverified(app: App, layout: Layout, release: str, starts_next: bool, load: Load = _import_once) -> None:
    """Import-check a complete release if a killed run did not; one that fails is rebuilt by the next run."""
    if starts_next or app.hooks.migrate or is_verified(layout, release):
        return
    path = layout.release(release)
    manifest = read_manifest(path)
    try:
        if manifest:
            load(layout, manifest, has_dependencies(path))
    except BuildError:
        forget_manifest(path)
        raise
    mark_verified(path)


def run_build_hooks(
    app: App, path: str, cache: str, owner: Owner, fence: Fence, compile_paths: t.Callable[[t.Sequence[str]], None]
) -> None:
    """Run the build hooks, which may write into the code directory."""
    code = os.path.join(path, "app")
    chown_tree(code, owner.uid, owner.gid)
    if app.files:
        from .release_files import remove_files, write_files

        write_files(app.files, code, owner.uid, owner.gid)
    # No process that a hook left behind may still write once the files belong to root.
    with fence:
        for words in app.hooks.build:
            _run_build_hook(app, path, cache, words, fence)
        if app.files:
            # All users can read compiled files, and the secrets of a source file would be in them.
            remove_files(app.files, code)
        compile_paths([code])
    chown_tree(code, 0, 0, owner.uid)


def check_hooks(app: App, path: str) -> None:
    """Check that the programs of all later hooks exist."""
    check_hook_programs(app.hooks, path)


def _run_build_hook(app: App, path: str, cache: str, words: Command, fence: Fence) -> None:
    argv = [find_program(BUILD, words, path), *words[1:]]
    try:
        result = fence.run(argv, app.hooks.timeout, _hook_environment(app, path, cache), f"{path}/app")
    except FenceError:
        raise
    except CommandError as exc:
        _before, late, said = str(exc).partition("it said last: ")
        if not late:
            # The release's own directory is about to be removed.
            reason = str(exc).replace(path, "<release>")
            raise HookError(app.mask(f"hook {BUILD} '{show_command(words)}' cannot be run: {reason}")) from None
        reason = f"did not end within {app.hooks.timeout} s (hooks.timeout)"
        raise HookError(app.mask(explain_hook_failure(BUILD, words, reason, said))) from None
    if result.rc != 0:
        said = f"{result.out.strip()}\n{result.err.strip()}".replace(path, "<release>")
        raise HookError(
            app.mask(explain_hook_failure(BUILD, words, f"failed with exit code {result.rc}", said))
            + "\nNothing that serves was changed."
        )


def _hook_environment(app: App, path: str, cache: str) -> dict[str, str]:
    """Return the environment of a build hook: that of the application, and directories to write to."""
    known = {*app.environment, *app.secrets}
    return {
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PATH": f"{path}/venv/bin:/usr/local/bin:/usr/bin:/bin",
        "USER": app.user,
        "LOGNAME": app.user,
        "VIRTUAL_ENV": f"{path}/venv",
        "PYTHONUNBUFFERED": "1",
        # Many tools for assets want to write to both.
        "HOME": f"{cache}/home",
        "TMPDIR": f"{cache}/tmp",
        **hook_environment(path, app.app, known),
        **app.build_variables(cache),
        **app.environment,
        **app.secrets,
    }


def kill_processes_in(path: str) -> None:
    """Kill processes in an unfinished release: an installer that outlived its build would write into the next one."""
    for process in glob.glob("/proc/[0-9]*/cwd"):
        with suppress(OSError):
            if os.readlink(process).startswith(path + "/"):
                os.kill(int(process.split("/")[2]), signal.SIGKILL)
