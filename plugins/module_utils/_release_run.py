# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run what a release brings while it is built: its build hooks, and the application once. Private to flaskops.stack."""

from __future__ import annotations

import glob
import os
import pwd
import signal
import typing as t
from contextlib import suppress

from ._command import CommandError, Result, run
from ._hooks import BUILD, Command, HookError, check_programs, explain_failure, find_program, hook_environment
from ._orphans import Orphans
from ._release import Layout, forget_manifest
from ._release_app import App
from ._release_check import PROGRAM, explain_check, shorten_traceback, split_environment
from ._release_proof import is_loaded, mark_loaded, mark_unloaded
from ._release_share import Owner
from ._venv_build import BuildError
from ._venv_link import own_tree

# By application, what says why its release cannot be loaded.
Unproved = t.Dict[str, t.Callable[[], str]]


def prove(app: App, path: str, has_dependencies: bool, unproved: Unproved | None) -> None:
    """Load the application, or leave in C(unproved), where the release is started next, what says why it cannot be."""
    # No database is changed for what cannot be loaded.
    if unproved is None or app.hooks.migrate:
        check_load(app, path, has_dependencies)
        mark_loaded(path)
    else:
        mark_unloaded(path)
        unproved[app.name] = lambda: explain_load(app, path, has_dependencies)


def prove_again(app: App, layout: Layout, release: str, unproved: Unproved | None) -> None:
    """Prove a complete release that a killed run has not; one that cannot be loaded is built anew the next time."""
    if is_loaded(layout, release):
        return
    path = layout.release(release)
    try:
        prove(app, path, True, unproved)
    except BuildError:
        forget_manifest(path)
        raise


def check_load(app: App, path: str, has_dependencies: bool) -> None:
    """Load the application as its service will: same user, directory, environment, interpreter and worker class."""
    timeout = t.cast("t.Mapping[str, t.Any]", app.settings)["health"]["timeout"]
    more = {"HOME": pwd.getpwnam(app.user).pw_dir, "PYTHONDONTWRITEBYTECODE": "1"}
    words = [f"{path}/venv/bin/python", "-c", PROGRAM, str(timeout), "--check-config", "-c", f"{path}/gunicorn.conf.py"]
    try:
        result = _run_as_service(app, path, words, timeout + 10, more)
    except CommandError as exc:
        raise BuildError(app.mask(_explain_unended(app, exc, timeout + 10))) from None
    if result.rc != 0:
        said = app.mask(result.err.strip() or result.out).replace(path, "<release>")
        hint = "" if has_dependencies else "the source names no requirements, so nothing was installed for it; "
        raise BuildError(f"{hint}{explain_check(said, app.app, timeout)}:\n{shorten_traceback(said)}")


def _explain_unended(app: App, exc: CommandError, seconds: float) -> str:
    """Return why nobody knows whether the application can be loaded."""
    reason, late, said = str(exc).partition("it said last: ")
    if not late:
        return reason
    return (
        f"'{app.app}' is not loaded within {seconds:g} s, and cannot be asked where it is: let it do less at its "
        f"import, or raise health.timeout; it said last:\n{said or 'nothing'}"
    )


def explain_load(app: App, path: str, has_dependencies: bool) -> str:
    """Return why the application cannot be loaded, an empty text when it can."""
    # A host on which nothing can be started says nothing of the application.
    with suppress(OSError):
        try:
            check_load(app, path, has_dependencies)
            mark_loaded(path)
        except BuildError as exc:
            return str(exc)
    return ""


def _run_as_service(
    app: App, path: str, words: t.Sequence[str], timeout: float, more: t.Mapping[str, str] | None = None
) -> Result:
    """Run a command in the release's directory as the service's user, with its environment; C(more) yields to that."""
    env = {"USER": app.user, "LOGNAME": app.user, "VIRTUAL_ENV": f"{path}/venv", "PYTHONUNBUFFERED": "1"}
    env.update({**(more or {}), **app.environment})
    # What is secret must not be in argv.
    env.update(split_environment(app.secrets)[1])
    # runuser(1) sets HOME to that of the user.
    home = [f"HOME={env.pop('HOME')}"] if "HOME" in env else []
    first, rest = split_environment({"PATH": f"{path}/venv/bin:/usr/local/bin:/usr/bin:/bin", **env})
    return run(["env", *home, *first, *words], timeout, rest, f"{path}/app", app.user, inherit=False)


def run_build_hooks(
    app: App, path: str, cache: str, owner: Owner, compile_paths: t.Callable[[t.Sequence[str]], None]
) -> None:
    """Run the build hooks, which may write into the code, and see that the programs of all other hooks are there."""
    code = os.path.join(path, "app")
    if app.hooks.build:
        own_tree(code, owner.uid, owner.gid)
        # Nothing that a hook has started may write on when its files are root's.
        with Orphans():
            for words in app.hooks.build:
                _run_build_hook(app, path, cache, words)
        compile_paths([code])
        own_tree(code, 0, 0, owner.uid)
    check_programs(app.hooks, path)


def _run_build_hook(app: App, path: str, cache: str, words: Command) -> None:
    argv = [find_program(BUILD, words, path), *words[1:]]
    known = {*app.environment, *app.secrets}
    # Many tools for assets want to write to both.
    more = {"HOME": f"{cache}/home", "TMPDIR": f"{cache}/tmp", **hook_environment(path, app.app, known)}
    more.update(app.build_variables(cache))
    try:
        result = _run_as_service(app, path, argv, app.hooks.timeout, more)
    except CommandError as exc:
        said = str(exc).partition("it said last: ")[2]
        reason = f"did not end within {app.hooks.timeout} s (hooks.timeout)"
        raise HookError(app.mask(explain_failure(BUILD, words, reason, said))) from None
    if result.rc != 0:
        said = f"{result.out.strip()}\n{result.err.strip()}".replace(path, "<release>")
        raise HookError(
            app.mask(explain_failure(BUILD, words, f"failed with exit code {result.rc}", said))
            + "\nNothing was changed."
        )


def kill_inside(path: str) -> None:
    """Kill what works in an unfinished release: an installer that outlived its build would write into the next one."""
    for process in glob.glob("/proc/[0-9]*/cwd"):
        with suppress(OSError):
            if os.readlink(process).startswith(path + "/"):
                os.kill(int(process.split("/")[2]), signal.SIGKILL)
