# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program inside a fence: it starts commands and keeps the end of their output. Private to flaskops.stack.

The text of this file is given to an interpreter of the host, so it imports Python's own library alone.
Without arguments it takes commands from its standard input and ends with that. With arguments it runs that one command.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
import typing as t

# Of each output of a command, the part that is kept.
KEPT = 65536
# A pipe holds no more than this, unless more is asked for.
_PIPE = 65536
# Of a script's first line, what the kernel reads.
_FIRST_LINE = 256


def serve() -> None:
    """Run the commands that come as lines of JSON, and answer each with a line."""
    waiting = b""
    while True:
        data = os.read(0, _PIPE)
        if not data:
            return
        waiting += data
        if waiting.endswith(b"\n"):
            answer = _run(json.loads(waiting.decode("utf-8")))
            waiting = b""
            _write(1, json.dumps(answer).encode("ascii") + b"\n")


def _run(job: dict[str, t.Any]) -> dict[str, t.Any]:
    try:
        process = _start(job["argv"], subprocess.PIPE, job["env"], job["cwd"])
    except OSError as exc:
        return {"missing": _why(job["argv"][0], job["cwd"], exc)}
    kept = {one.fileno(): b"" for one in (process.stdout, process.stderr) if one}

    def keep(number: int, data: bytes) -> None:
        kept[number] = (kept[number] + data)[-KEPT:]

    in_time = _follow(process, list(kept), keep, time.monotonic() + job["timeout"], lifeline=True)
    _end(process)
    out, err = (data.decode("utf-8", "replace") for data in kept.values())
    return {"rc": process.returncode, "late": not in_time, "out": out, "err": err}


def run_one(argv: list[str]) -> int:
    """Run one command, write the end of what it says to the standard output, a file, and return how it ended.

    It needs no other process: systemd limits its time.
    """
    size = 0
    end = b""

    def keep(_number: int, data: bytes) -> None:
        nonlocal size, end
        end = (end + data)[-KEPT:]
        if size + len(data) > 2 * KEPT:
            os.ftruncate(1, 0)
            size, data = 0, end
        _write(1, data)
        size += len(data)

    try:
        process = _start(argv, subprocess.STDOUT, None, None)
    except OSError as exc:
        keep(0, _why(argv[0], None, exc).encode("utf-8", "replace"))
        return 127

    def pass_on(number: int, _frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)

    # systemd tells this process alone, and kills all others when it has ended.
    signal.signal(signal.SIGTERM, pass_on)
    _follow(process, [process.stdout.fileno()] if process.stdout else [], keep, None, lifeline=False)
    return process.returncode


def _why(program: str, cwd: str | None, exc: OSError) -> str:
    """Return why a program cannot be started; the kernel names the script when it misses the interpreter."""
    path = os.path.join(cwd or ".", program)
    if not isinstance(exc, FileNotFoundError):
        return f"'{program}' cannot be started: {exc.strerror}"
    if not os.path.isfile(path):
        return f"'{program}' was not found"
    with open(path, "rb") as stream:
        first = stream.readline(_FIRST_LINE).rstrip(b"\n")
    if first.endswith(b"\r"):
        return (
            f"'{program}' has the line ends of Windows, so that its first line names an interpreter that is nowhere: "
            "save it with those of Unix (with git: '* text=auto eol=lf' in .gitattributes)"
        )
    line = first.decode("utf-8", "replace")
    return f"'{program}' names an interpreter in its first line that is not on this host: {line!a}"


def _start(argv: list[str], errors: int, env: dict[str, str] | None, cwd: str | None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # pylint: disable=ansible-bad-function
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        env=env,
        cwd=cwd,
        start_new_session=True,
    )


def _follow(
    process: subprocess.Popen[bytes],
    outputs: list[int],
    keep: t.Callable[[int, bytes], None],
    deadline: float | None,
    lifeline: bool,
) -> bool:
    """Read what a process says until it ends; return whether it did in time. What it has started is not waited for."""
    poller = select.poll()
    for number in outputs:
        os.set_blocking(number, False)
        poller.register(number, select.POLLIN)
    if lifeline:
        # No event is asked for: that it is closed is always told.
        poller.register(0, 0)
    with _ends() as end:
        poller.register(end, select.POLLIN)
        in_time = _wait(process, poller, end, keep, deadline)
    # What a process that has ended said last is there already; what it has started may go on for ever.
    for number in outputs:
        for _time in range(2 * KEPT // _PIPE):
            if not _read(number, keep):
                break
    return in_time


@contextlib.contextmanager
def _ends() -> t.Iterator[int]:
    """Give what can be read as soon as a child has ended."""
    end, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(wake)
    try:
        yield end
    finally:
        signal.set_wakeup_fd(-1)
        os.close(end)
        os.close(wake)


def _wait(
    process: subprocess.Popen[bytes],
    poller: select.poll,
    end: int,
    keep: t.Callable[[int, bytes], None],
    deadline: float | None,
) -> bool:
    while process.poll() is None:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            return False
        for number, _event in poller.poll(None if left is None else left * 1000):
            if number == 0:
                # The process that asked for it is gone, and systemd ends the rest.
                os._exit(1)
            if number == end:
                os.read(end, _PIPE)
            elif _read(number, keep) == 0:
                poller.unregister(number)
    return True


def _read(number: int, keep: t.Callable[[int, bytes], None]) -> int | None:
    """Read what is there; return how much it was, 0 at the end and None when there is nothing yet."""
    try:
        data = os.read(number, _PIPE)
    except BlockingIOError:
        return None
    if data:
        keep(number, data)
    return len(data)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of a process and its group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()


def _write(number: int, data: bytes) -> None:
    while data:
        data = data[os.write(number, data) :]


def _leave(code: int) -> t.NoReturn:
    """End as the command has ended."""
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    if sys.argv[1:]:
        _leave(run_one(sys.argv[1:]))
    serve()
