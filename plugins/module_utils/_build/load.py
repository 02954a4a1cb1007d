# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the import check of a release in the sandbox of its service. Private to flaskops.stack."""

from __future__ import annotations

import typing as t
from contextlib import suppress

from .._release.distributions import distribution_of
from .._release.model import Layout, Manifest
from .._release.verified import has_dependencies, mark_verified
from .._service.units import process_lines
from .._system.command import CommandError
from .._system.fence import Fence, FenceError, check_unit
from .._system.homes import uses_home
from .import_check import PROGRAM, explain_check, shorten_traceback
from .secret_values import redact_secrets
from .venv import BuildError

if t.TYPE_CHECKING:
    from .verify_import import Load

# The program has its own time-out, which tells where the application is; this one is for what does not let it.
_MARGIN = 10
_MOST_MODULES = 5


def release_fence(layout: Layout, manifest: Manifest) -> Fence:
    """Return what a release is imported in, which has the directives of its service."""
    path = layout.release(manifest.id)
    lines = process_lines(layout, manifest, uses_home(f"{path}/app", f"{path}/venv"))
    return Fence(check_unit(manifest.name), lines, f"{path}/venv/bin/python", f"Loading of {manifest.name}")


def import_once(
    layout: Layout,
    manifest: Manifest,
    with_dependencies: bool,
    fence_of: t.Callable[[Layout, Manifest], Fence] = release_fence,
) -> None:
    """Import the application as its service will: same user, environment, interpreter, worker class and sandbox."""
    path = layout.release(manifest.id)
    timeout = manifest.settings.health.timeout
    words = [f"{path}/venv/bin/python", "-c", PROGRAM, str(timeout), "--check-config", "-c", f"{path}/gunicorn.conf.py"]
    try:
        with fence_of(layout, manifest) as fence:
            result = fence.run(words, timeout + _MARGIN)
    except FenceError:
        raise
    except CommandError as exc:
        said = _explain_unended(manifest.app, exc, timeout + _MARGIN)
        raise BuildError(redact_secrets(said, path, manifest)) from None
    if result.rc != 0:
        said = redact_secrets(result.err.strip() or result.out, path, manifest).replace(path, "<release>")
        hint = "" if with_dependencies else "the source names no requirements, so nothing was installed for it; "
        hint += _explain_other(said, path, manifest)
        why = _explain_module(said, manifest, path) or explain_check(said, manifest.app, timeout, result.rc)
        raise BuildError(f"{hint}{why}:\n{shorten_traceback(said)}")


def explain_import_failure(layout: Layout, manifest: Manifest, load: Load = import_once) -> str:
    """Return why the application cannot be imported; an empty text when it can."""
    path = layout.release(manifest.id)
    # A host on which nothing can be started proves nothing about the application.
    with suppress(OSError, FenceError):
        try:
            load(layout, manifest, has_dependencies(path))
            mark_verified(path)
        except BuildError as exc:
            return str(exc)
    return ""


def _explain_other(said: str, path: str, manifest: Manifest) -> str:
    """Return which file of requirements is not installed, when that may be why a module is missing."""
    # Loaded for those who need it.
    from .other_requirements import explain_other_requirements

    other = explain_other_requirements(said, path, manifest.app.partition(":")[0].partition(".")[0])
    return f"{other}; " if other else ""


def _explain_module(said: str, manifest: Manifest, path: str) -> str:
    """Return which modules a package has, when it lacks that of the application; an empty text otherwise."""
    module = manifest.app.partition(":")[0].partition(".")[0]
    name = distribution_of(manifest.source.get("location", ""))
    if manifest.source.get("type") != "pypi" or not name or f"No module named '{module}'" not in said:
        return ""
    # Loaded for those whose application was not found.
    from .served import files_of, site_packages

    with suppress(OSError, BuildError):
        files = [file for file in files_of(site_packages(path), name) or [] if file.endswith(".py")]
        tops = {file.partition("/")[0] if "/" in file else file[: -len(".py")] for file in files}
        found = sorted(top for top in tops if top.isidentifier())
        if found:
            listed = ", ".join(found[:_MOST_MODULES])
            return f"app '{manifest.app}': {name} has no module '{module}', it has {listed}: correct app"
    return ""


def _explain_unended(app: str, exc: CommandError, seconds: float) -> str:
    """Return why the import check did not end."""
    reason, late, said = str(exc).partition("it said last: ")
    if not late:
        return reason
    return (
        f"'{app}' is not loaded within {seconds:g} s, and cannot be asked where it is: let it do less at its "
        f"import, or raise health.timeout; it said last:\n{said or 'nothing'}"
    )
