# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run commands as an application's user in a transient unit of systemd's, and end all they have started with it.

Private to flaskops.stack.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import time
import typing as t
from contextlib import suppress
from types import TracebackType

from . import fence_inside as _fence_inside
from .command import CommandError, Commands, Result

# systemd starts a unit within 0.1 s; a host that is busy takes longer.
_START = 30.0
# Its processes are killed at once, so a longer stop waits for a device that does not answer.
_END = 20.0
# When it was killed.
_KILLED = 5.0
# The output of a command, twice, as JSON.
_LONGEST = 1024 * 1024

# A host with an older systemd lacks it; a unit file with it would be read with a warning.
_UNKNOWN = re.compile(r"Unknown assignment: (\w+)=|Cannot set property (\w+), or unknown property")
_TAKEN = re.compile(r"already loaded|already exists|has a fragment file")
_RESULT = re.compile(r"Finished with result: (\S+)")
# systemd's own exit codes, before it runs the command (systemd.exec(5)).
_UNSTARTED = re.compile(r"exited[,/] ?status=2[0-4][0-9]")
_NOISE = (
    "Running as unit",
    "Finished",
    "Service runtime",
    "CPU time",
    "Memory peak",
    "IP traffic",
    "IO bytes",
    "Press ^]",
)

# Directives that any fence has: nothing that is left may be waited for, and where the host has no memory left, the
# kernel kills what runs here before anything that serves. A limit would refuse large applications that fit.
_ALWAYS = (
    *("KillMode=control-group", "KillSignal=SIGKILL", "TimeoutStopSec=10"),
    *("OOMPolicy=continue", "OOMScoreAdjust=1000"),
)


class FenceError(CommandError):
    """A unit for an application's commands that does not start, or does not end."""


def build_unit(name: str) -> str:
    """Return the unit in which an application is built."""
    return f"flaskops-build-{name}.service"


def check_unit(name: str) -> str:
    """Return the unit in which an application is loaded once."""
    return f"flaskops-check-{name}.service"


def hook_unit(name: str) -> str:
    """Return the name of the unit in which the hooks of an application run, one at a time."""
    return f"flaskops-hook-{name}.service"


def transient(line: str) -> str:
    """Return a line of a unit file as systemd-run(1) takes it, which expands no C(%)."""
    return line.replace("%%", "%")


def inside(python: str, *argv: str) -> list[str]:
    """Return the command that runs what C(_fence_inside) does, without the packages of that interpreter."""
    # It may be in an archive.
    loader: t.Any = _fence_inside.__loader__
    return [python, "-X", "utf8", "-I", "-S", "-c", loader.get_source(_fence_inside.__name__), *argv]


_COMMANDS = Commands()


def end_units(units: t.Sequence[str], commands: Commands = _COMMANDS) -> None:
    """Stop the units that a killed run has left."""
    commands.run(["systemctl", "kill", "--signal=KILL", "--", *units], timeout=_START)
    commands.run(["systemctl", "stop", "--", *units], timeout=_START)
    commands.run(["systemctl", "reset-failed", "--", *units], timeout=_START)


class Fence:
    """A transient unit in which commands run one after the other; all that they have started ends with the block.

    Its commands and their environment travel through a pipe, so that no secret is in a file, in the process list or in
    what systemd shows of a unit. The unit also ends when this process does, however that ends.
    """

    def __init__(self, unit: str, lines: t.Sequence[str], python: str, description: str) -> None:
        """Name the unit, its directives, and an interpreter of the host that its user may run; nothing starts yet."""
        self._unit = unit
        self._lines = [*lines, *_ALWAYS]
        self._python = python
        self._description = description
        self._process: subprocess.Popen[bytes] | None = None
        self._answered = False
        self._waiting = b""

    def __enter__(self) -> Fence:
        """Start the unit without waiting for it."""
        self._process = self._start()
        return self

    def run(
        self, argv: t.Sequence[str], timeout: float, env: t.Mapping[str, str] | None = None, cwd: str | None = None
    ) -> Result:
        """Run a command and return the end of its output; raise CommandError when it is missing or too slow.

        C(env) is its environment, the unit's when there is none; C(cwd) its directory.
        """
        job = {"argv": [*argv], "timeout": timeout, "env": dict(env) if env is not None else None, "cwd": cwd}
        line = json.dumps(job).encode("ascii") + b"\n"
        self._send(line)
        return _judge(self._answer(line, timeout), argv, timeout)

    def _start(self) -> subprocess.Popen[bytes]:
        options = [f"--unit={self._unit}", "--wait", "--collect", "--pipe", "--service-type=exec"]
        properties = [f"--property={transient(line)}" for line in self._lines]
        words = ["systemd-run", *options, f"--description={self._description}", *properties, "--"]
        try:
            # Not AnsibleModule.run_command: pure utilities have no module.
            return subprocess.Popen(  # pylint: disable=ansible-bad-function
                [*words, *inside(self._python)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "LC_ALL": "C.UTF-8"},
                cwd="/",
                start_new_session=True,
            )
        except FileNotFoundError as exc:
            raise FenceError(
                f"'systemd-run' was not found: {exc}; an application is built on a host with systemd"
            ) from exc

    def _send(self, line: bytes) -> None:
        if self._process and self._process.stdin:
            # A process that has ended gives no answer, and the error about that says why.
            with suppress(BrokenPipeError):
                self._process.stdin.write(line)
                self._process.stdin.flush()

    def _answer(self, line: bytes, timeout: float) -> dict[str, t.Any]:
        """Return the answer to a command; the unit is started anew where what kept it from starting can be mended."""
        deadline = time.monotonic() + timeout + _START
        while True:
            found = self._read(deadline)
            if found:
                self._answered = True
                return _parse(found, self._unit)
            said = self._last_words()
            if self._answered or not self._amend(said):
                raise FenceError(_explain(said, self._unit))
            self._process = self._start()
            self._send(line)

    def _read(self, deadline: float) -> bytes:
        """Return a line, or nothing when there will be none."""
        stream = self._process.stdout if self._process else None
        while stream and b"\n" not in self._waiting and len(self._waiting) < _LONGEST:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([stream], [], [], left)[0]:
                return b""
            data = os.read(stream.fileno(), 65536)
            if not data:
                return b""
            self._waiting += data
        found, _newline, self._waiting = self._waiting.partition(b"\n")
        return found

    def _last_words(self) -> str:
        """Return systemd's error about a unit that gives no answer."""
        process, self._process = self._process, None
        return _close(process, self._unit) if process else ""

    def _amend(self, said: str) -> bool:
        """Make a reason that systemd gave for not starting a unit go away; return whether that was possible."""
        unknown = _UNKNOWN.search(said)
        if unknown:
            name = unknown.group(1) or unknown.group(2)
            kept = [line for line in self._lines if line.partition("=")[0] != name]
            known, self._lines = len(kept) < len(self._lines), kept
            return known
        if _TAKEN.search(said):
            end_units([self._unit])
            return True
        return False

    def end(self) -> None:
        """End the unit with all that was started in it; raise FenceError when something of it stays."""
        process, self._process = self._process, None
        said = _close(process, self._unit) if process else ""
        if "timeout" in _RESULT.findall(said):
            raise FenceError(
                f"{self._unit} has left processes that do not end when they are killed: see what they are with "
                f"'systemctl status {self._unit}' on the host"
            )

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the unit."""
        self.end()


def _close(process: subprocess.Popen[bytes], unit: str) -> str:
    """Let a unit end, which it does when its standard input ends; return the end of what systemd-run(1) said."""
    if process.stdin:
        with suppress(BrokenPipeError):
            process.stdin.close()
    said, has_ended = _drain(process, _END)
    if not has_ended:
        end_units([unit])
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        # What the kernel keeps from ending may have the pipes open for ever.
        said = (said + _drain(process, _KILLED)[0])[-_LONGEST:]
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()
    return said.decode("utf-8", "replace")


def _drain(process: subprocess.Popen[bytes], seconds: float) -> tuple[bytes, bool]:
    """Read to the end of the outputs; return the end of the errors, and whether all came in time.

    What runs in the unit can write to them, too, as much as it likes.
    """
    deadline = time.monotonic() + seconds
    said = b""
    left = [stream for stream in (process.stdout, process.stderr) if stream]
    while left and time.monotonic() < deadline:
        for stream in select.select(left, [], [], max(deadline - time.monotonic(), 0))[0]:
            data = os.read(stream.fileno(), 65536)
            if not data:
                left.remove(stream)
            elif stream is process.stderr:
                said = (said + data)[-_LONGEST:]
    return said, not left


def _parse(line: bytes, unit: str) -> dict[str, t.Any]:
    """Return an answer of the right form, also when the user's code has changed it."""
    try:
        answer = json.loads(line.decode("utf-8", "replace"))
        if "missing" in answer:
            return {"missing": str(answer["missing"])}
        return {
            "rc": int(answer["rc"]),
            "late": bool(answer["late"]),
            "out": str(answer["out"]),
            "err": str(answer["err"]),
        }
    except (ValueError, TypeError, KeyError) as exc:
        raise FenceError(
            f"{unit} sent a malformed answer ({exc}): code of the application, or of a package, has written to its pipe"
        ) from None


def _judge(answer: t.Mapping[str, t.Any], argv: t.Sequence[str], timeout: float) -> Result:
    if "missing" in answer:
        raise CommandError(answer["missing"])
    result = Result(tuple(argv), answer["rc"], answer["out"], answer["err"])
    if answer["late"]:
        raise CommandError(f"'{' '.join(argv)}' did not end within {timeout:g} s; it said last: {result.tail()}")
    return result


def _explain(said: str, unit: str) -> str:
    found = _RESULT.search(said)
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith(_NOISE)]
    reason = "; ".join(lines[-3:]) or "systemd-run said nothing"
    if found and not _UNSTARTED.search(said):
        return f"{unit} was ended from outside ({found.group(1)}; {reason}): see 'dmesg' and 'journalctl -u {unit}'"
    return (
        f"{unit}, in which the application's code is run, could not be started: {reason}. See 'journalctl -u {unit}' "
        "on the host. A directive of the sandbox that this host cannot apply is switched off in gunicorn.sandbox, such "
        "as {ProtectProc: default}, or all of them with gunicorn.sandbox: false"
    )
