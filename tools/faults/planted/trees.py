# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inside a host: build packages and run hooks that plant what root meets later; count what root did about it.

For each place that docs/security.md lists under "Hostile trees".
"""

from __future__ import annotations

import json
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

from tools.faults.inject.module import Module

NAME = "planted"
ROOT = Path("/srv/planted")
SOURCE, WHEELS = Path("/opt/planted"), Path("/opt/planted-wheels")
VICTIM = Path("/etc/planted-victim")
# A build and a look at it take some seconds; the installer's own patience is less than this.
PATIENCE = 100
# Its allocator reserves more than it uses.
_MEMORY = 6 * 2**30
UV = "uv==0.13.8"
_ACCOUNTS = re.compile("passwd|shadow|group|sub[ug]id|pwd")

BACKEND = """
import glob, os, zipfile
PLANT = {plant!r}
def build_wheel(directory, config_settings=None, metadata_directory=None):
    name = "plant-1-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(directory, name), "w") as wheel:
        wheel.writestr("plant.py", "x = 1\\n")
        wheel.writestr("plant-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: plant\\nVersion: 1\\n")
        wheel.writestr("plant-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("plant-1.dist-info/RECORD", "")
    found = glob.glob("/srv/planted/releases/*-*/venv")
    release = next(path for path in found if not os.path.exists(path + "/../release.json"))
    site = glob.glob(release + "/lib/python3*/site-packages")[0]
    exec(PLANT, {{"os": os, "site": site, "venv": release, "app": os.path.join(os.path.dirname(release), "app")}})
    return name
"""
APP = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'ok']\n"

KINDS = {
    "fifo": "os.mkfifo({0})",
    "device": "os.symlink('/dev/zero', {0})",
    "secret": f"os.symlink('{VICTIM}', {{0}})",
    "hard link": f"os.link('{VICTIM}', {{0}})",
    "huge": "open({0}, 'w').close(); os.truncate({0}, 2**40)",
    "deep": "here = {0}; os.mkdir(here); os.chdir(here)\nfor _ in range(1500): os.mkdir('d'); os.chdir('d')",
    "link to /etc": "os.symlink('/etc', {0})",
}
FILES = ("fifo", "device", "secret", "hard link", "huge")
INFO = "os.makedirs(site + '/evil-1.dist-info', exist_ok=True)\n"
# Where a package of the virtualenv plants, with what comes before, and where a hook of the code does.
PACKAGES = {
    "site + '/__editable__evil.py'": ("", FILES),
    "site + '/_evil_editable.py'": ("", ("fifo",)),
    "site + '/evil-1.dist-info/direct_url.json'": (INFO, FILES),
    "venv + '/bin/evil'": ("", FILES),
    "venv + '/evil'": ("", ("fifo", "deep", "hard link")),
    "venv + '/var'": ("", ("link to /etc",)),
    "app + '/evil'": ("", ("fifo", "deep")),
}
HOOKS = {
    "app + '/pyproject.toml'": ("", FILES),
    "app + '/evil'": ("", ("fifo", "deep", "hard link", "link to /etc")),
}


class LateError(Exception):
    """Root waits for something."""


def sh(*words: str) -> str:
    """Return what a command says."""
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def prepare() -> None:
    """Get wheels once, and let users link to files of others, as hosts without that protection do."""
    (SOURCE / "plant").mkdir(parents=True, exist_ok=True)
    (SOURCE / "main.py").write_text(APP)
    (SOURCE / "plant/pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "plant"\nversion = "1"\n'
    )
    if not WHEELS.is_dir():
        sh("python3", "-m", "venv", "/opt/planted-pip")
        sh("/opt/planted-pip/bin/pip", "wheel", "--quiet", "-w", str(WHEELS), "gunicorn>=21.2,<28", "werkzeug", UV)
    VICTIM.write_text("root alone reads this\n")
    VICTIM.chmod(0o600)


def outside() -> list[object]:
    """Return what no build may change."""
    status = VICTIM.stat()
    # Users come and go.
    etc = sorted(path.name for path in Path("/etc").iterdir() if not _ACCOUNTS.search(path.name))
    return [status.st_uid, status.st_gid, status.st_mode, VICTIM.read_text(), etc]


def application(plant: str, in_hook: bool, colour: str) -> dict[str, t.Any]:
    """Return the application as module flask_release takes it, with a commit of its own."""
    (SOURCE / "plant/backend.py").write_text(BACKEND.format(plant="" if in_hook else plant))
    hook = f"import os\napp = os.getcwd()\n{plant}\n" if in_hook else ""
    (SOURCE / "hook.py").write_text(hook)
    git = ("git", "-C", str(SOURCE), "-c", "user.name=test", "-c", "user.email=test@shop.test")
    if not (SOURCE / ".git").is_dir():
        sh(*git, "init", "--quiet")
    sh(*git, "add", ".")
    sh(*git, "commit", "--quiet", "--allow-empty", "--message", "plant")
    return {
        "name": NAME,
        "source": str(SOURCE),
        "source_type": "git",
        "version": sh(*git, "rev-parse", "HEAD"),
        "app": "main:app",
        "requirements": [],
        "packages": ["werkzeug", "./plant"],
        "wheel_dir": str(WHEELS),
        "build_timeout": 30,
        "environment": {"COLOUR": colour},
        "hooks": {"build": ["python hook.py"]} if in_hook else {},
    }


def bounded(module: Module, params: dict[str, t.Any]) -> tuple[str, float]:
    """Return what a module says has failed, and how many seconds it took; raise LateError when it waits."""

    def late(*_: object) -> None:
        raise LateError

    signal.signal(signal.SIGALRM, late)
    signal.alarm(PATIENCE)
    began = time.monotonic()
    try:
        return module.run(params).failure, time.monotonic() - began
    finally:
        signal.alarm(0)


class Field:
    """The modules that meet what was planted."""

    def __init__(self) -> None:
        """Load them."""
        self._build, self._list, self._status = map(Module, ("flask_release", "flask_release_info", "flask_status"))
        self.tried, self.refused = 0, 0

    def meet(self, title: str, plant: str, in_hook: bool) -> list[str]:
        """Build what plants, build on it, look at it and remove it; return what is wrong."""
        self.tried += 1
        before, wrong = outside(), []
        steps: list[tuple[Module, dict[str, t.Any]]] = [
            *((self._build, {"apps": [application(plant, in_hook, colour)]}) for colour in ("red", "blue")),
            (self._list, {"names": [NAME], "size": True}),
            (self._status, {"names": [NAME], "probe": False}),
        ]
        refused = False
        for module, params in steps:
            # What is refused once is refused again.
            if refused and module is self._build:
                continue
            try:
                failure, _seconds = bounded(module, params)
            except LateError:
                return [f"{title}: root waits"]
            refused = refused or bool(failure)
            if "Traceback" in failure or "no result" in failure:
                wrong.append(f"{title}: {failure[-400:]}")
        self.refused += refused
        if leftovers := [path.name for path in ROOT.glob("releases/*") if not (path / "release.json").exists()]:
            wrong.append(f"{title}: {', '.join(leftovers)} stayed")
        absent = {"apps": [{"name": NAME}], "state": "absent", "purge_data": True}
        failure, _seconds = bounded(self._build, absent)
        if failure or ROOT.exists():
            wrong.append(f"{title}: not removed: {failure}")
            shutil.rmtree(ROOT, ignore_errors=True)
        if outside() != before:
            wrong.append(f"{title}: something outside of the release is another")
        return wrong

    def data(self) -> list[str]:
        """Let the application plant in its data, and look at it, hand it over and remove it."""
        self.tried += 1
        before, app = outside(), application("", False, "red")
        failure, _seconds = bounded(self._build, {"apps": [app]})
        if failure:
            return [f"shared: {failure}"]
        shared = ROOT / "shared"
        deep = KINDS["deep"].format(f"'{shared}/deep'")
        code = f"import os\nos.chdir('{shared}')\nos.mkfifo('fifo')\nos.symlink('/etc', 'etc')\n{deep}"
        sh("runuser", "-u", NAME, "--", "python3", "-c", code)
        wrong = []
        again = {**app, "user": "planted2", "shared": ["etc/ssl", "uploads"]}
        for module, params in (
            (self._status, {"names": [NAME], "probe": False}),
            (self._list, {"names": [NAME], "size": True}),
            (self._build, {"apps": [again]}),
            (self._build, {"apps": [{"name": NAME}], "state": "absent", "purge_data": True}),
        ):
            failure, _seconds = bounded(module, params)
            if "Traceback" in failure or "no result" in failure:
                wrong.append(f"shared: {failure[-400:]}")
        if ROOT.exists():
            wrong.append("shared: not removed")
        return [*wrong, *([] if outside() == before else ["shared: something outside is another"])]


def main() -> int:
    """Plant everything everywhere, and print what became of it."""
    prepare()
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    field, wrong, every = Field(), [], int(sys.argv[1])
    rows = [
        (place, before, kind, in_hook)
        for places, in_hook in ((PACKAGES, False), (HOOKS, True))
        for place, (before, kinds) in places.items()
        for kind in kinds
    ]
    for place, before, kind, in_hook in rows[:: max(every, 1)]:
        title = f"{kind} at {place} by {'a hook' if in_hook else 'a package'}"
        found = field.meet(title, _plant(place, before, kind, in_hook), in_hook)
        print(f"progress: {title}: {'; '.join(found) or 'ok'}", flush=True)
        wrong += found
    wrong += field.data()
    print(json.dumps({"tried": field.tried, "refused": field.refused, "broken": wrong}))
    return 0


def _plant(place: str, before: str, kind: str, in_hook: bool) -> str:
    """Return the code that plants; what the kernel or the sandbox does not let a user do is not done."""
    remove = f"if os.path.lexists({place}): os.unlink({place})\n" if in_hook and kind in FILES else ""
    code = KINDS[kind].format(place)
    indented = "".join(f"    {line}\n" for line in code.splitlines())
    return f"{before}{remove}try:\n{indented}except OSError: pass\n"


if __name__ == "__main__":
    raise SystemExit(main())
