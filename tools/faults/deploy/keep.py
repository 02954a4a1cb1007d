# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults while the code of modules comes to a host that keeps it. Runs inside a test host, as root."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import time
import typing as t
import zipfile
from pathlib import Path

from tools.faults.deploy.stage import NAME, SITE, Release, current
from tools.faults.deploy.subjects import Switch
from tools.faults.inject.injector import Ended, LoadedModule

_PLUGINS = "ansible_collections.flaskops.stack.plugins"
_ARCHIVE = Path("/var/tmp/fault-code.zip")
# Of a version that no run has used for long, which is removed.
_OLD = {f"_{number}.py": b"" for number in range(3)}
_LONG, _AN_HOUR = 30 * 24 * 3600, 3600


class Keeping(Switch):
    """The code comes to a host that has that of an old version."""

    visited = False
    way = "no code to code"

    def __init__(self, one: Release | None, other: Release) -> None:
        """Pack the code as the controller does it."""
        super().__init__(one, other)
        self._release = other
        self._code = importlib.import_module(f"{_PLUGINS}.module_utils._host_code")
        source = Path(self._code.__file__ or "").parent
        self._files = self._code.read_code(str(source))
        with zipfile.ZipFile(_ARCHIVE, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in self._files.items():
                archive.writestr(f"{self._code.PACKAGE}/{name}", content)
        self._root = Path(self._code.ROOT)
        self._place, self._old = self._root / self._code.digest(self._files), self._root / "old"
        self._args = {"code": self._place.name, "code_archive": str(_ARCHIVE)}
        self._keeper = LoadedModule(__name__)

    def ready(self, label: str) -> str:
        """Let there be a release and old code, but none of the code that comes."""
        for path in [self._place, self._old, *self._temporary()]:
            shutil.rmtree(path, ignore_errors=True)
        package = self._old / self._code.PACKAGE
        package.mkdir(parents=True)
        for name, content in _OLD.items():
            (package / name).write_bytes(content)
        _age(self._old, _LONG)
        # It stays as it is: what comes is code, and the next run has nothing to do.
        failure = "" if current() == self._release.id else self.run(self._release).failure
        return f"{label}: no release: {failure}" if failure else ""

    def attempt(self, strace: t.Sequence[str] = ()) -> Ended:
        """Keep the code."""
        return self._keeper.run(self._args, strace)

    def judge(self, label: str) -> str:
        """Look at what is there, and let the next run come, as Ansible starts it."""
        wrong = self._dishonest() or self._partial() or self._next() or self._partial()
        if not wrong and not self._place.exists():
            wrong = "the next run does not keep the code"
        if left := [path.name for path in [*self._temporary(), self._old] if path.exists()]:
            wrong = wrong or f"left behind: {left}"
        return f"{label}: {wrong}" if wrong else ""

    def _dishonest(self) -> str:
        """Return what is wrong with what the run says: that code cannot be kept must not keep a run from working."""
        if self.ended.rc < 0:
            return ""
        place = self.ended.result.get("path", "")
        fine = (place == str(self._place) and self._place.exists()) or place == str(_ARCHIVE)
        return "" if fine else f"it is to be imported from {place!r}: {self.ended.failure}"

    def _partial(self) -> str:
        """Return what is under its name and not whole."""
        for place, files in ((self._place, self._files), (self._old, _OLD)):
            package = place / self._code.PACKAGE
            found = {str(path.relative_to(package)): path.read_bytes() for path in package.rglob("*.py")}
            if place.exists() and found != files:
                return f"{place} has {len(found)} of {len(files)} files"
        return ""

    def _next(self) -> str:
        """Run the module with the code, in an interpreter that has seen nothing yet."""
        for path in self._temporary():
            _age(path, _AN_HOUR)
        if self._old.exists():
            _age(self._old, _LONG)
        services = [{"name": NAME, "release": str(self._release.path), "site": SITE}]
        words = json.dumps({"ANSIBLE_MODULE_ARGS": {"services": services, **self._args}})
        command = [sys.executable, "-m", f"{_PLUGINS}.modules.gunicorn_service"]
        done = subprocess.run(command, input=words, capture_output=True, text=True, check=False)
        try:
            result = json.loads(done.stdout.strip().splitlines()[-1])
        except (ValueError, IndexError):
            return f"the next run ends without a result: {done.stderr[-2000:]}"
        calm = not result.get("failed") and not result["changed"] and "code_is_missing" not in result
        return "" if calm else f"the next run is not calm: {result}"

    def _temporary(self) -> list[Path]:
        return [*self._root.glob(".flaskops-*")]

    def mend(self) -> None:
        """Begin anew."""
        self.ready("mended")


def _age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def main() -> None:
    """Keep code, as the module does it before anything else."""
    args = json.load(sys.stdin)["ANSIBLE_MODULE_ARGS"]
    code = importlib.import_module(f"{_PLUGINS}.module_utils._host_code")
    try:
        print(json.dumps({"path": code.find_code(args["code"], args["code_archive"])}))
    except code.HostCodeError as exc:
        print(json.dumps({"failed": True, "msg": str(exc)}))
