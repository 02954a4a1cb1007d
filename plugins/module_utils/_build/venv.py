# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a virtualenv as the application's user, because installing runs code. Private to flaskops.stack."""

from __future__ import annotations

import glob
import os
import platform
import re
import shutil
import sys
import typing as t
from contextlib import contextmanager
from dataclasses import dataclass

from .._app.dependencies import Dependencies, DependencyError
from .._app.unusable_lines import explain_old_gunicorn, is_too_old
from .._input.redact import mask_urls
from .._release.distributions import distribution_of, installed
from .._release.model import digest
from .._system.command import CommandError, Result, run, run_in_background
from .._system.fence import Fence, FenceError
from .._system.files import read_file, write_file
from .._system.lock import Lock
from .._system.paths import LOCKS, UV
from .._system.trees import remove_tree
from . import venv_commands as commands
from .environment import inherited_environment
from .missing_tools import package_not_built

_UV_LOCK = f"{LOCKS}/_uv.lock"

# Where distributions keep the certificates that the host trusts; uv and pip bring their own otherwise.
_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")

_VERSION = re.compile(r"Python (\d+\.\d+\.\d+\S*)")


class BuildError(RuntimeError):
    """A virtualenv that could not be made."""


@dataclass(frozen=True)
class Interpreter:
    """A Python of the host."""

    path: str
    version: str


def find_interpreter(wanted: str) -> Interpreter:
    """Return the Python that C(wanted) names; raise DependencyError, with those that exist, when there is none."""
    found = shutil.which(wanted, path=f"{os.environ.get('PATH', '')}:/usr/local/bin:/usr/bin:/bin")
    if found is None:
        raise DependencyError(
            f"python '{wanted}' is not on this host, which has {_interpreters()}: install it, name one of these, or "
            "set flask_python_download: true, so that uv gets it"
        )
    path = os.path.realpath(found)
    # Most often it is the one that runs this, and no process is needed to ask it.
    if path == os.path.realpath(sys.executable):
        return Interpreter(path, platform.python_version())
    answer = run([path, "-V"])
    version = _VERSION.search(answer.out + answer.err)
    if version is None:
        raise DependencyError(
            f"python '{wanted}' is {path}, which is no Python: it answers {answer.tail(1) or 'nothing'}"
        )
    return Interpreter(path, version.group(1))


def _interpreters() -> str:
    paths = [path for place in ("/usr/bin", "/usr/local/bin") for path in glob.glob(f"{place}/python3*")]
    return ", ".join(sorted(path for path in paths if re.search(r"python3(\.\d+)?$", path))) or "no Python 3"


def trusted_bundle(wanted: str) -> str:
    """Return the certificates to trust: the wanted ones, or all that the host trusts."""
    if wanted:
        if not os.path.isfile(wanted):
            raise DependencyError(f"ca_bundle '{wanted}' is no file on this host: copy it there first")
        return wanted
    return next((path for path in _BUNDLES if os.path.isfile(path)), "")


def ensure_uv(requirement: str, request: commands.VenvRequest) -> str:
    """Return the path of uv, installed from the index when it is not there; C(requirement) may be a path itself."""
    if requirement.startswith("/"):
        if not os.access(requirement, os.X_OK):
            raise DependencyError(
                f"uv_requirement '{requirement}' is no program on this host: name a requirement such as 'uv==0.9.0'"
            )
        return requirement
    target = os.path.join(UV, digest(requirement)[:8])
    with Lock(_UV_LOCK, 600):
        if read_file(f"{target}/complete") is None:
            _install_uv(requirement, request, target)
    return f"{target}/bin/uv"


def _install_uv(requirement: str, request: commands.VenvRequest, target: str) -> None:
    remove_tree(target)
    os.makedirs(UV, mode=0o755, exist_ok=True)
    env = {**commands.environment(request), "HOME": "/root", "TMPDIR": "/tmp", "PIP_NO_CACHE_DIR": "1"}
    # A wheel only: nothing of it is run while it is installed by root.
    install = [f"{target}/bin/python", "-m", "pip", "install", "--quiet", "--only-binary", ":all:", requirement]
    for argv in ([sys.executable, "-m", "venv", target], install):
        result = run(argv, timeout=600, env=env)
        if result.rc != 0:
            remove_tree(target)
            said = mask_urls(result.tail(8))
            raise BuildError(f"cannot install '{requirement}' into {target}: {_explain_uv(said)}. It said: {said}")
    write_file(f"{target}/complete", requirement.encode())


def _explain_uv(said: str) -> str:
    if "ensurepip" in said or "-venv" in said:
        return "the package python3-venv is missing: install it"
    return f"{commands.explain_install_failure(said)} (or set installer: pip)"


class Builder:
    """Runs an installer's commands inside a fence, with the rights of the application's user."""

    def __init__(
        self,
        request: commands.VenvRequest,
        fence: Fence,
        timeout: float,
        mask: t.Callable[[str], str],
        env: t.Mapping[str, str],
        user: str,
    ) -> None:
        """Take the request, the fence, the timeout, the redaction of secrets, the environment and the user."""
        self._request = request
        self._fence = fence
        self._timeout = timeout
        self._mask = mask
        self._user = user
        self._env = {**inherited_environment(os.environ), **commands.environment(request), **env}

    def build(self, dependencies: Dependencies, packages: t.Sequence[str], server: t.Sequence[str]) -> None:
        """Fill the virtualenv: the dependencies of the source, C(packages), and those of C(server) still missing."""
        for step in commands.create(self._request):
            self._run(step, "make the virtualenv")
        # Each build writes its own.
        if self._request.constraints:
            self._write_list(self._request.constraints, self._request.constraints_file)
        if self._request.build_constraints:
            self._write_list(self._request.build_constraints, self._request.build_constraints_file)
        self._install_dependencies(dependencies)
        self._install_list(packages, "packages")
        present = installed(self._request.venv)
        self._install_list([name for name in server if distribution_of(name) not in present], "server")
        version = installed(self._request.venv).get("gunicorn", "")
        if version and is_too_old(version):
            raise BuildError(
                f"gunicorn {version}, which the application's requirements install, {explain_old_gunicorn()}"
            )

    def compile(self, paths: t.Sequence[str]) -> None:
        """Compile all modules below the paths; a file that this Python cannot compile is none of our business."""
        self._call(commands.compile_all(self._request, paths))

    @contextmanager
    def compiling(self, path: str) -> t.Iterator[None]:
        """Compile the modules below a path while the block runs, outside the fence.

        The compiler runs nothing of what it reads, so that the user's rights are fence enough; a unit takes longer.
        """
        step = commands.compile_code(self._request, path)
        with self._timed(), run_in_background(step.argv, self._timeout, self._request.app, self._user):
            yield

    def _install_dependencies(self, dependencies: Dependencies) -> None:
        what = f"install {', '.join(dependencies.names)}"
        if dependencies.lock and self._request.has_other_index:
            self._install_lock(dependencies, what)
        elif dependencies.lock:
            for step in commands.sync(self._request, dependencies):
                self._run(step, what)
        else:
            for step in commands.install(self._request, dependencies):
                self._run(step, what)

    def _install_lock(self, dependencies: Dependencies, what: str) -> None:
        result = self._call(commands.check_lock(self._request, dependencies))
        if result.rc != 0:
            raise BuildError(f"cannot {what}: {commands.LOCK_DIFFERS}. uv said: {self._mask(result.tail(5))}")
        path = os.path.join(self._request.cache, "tmp", "locked.txt")
        self._run(commands.export_lock(self._request, dependencies, path), what)
        for step in commands.install_exported(self._request, dependencies, path):
            self._run(step, what)

    def _install_list(self, packages: t.Sequence[str], name: str) -> None:
        """Install requirements by way of a file: an address among them may hold credentials, and argv is public."""
        if not packages:
            return
        # In a directory that only root can write to.
        path = os.path.join(self._request.cache, f"{name}.txt")
        self._write_list(packages, path)
        try:
            self._run(commands.install_file(self._request, path), f"install {mask_urls(', '.join(packages))}")
        finally:
            os.unlink(path)

    def _write_list(self, requirements: t.Sequence[str], path: str) -> None:
        owner = os.stat(os.path.join(self._request.cache, "tmp"))
        write_file(path, ("\n".join(requirements) + "\n").encode(), 0o600, owner.st_uid, owner.st_gid)

    def _run(self, step: commands.VenvCommand, what: str) -> None:
        result = self._call(step)
        if result.rc != 0:
            said = self._mask("\n".join(line for line in result.tail(25).splitlines() if "Retrying (" not in line))
            # The end of a compiler's output need not say which package it was.
            name = package_not_built(result.err or result.out)
            name = "" if name in said else f" ({self._mask(name)} cannot be built)"
            raise BuildError(
                f"cannot {what}{name}: {commands.explain_install_failure(said)}. {step.argv[0]} said: {said}"
            )

    def _call(self, step: commands.VenvCommand) -> Result:
        with self._timed():
            return self._fence.run(step.argv, self._timeout, {**self._env, **step.env}, self._request.app)

    @contextmanager
    def _timed(self) -> t.Iterator[None]:
        try:
            yield
        except FenceError:
            raise
        except CommandError as exc:
            raise BuildError(f"{self._mask(str(exc))} (build_timeout is {self._timeout:g} s)") from exc
