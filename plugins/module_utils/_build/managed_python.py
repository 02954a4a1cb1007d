# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Get a Python that the host lacks, with uv. Private to flaskops.stack.

It belongs to root and is shared by all releases. Nothing here removes one: a virtualenv leads to it.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass

from .._app.dependencies import DependencyError
from .._input.redact import mask_urls
from .._system.command import run
from .._system.lock import Lock
from .._system.paths import LOCKS, PYTHONS
from .._system.planted import find_below
from . import venv_commands as commands
from .venv import Interpreter, ensure_uv, find_interpreter

# python3.12, as an application names it; a path or python3 is a Python of the host.
_WANTED = re.compile(r"python(3\.\d+)")
_PATCH = re.compile(r"cpython-\d+\.\d+\.(\d+)\D")
_NOTHING_FOUND = re.compile(r"No download found|404|No such file|os error 2|not available for|does not exist")
# Of an archive of 30 to 90 MiB.
_SECONDS = 900


@dataclass(frozen=True)
class PythonSource:
    """Whether, and from where, uv may get a Python."""

    is_allowed: bool = False
    # URL of a copy of the archives, or nothing for those that uv knows.
    mirror: str = ""


def find_or_get(
    wanted: str, source: PythonSource, uv_requirement: str, request: commands.VenvRequest, check_mode: bool
) -> Interpreter:
    """Return the Python that C(wanted) names: that of the host, else one that uv has got, or gets now.

    C(request) says where uv itself comes from. In check mode nothing is got, and its last number is not known.
    """
    try:
        return find_interpreter(wanted)
    except DependencyError as exc:
        version = _WANTED.fullmatch(wanted)
        if not version or not (source.is_allowed or source.mirror):
            raise
        if re.search(r"://[^/\s]*@", source.mirror):
            raise DependencyError(
                "python_mirror has credentials in it, and URLs are shown: leave them out, and let the mirror know the "
                "host by its address"
            ) from None
        # The way out that it names is the one that is tried now.
        missing = str(exc).partition(": ")[0]
    installed = _installed(version[1])
    if installed or check_mode:
        return find_interpreter(installed) if installed else Interpreter(f"{PYTHONS}/{wanted}", version[1])
    uv = ensure_uv(uv_requirement, request)
    with Lock(f"{LOCKS}/_python.lock", _SECONDS, f"installation of Python {version[1]}"):
        _get(version[1], source, uv, request, missing)
    return find_interpreter(_installed(version[1]))


def _installed(version: str) -> str:
    """Return the newest Python of a version that uv has got, or nothing."""
    found = {
        int(patch[1]): path
        for _directory, _name, path in find_below(PYTHONS, f"cpython-{version}.*/bin/python{version}")
        if (patch := _PATCH.search(path))
    }
    return found[max(found)] if found else ""


def _get(version: str, source: PythonSource, uv: str, request: commands.VenvRequest, missing: str) -> None:
    os.makedirs(PYTHONS, mode=0o755, exist_ok=True)
    env = {
        **commands.environment(request),
        "HOME": "/root",
        "TMPDIR": "/tmp",
        "UV_PYTHON_INSTALL_DIR": PYTHONS,
        "UV_PYTHON_DOWNLOADS": "manual",
        "UV_NO_CACHE": "1",
        **({"UV_PYTHON_INSTALL_MIRROR": source.mirror} if source.mirror else {}),
    }
    env.pop("UV_OFFLINE", None)
    result = run([uv, "python", "install", "--no-bin", "--no-progress", version], timeout=_SECONDS, env=env)
    # uv makes it writable for all users, and each of them could lock it and stop the others.
    with suppress(FileNotFoundError):
        os.chmod(f"{PYTHONS}/.lock", 0o600)
    if result.rc != 0 or not _installed(version):
        said = mask_urls(result.tail(12))
        raise DependencyError(f"{missing}, and {_explain(said, source)}. uv said: {said}")


def _explain(said: str, source: PythonSource) -> str:
    place = f"python_mirror '{source.mirror}'" if source.mirror else "the place that uv knows"
    if "hash" in said.lower():
        return f"its archive in {place} is not the one whose checksum uv knows: put the right one there"
    if _NOTHING_FOUND.search(said):
        advice = "put the archive there that uv names, or choose another Python" if source.mirror else "choose another"
        return f"{place} does not have it: {advice}"
    return f"{place} cannot be reached: set flask_python_mirror to one that this host reaches"
