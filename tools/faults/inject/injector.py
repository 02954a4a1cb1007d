# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Strike a module at each of its system calls: kill it there, or let the call fail. Runs inside a test host, as root.

It knows nothing of what the module does. A Subject says how to change from one state into another, and what is wrong
after a blow. strace finds the calls that the change makes, and strikes at one of them in each of many runs.
Python 3.9 is enough for it, because it is copied into hosts with nothing newer.
"""

from __future__ import annotations

import collections
import ctypes
import importlib
import json
import math
import os
import signal
import subprocess
import sys
import time
import traceback
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from tools.faults.inject.trace import CHANGES, KILL, READS, Point, distinct, points_in, spread

_TRACE = Path("/var/tmp/strike-trace")
_PATIENCE = 30
# How a line begins that only tells how far it has come.
PROGRESS = "progress: "
_PR_SET_PTRACER = 0x59616D61


class Ended(t.NamedTuple):
    """How a run of a module ended: its exit code, negative for a signal, and its result."""

    rc: int
    result: dict[str, t.Any]

    @property
    def failure(self) -> str:
        """Return what the module says has failed; '' when nothing has."""
        return str(self.result.get("msg")) if self.result.get("failed") else ""


class Subject(t.Protocol):
    """A change that can be struck at, or several that follow each other."""

    @property
    def way(self) -> str:
        """Return the name of the change that comes next; each has calls of its own."""

    def ready(self, told: str) -> str:
        """Bring about the state before the change; return what is wrong with that, '' when nothing is."""

    def change(self, strace: t.Sequence[str] = ()) -> Ended:
        """Make the change, under strace with these options where there are any."""

    def judge(self, told: str) -> str:
        """Return what is wrong after a blow, and let the next run complete the change; '' when nothing is wrong."""

    def mend(self) -> None:
        """Bring everything back by force after something was wrong."""


class Warm:
    """A module of Ansible that is loaded once and run often, each time in a process of its own."""

    def __init__(self, name: str) -> None:
        """Load it."""
        self._module = importlib.import_module(name)

    def run(self, params: t.Mapping[str, t.Any], strace: t.Sequence[str] = ()) -> Ended:
        """Run it with parameters, under strace with these options where there are any."""
        words = json.dumps({"ANSIBLE_MODULE_ARGS": params}).encode()
        streams = [os.memfd_create(name) for name in ("in", "out", "err")]
        os.pwrite(streams[0], words, 0)
        pid = os.fork()
        if pid == 0:
            self._be_the_module(streams, bool(strace))
        tracer = _attach(pid, strace) if strace else None
        _pid, status = os.waitpid(pid, 0)
        if tracer is not None:
            tracer.wait(_PATIENCE)
        _in, out, err = (os.pread(stream, 1 << 24, 0).decode("utf-8", "replace") for stream in streams)
        for stream in streams:
            os.close(stream)
        rc = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        return Ended(rc, _result(out, f"exit code {rc}: {err[-3000:]}"))

    def _be_the_module(self, streams: t.Sequence[int], traced: bool) -> t.NoReturn:
        code = 0
        try:
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
            # With an argument the module would take its parameters from that.
            sys.argv = sys.argv[:1]
            if traced:
                # Where the kernel lets a process be traced by its ancestors only (Yama), it may give leave.
                ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)
                os.kill(os.getpid(), signal.SIGSTOP)
            self._module.main()
        except SystemExit as exc:
            code = exc.code if isinstance(exc.code, int) else 1
        except BaseException:  # a process that was forked must not go on as its parent
            traceback.print_exc()
            code = 1
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)


def _result(out: str, otherwise: str) -> dict[str, t.Any]:
    try:
        found: dict[str, t.Any] = json.loads(out.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return {"failed": True, "msg": f"no result, {otherwise}"}
    return found


def _attach(pid: int, options: t.Sequence[str]) -> subprocess.Popen[bytes]:
    """Let strace take over a process that has stopped itself, and let it go on; no call of it is missed."""
    os.waitpid(pid, os.WUNTRACED)
    tracer = subprocess.Popen(["strace", "-qq", *options, "-p", str(pid)])
    deadline = time.monotonic() + _PATIENCE
    while "\nTracerPid:\t0\n" in Path(f"/proc/{pid}/status").read_text():
        if tracer.poll() is not None or time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            raise SystemExit("strace could not attach: is CAP_SYS_PTRACE missing?")
        time.sleep(0.001)
    os.kill(pid, signal.SIGCONT)
    return tracer


Deal = tuple[str, Point]


@dataclass
class Result:
    """How many blows there were, by their kind, how many found nothing to strike at, and what broke."""

    struck: collections.Counter[str] = field(default_factory=collections.Counter)
    unreached: int = 0
    # For which there was no time.
    left: int = 0
    broken: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, t.Any]:
        """Return it for who reads the last line."""
        return {"struck": dict(self.struck), "unreached": self.unreached, "left": self.left, "broken": self.broken}


class Means(t.Protocol):
    """Something to strike with."""

    def find(self, subject: Subject) -> list[Deal]:
        """Return the blows for one run of the change, which is made for that."""

    def deal(self, subject: Subject, blow: str, point: Point) -> tuple[str, bool]:
        """Make the change with one blow; return what there is to tell, and whether there was something to strike at."""


@dataclass(frozen=True)
class Calls:
    """Strike at system calls."""

    # "signal=KILL" or "error=ENOSPC", as strace's option inject takes it.
    blows: t.Sequence[str]
    # Strike at each n-th point only, and which of n to begin with.
    every: int = 1
    first: int = 0
    calls: str = f"{READS},{CHANGES}"
    # What else decides whether a point is worth a blow.
    worth: t.Callable[[Point], bool] = lambda _point: True
    # Whether one kill stands for all that find the same state.
    once: bool = False
    # Calls that come in masses, each like the one before, and how many of them one stands for.
    rare: t.Mapping[str, int] = field(default_factory=dict)

    def find(self, subject: Subject) -> list[Deal]:
        """Return each kind of blow at each point that can meet it."""
        subject.change(["-o", str(_TRACE), "-e", f"trace={self.calls}"])
        known = points_in(_TRACE.read_text())
        worth = [point for point in known if self.worth(point)]
        states = distinct(known, self.worth) if self.once else worth
        return [
            (blow, point)
            for blow in self.blows
            for point in spread(
                [point for point in (states if blow == KILL else worth) if point.fails_with(blow)],
                self.every,
                self.first,
                self.rare,
            )
        ]

    def deal(self, subject: Subject, blow: str, point: Point) -> tuple[str, bool]:
        """Make the change with one blow."""
        inject = f"inject={point.call}:{blow}:when={point.number}"
        ended = subject.change(["-o", str(_TRACE), "-e", f"trace={point.call}", "-e", inject])
        reached = ended.rc == -signal.SIGKILL if blow == KILL else "(INJECTED)" in _TRACE.read_text()
        return tell(blow, point, ended), reached


def tell(blow: str, point: Point, ended: Ended) -> str:
    """Return what there is to tell of a blow."""
    said = str(ended.result.get("msg", ""))[:300]
    return f"{blow} at {point.call} {point.number} ({point.text}), rc {ended.rc}: {said}"


def strike(subject: Subject, means: Means, until: float = math.inf) -> Result:
    """Deal each blow, on each of the ways, until a time; return how many there were and what broke."""
    result = Result()
    if wrong := subject.ready("the first state"):
        result.broken.append(wrong)
        return result
    todo: dict[str, list[Deal]] = {}
    while (way := subject.way) not in todo:
        todo[way] = means.find(subject)
        _conclude(subject, result, subject.ready("after a look"))
    total = sum(map(len, todo.values()))
    while any(todo.values()) and time.time() < until:
        if todo[subject.way]:
            blow, point = todo[subject.way].pop(0)
            told, reached = means.deal(subject, blow, point)
            result.struck[blow] += reached
            result.unreached += not reached
            wrong = subject.judge(told)
            done = total - sum(map(len, todo.values()))
            print(f"{PROGRESS}{done} of {total} blows, {len(result.broken) + bool(wrong)} broken", flush=True)
        else:
            # Only to get to the other way.
            told, wrong = "no blow", subject.change().failure
        _conclude(subject, result, wrong or subject.ready(told))
    result.left = sum(map(len, todo.values()))
    return result


def _conclude(subject: Subject, result: Result, wrong: str) -> None:
    """Note what is wrong, and mend that."""
    if wrong:
        result.broken.append(wrong)
        print("BROKEN", wrong, flush=True)
        subject.mend()
