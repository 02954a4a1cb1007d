# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applications that fork away wherever code of theirs is run, and what they leave. Runs inside the test host."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
import traceback
import typing as t
from pathlib import Path

from tools.faults.inject import module

_PLUGINS = "ansible_collections.flaskops.stack.plugins"
NAME = "away"
_SOURCE = Path("/opt/away")
_BASE = Path("/srv") / NAME
_LOGS = Path("/run/flaskops/_hooks")
_MARK = Path("/var/cache/flaskops") / NAME / "tmp" / "begun"
# What a run that was killed has begun ends with it.
_PATIENCE = 5.0
_LARGEST = 1024 * 1024

# A process that leaves its session, its group and its parent, as a daemon does, and writes where it can.
_AWAY = """
import os, signal, time

def away():
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    for place in ("/tmp/away-left", "/var/tmp/away-left"):
        with open(place, "w") as stream:
            stream.write("left")
    while True:
        time.sleep(1)

away()
"""
_APP = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"away"]
"""
_SETUP = """
from setuptools import setup
setup(name="away-app", version="1", py_modules=["shop"])
"""
_LOUD = "import sys\nfor _ in range(200_000):\n    sys.stdout.write('x' * 1023 + chr(10))\n"
_SLOW = f"import pathlib, time\npathlib.Path({str(_MARK)!r}).touch()\ntime.sleep(120)\n"

# A timer that ends what outlives a deploy is another matter.
UNITS = ("flaskops-build-*", "flaskops-check-*", "flaskops-hook-*")

Files = t.Mapping[str, str]


class BrokenError(AssertionError):
    """Something that a story expects and does not find."""


def expect(fine: bool, what: str) -> None:
    """Raise BrokenError when something is not as it should be."""
    if not fine:
        raise BrokenError(what)


def write(files: Files) -> None:
    """Make the source of the application."""
    shutil.rmtree(_SOURCE, ignore_errors=True)
    _SOURCE.mkdir(parents=True)
    for name, text in {"shop.py": _APP, "away.py": _AWAY, **files}.items():
        (_SOURCE / name).write_text(text)


def params(**changes: t.Any) -> dict[str, t.Any]:
    """Return the application as module flask_release takes it."""
    index = {"index_url": sys.argv[1]} if sys.argv[1:] and sys.argv[1] else {}
    common = {"name": NAME, "source": str(_SOURCE), "source_type": "git", "app": "shop:app", "trusted_hops": 0}
    return {**common, "requirements": [], "installer": "pip", "gunicorn": {"workers": 1}, **index, **changes}


def commit() -> str:
    """Return a commit with the source as it is now."""
    git = ("git", "-C", str(_SOURCE), "-c", "user.name=test", "-c", "user.email=test@away.test")
    for words in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "--message", "one")):
        subprocess.run([*git, *words], check=True, capture_output=True)
    return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


def start(app: t.Mapping[str, t.Any], **more: t.Any) -> subprocess.Popen[str]:
    """Start module flask_release."""
    words = json.dumps({"ANSIBLE_MODULE_ARGS": {"apps": [app], "code": module.keep_code("flask_release"), **more}})
    command = [sys.executable, "-m", f"{_PLUGINS}.modules.flask_release"]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdin
    process.stdin.write(words)
    process.stdin.close()
    process.stdin = None
    return process


def run(app: t.Mapping[str, t.Any], **more: t.Any) -> dict[str, t.Any]:
    """Run module flask_release and return its result."""
    process = start(app, **more)
    out, err = process.communicate(timeout=300)
    try:
        return t.cast("dict[str, t.Any]", json.loads(out.strip().splitlines()[-1]))
    except (ValueError, IndexError):
        raise BrokenError(f"the module ends without a result: {err[-2000:]}") from None


def processes(uid: int) -> dict[int, str]:
    """Return the processes of a user, and the unit of each."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if path.stat().st_uid == uid and (path / "cmdline").read_bytes():
                found[int(path.name)] = (path / "cgroup").read_text().strip().rpartition("/")[2]
        except OSError:
            continue
    return found


def outside(uid: int) -> list[str]:
    """Return the processes of a user that are in none of the services of the application."""
    return [f"{pid} in {unit or 'no unit'}" for pid, unit in processes(uid).items() if not unit.startswith(f"{NAME}@")]


def uid_of() -> int:
    """Return the application's user."""
    return pwd.getpwnam(NAME).pw_uid


def see_nothing_left() -> None:
    """Expect no process, file or unit that outlived what it was run for."""
    left = outside(uid_of())
    expect(not left, f"still run: {', '.join(left)}")
    files = [place for place in ("/tmp/away-left", "/var/tmp/away-left") if Path(place).exists()]
    expect(not files, f"on the host there is {', '.join(files)}")
    units = subprocess.run(
        ["systemctl", "list-units", "--all", "--plain", "--no-legend", *UNITS],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    expect(not units.strip(), f"units are left: {units}")


def at_import() -> None:
    """An application that forks away when it is imported is loaded, and nothing of that is left."""
    write({"shop.py": "import away\n" + _APP})
    result = run(params(version=commit()))
    expect(not result.get("failed"), f"it is not built: {result.get('msg')}")
    see_nothing_left()


def at_import_and_fails() -> None:
    """The same, of one that cannot be loaded."""
    write({"shop.py": "import away\nraise RuntimeError('no')\n"})
    result = run(params(version=commit()))
    expect("RuntimeError: no" in str(result.get("msg")), f"the reason is not named: {result.get('msg')}")
    see_nothing_left()


def in_build_script() -> None:
    """A package that forks away when it is built."""
    write({"setup.py": _AWAY + _SETUP, "requirements.txt": "."})
    result = run(params(version=commit(), requirements=["requirements.txt"]))
    expect(not result.get("failed"), f"it is not built: {result.get('msg')}")
    see_nothing_left()


def in_build_hook() -> None:
    """A build hook that forks away."""
    write({})
    result = run(params(version=commit(), hooks={"build": ["python away.py"]}))
    expect(not result.get("failed"), f"it is not built: {result.get('msg')}")
    see_nothing_left()


def in_hooks() -> None:
    """Hooks of a deploy that fork away."""
    write({})
    hooks = {stage: ["python away.py"] for stage in ("migrate", "before_switch", "after_switch")}
    result = run(params(version=commit(), hooks={**hooks, "migrate_each_host": True}), serve=True)
    expect(not result.get("failed"), f"it is not deployed: {result.get('msg')}")
    see_nothing_left()


def loud() -> None:
    """A hook that prints 200 MB fills nothing."""
    write({"loud.py": _LOUD})
    process = start(params(version=commit(), hooks={"after_switch": ["python loud.py"]}), serve=True)
    largest = 0
    while process.poll() is None:
        largest = max([largest, *(path.stat().st_size for path in _LOGS.glob("*.log") if path.exists())])
        time.sleep(0.005)
    said = process.stdout.read() if process.stdout else ""
    expect(process.returncode == 0, f"it is not deployed: {said[-2000:]}")
    expect(largest < _LARGEST, f"the output of a hook had {largest} bytes in /run")
    see_nothing_left()


def killed() -> None:
    """A build whose module is killed ends with it, and the next one is not disturbed."""
    write({"slow.py": "import away\n" + _SLOW})
    _MARK.unlink(missing_ok=True)
    version = commit()
    process = start(params(version=version, hooks={"build": ["python slow.py"]}))
    while not _MARK.exists() and process.poll() is None:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + _PATIENCE
    while outside(uid_of()) and time.monotonic() < deadline:
        time.sleep(0.05)
    see_nothing_left()
    result = run(params(version=version))
    expect(not result.get("failed"), f"the next run does not build: {result.get('msg')}")


def removed() -> None:
    """What still runs as the user of an application that is removed is killed, and named."""
    write({})
    run(params(version=commit()))
    uid = uid_of()
    with as_user(uid) as process:
        subprocess.run(["systemctl", "stop", f"{NAME}@*"], check=True)
        result = run({"name": NAME}, state="absent", purge_data=True)
        expect(f"({process.pid})" in str(result.get("warnings")), f"it is not named: {result}")
    expect(not processes(uid), "it still runs")
    expect(not _BASE.exists(), "the application is not removed")


def number() -> None:
    """A new user gets no number that a process has."""
    subprocess.run(["useradd", "--system", "--user-group", "gone"], check=True)
    gone = pwd.getpwnam("gone")
    with as_user(gone.pw_uid, gone.pw_gid) as process:
        subprocess.run(["userdel", "--force", "gone"], check=True, capture_output=True)
        write({})
        result = run(params(version=commit()))
        expect(not result.get("failed"), f"it is not built: {result.get('msg')}")
        account = pwd.getpwnam(NAME)
        expect(account.pw_uid != gone.pw_uid, f"its user has the number {gone.pw_uid} of a process")
        expect(account.pw_gid != gone.pw_gid, f"its group has the number {gone.pw_gid} of a process")
        process.kill()


def as_user(uid: int, gid: int | None = None) -> subprocess.Popen[bytes]:
    """Start a process that a removed user has left."""
    words = ["setpriv", f"--reuid={uid}", f"--regid={uid if gid is None else gid}", "--clear-groups", "sleep", "600"]
    process = subprocess.Popen(words)
    while not processes(uid):
        time.sleep(0.01)
    return process


STORIES: tuple[t.Callable[[], None], ...] = (
    at_import,
    at_import_and_fails,
    in_build_script,
    in_build_hook,
    in_hooks,
    loud,
    killed,
    removed,
    number,
)


def main() -> None:
    """Tell all stories, and print what broke."""
    broken = []
    for story in STORIES:
        try:
            story()
        except Exception as exc:
            where = "" if isinstance(exc, BrokenError) else traceback.format_exc()
            broken.append(f"{story.__name__}: {exc} {where}".strip())
        print(f"{story.__name__} ended", file=sys.stderr)
    print(json.dumps({"stories": len(STORIES), "broken": broken}))


if __name__ == "__main__":
    main()
