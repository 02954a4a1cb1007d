# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inject faults at each system call of a module: kill it there, or let the call fail. Runs inside a test host, as root.

It knows nothing of what the module does. A Subject says how to change from one state into another, and what is wrong
after a fault. strace finds the calls that the change makes, and injects a fault at one of them in each of many runs.
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

_TRACE = Path("/var/tmp/fault-trace")
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
    """A change that faults can be injected into, or several that follow each other."""

    @property
    def way(self) -> str:
        """Return the name of the change that comes next; each has calls of its own."""

    def ready(self, label: str) -> str:
        """Bring about the state before the change; return what is wrong with that, '' when nothing is."""

    def change(self, strace: t.Sequence[str] = ()) -> Ended:
        """Make the change, under strace with these options where there are any."""

    def judge(self, label: str) -> str:
        """Return what is wrong after a fault, and let the next run complete the change; '' when nothing is wrong."""

    def mend(self) -> None:
        """Bring everything back by force after something was wrong."""


class LoadedModule:
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


Injection = tuple[str, Point]


@dataclass
class Result:
    """How many faults there were, by their kind, how many points were not met again, and what broke."""

    injected: collections.Counter[str] = field(default_factory=collections.Counter)
    unreached: int = 0
    # For which there was no time.
    left: int = 0
    broken: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, t.Any]:
        """Return it for who reads the last line."""
        return {"injected": dict(self.injected), "unreached": self.unreached, "left": self.left, "broken": self.broken}


class Injector(t.Protocol):
    """A way to inject faults."""

    def find(self, subject: Subject) -> list[Injection]:
        """Return the faults for one run of the change, which is made for that."""

    def inject(self, subject: Subject, fault: str, point: Point) -> tuple[str, bool]:
        """Make the change with one fault; return its label, and whether the point was met."""


@dataclass(frozen=True)
class Calls:
    """Inject faults at system calls."""

    # "signal=KILL" or "error=ENOSPC", as strace's option inject takes it.
    faults: t.Sequence[str]
    # Take each n-th point only, and which of n to begin with.
    every: int = 1
    first: int = 0
    calls: str = f"{READS},{CHANGES}"
    # What else decides whether a point is worth a fault.
    worth: t.Callable[[Point], bool] = lambda _point: True
    # Whether one kill stands for all that find the same state.
    once: bool = False
    # Calls that come in masses, each like the one before, and how many of them one stands for.
    rare: t.Mapping[str, int] = field(default_factory=dict)

    def find(self, subject: Subject) -> list[Injection]:
        """Return each kind of fault at each point that can meet it."""
        subject.change(["-o", str(_TRACE), "-e", f"trace={self.calls}"])
        known = points_in(_TRACE.read_text())
        worth = [point for point in known if self.worth(point)]
        states = distinct(known, self.worth) if self.once else worth
        return [
            (fault, point)
            for fault in self.faults
            for point in spread(
                [point for point in (states if fault == KILL else worth) if point.fails_with(fault)],
                self.every,
                self.first,
                self.rare,
            )
        ]

    def inject(self, subject: Subject, fault: str, point: Point) -> tuple[str, bool]:
        """Make the change with one fault."""
        option = f"inject={point.call}:{fault}:when={point.number}"
        ended = subject.change(["-o", str(_TRACE), "-e", f"trace={point.call}", "-e", option])
        reached = ended.rc == -signal.SIGKILL if fault == KILL else "(INJECTED)" in _TRACE.read_text()
        return label_of(fault, point, ended), reached


def label_of(fault: str, point: Point, ended: Ended) -> str:
    """Return the label of a fault, with what the module said."""
    said = str(ended.result.get("msg", ""))[:300]
    return f"{fault} at {point.call} {point.number} ({point.text}), rc {ended.rc}: {said}"


def inject_all(subject: Subject, injector: Injector, until: float = math.inf) -> Result:
    """Inject each fault, on each of the ways, until a time; return how many there were and what broke."""
    result = Result()
    if wrong := subject.ready("the first state"):
        result.broken.append(wrong)
        return result
    todo: dict[str, list[Injection]] = {}
    while (way := subject.way) not in todo:
        todo[way] = injector.find(subject)
        _conclude(subject, result, subject.ready("after a look"))
    total = sum(map(len, todo.values()))
    while any(todo.values()) and time.time() < until:
        if todo[subject.way]:
            fault, point = todo[subject.way].pop(0)
            label, reached = injector.inject(subject, fault, point)
            result.injected[fault] += reached
            result.unreached += not reached
            wrong = subject.judge(label)
            done = total - sum(map(len, todo.values()))
            print(f"{PROGRESS}{done} of {total} faults, {len(result.broken) + bool(wrong)} broken", flush=True)
        else:
            # Only to get to the other way.
            label, wrong = "no fault", subject.change().failure
        _conclude(subject, result, wrong or subject.ready(label))
    result.left = sum(map(len, todo.values()))
    return result


def _conclude(subject: Subject, result: Result, wrong: str) -> None:
    """Note what is wrong, and mend that."""
    if wrong:
        result.broken.append(wrong)
        print("BROKEN", wrong, flush=True)
        subject.mend()
