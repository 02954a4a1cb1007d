# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run commands and capture their output. Private to flaskops.stack."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import time
import typing as t
from contextlib import contextmanager, suppress
from dataclasses import dataclass

# The default environment of a systemd service (systemd.exec(5)).
_BARE = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG": "C.UTF-8"}

# A command that has ended is not waited for longer than two looks, also when its children run on: seconds between two.
_LOOK, _LOOKS = 0.5, 2


class CommandError(RuntimeError):
    """A command that failed, was not found or did not end in time."""


@dataclass(frozen=True)
class Result:
    """The result of a command that has ended."""

    argv: tuple[str, ...]
    rc: int
    out: str
    err: str

    def tail(self, lines: int = 20) -> str:
        """Return the last lines of the error output, or of the output when there is none."""
        return "\n".join((self.err.strip() or self.out.strip()).splitlines()[-lines:])


def run(
    argv: t.Sequence[str],
    timeout: float = 60,
    env: t.Mapping[str, str] | None = None,
    cwd: str | None = None,
    user: str | None = None,
    stdin: str | None = None,
    inherit: bool = True,
) -> Result:
    """Run C(argv) without a shell in the C locale; raise CommandError when it is missing or too slow.

    C(env) is added to the environment (values in argv would be in the process list); C(user) drops root's rights.
    Without C(inherit) the command sees C(env) and what systemd gives to any service. It leads a process group of its
    own, which is killed as a whole at the timeout, or when the command has ended and some of it still holds its output.
    """
    process = _start(argv, _environment(env, inherit), cwd, user, stdin is not None)
    return _await(process, argv, stdin, timeout)


def _environment(env: t.Mapping[str, str] | None, inherit: bool = True) -> dict[str, str]:
    return {**(os.environ if inherit else _BARE), "LC_ALL": "C.UTF-8", **(env or {})}


def _start(
    argv: t.Sequence[str], env: t.Mapping[str, str], cwd: str | None, user: str | None, is_told: bool = False
) -> subprocess.Popen[str]:
    command, rights = _as_user(argv, user)
    try:
        # Not AnsibleModule.run_command: pure utilities have no module.
        return subprocess.Popen(  # pylint: disable=ansible-bad-function
            command,
            stdin=subprocess.PIPE if is_told else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            cwd=cwd,
            text=True,
            errors="replace",
            start_new_session=True,
            **rights,
        )
    except FileNotFoundError as exc:
        raise CommandError(f"'{command[0]}' was not found: {exc}") from exc


def _await(process: subprocess.Popen[str], argv: t.Sequence[str], stdin: str | None, timeout: float) -> Result:
    """Wait for a process and return its result; raise CommandError when it does not end in time."""
    deadline, looks = time.monotonic() + timeout, 0
    while True:
        try:
            out, err = process.communicate(stdin, timeout=max(min(deadline - time.monotonic(), _LOOK), 0))
            return Result(tuple(argv), process.returncode, out, err)
        except subprocess.TimeoutExpired as exc:
            out, err = _text(exc.output), _text(exc.stderr)
        stdin = None
        # A background process that it started may hold its output open.
        looks += process.poll() is not None
        if looks < _LOOKS and time.monotonic() < deadline:
            continue
        _kill(process)
        result = Result(tuple(argv), process.returncode, out, err)
        if looks:
            return result
        raise CommandError(f"'{' '.join(argv)}' did not end within {timeout:g} s; it said last: {result.tail()}")


def _text(said: str | bytes | None) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else said or ""


def _kill(process: subprocess.Popen[str]) -> None:
    """Kill a process and its group; a process that has left the group may still hold its output."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            # Input that was not written yet is lost.
            with suppress(BrokenPipeError):
                stream.close()
    process.wait()


def _as_user(argv: t.Sequence[str], user: str | None) -> tuple[list[str], dict[str, t.Any]]:
    """Return the command, and the arguments of Popen that run it as C(user), without a PAM session.

    A service of systemd's has none either, and opening one takes longer than most of the commands.
    """
    if user is None:
        return list(argv), {}
    if sys.version_info < (3, 9):
        return ["runuser", "-u", user, "--", *argv], {}
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        raise CommandError(f"'{argv[0]}' cannot run as user '{user}', who does not exist on this host") from None
    if account.pw_uid == os.geteuid():
        return list(argv), {}
    groups = os.getgrouplist(user, account.pw_gid)
    return list(argv), {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": groups}


@contextmanager
def run_in_background(argv: t.Sequence[str], timeout: float, cwd: str, user: str) -> t.Iterator[None]:
    """Run a command while the block runs, with nothing of this process's environment, and wait for its end after it.

    It is killed when the block fails. What it says and how it ends is not looked at, but for its time: CommandError.
    """
    process = _start(argv, _environment(None, inherit=False), cwd, user)
    try:
        yield
    except BaseException:
        _kill(process)
        raise
    _await(process, argv, None, timeout)


def run_checked(
    argv: t.Sequence[str],
    timeout: float = 60,
    env: t.Mapping[str, str] | None = None,
    cwd: str | None = None,
    user: str | None = None,
    stdin: str | None = None,
) -> Result:
    """Run a command like C(run), and raise CommandError, with the end of its output, when it fails."""
    return _checked(run(argv, timeout, env, cwd, user, stdin))


def _checked(result: Result) -> Result:
    if result.rc != 0:
        raise CommandError(f"'{' '.join(result.argv)}' failed with exit code {result.rc}: {result.tail()}")
    return result


def spawn_detached(argv: t.Sequence[str]) -> None:
    """Start a detached command that outlives this run; its result is never known."""
    nothing = subprocess.DEVNULL
    subprocess.call(  # pylint: disable=ansible-bad-function
        ["setsid", "--fork", *argv], stdin=nothing, stdout=nothing, stderr=nothing, cwd="/"
    )


class Commands:
    """The commands of this host; tests hand in some of their own."""

    def run(self, argv: t.Sequence[str], timeout: float = 60) -> Result:
        """Run a command; raise CommandError when it is missing or too slow."""
        return run(argv, timeout)

    def run_checked(self, argv: t.Sequence[str], timeout: float = 60) -> Result:
        """Run a command, and raise CommandError, with the end of its output, when it fails."""
        return _checked(self.run(argv, timeout))

    def spawn_detached(self, argv: t.Sequence[str]) -> None:
        """Start a detached command that outlives this run; its result is never known."""
        spawn_detached(argv)


@contextmanager
def sync_filesystem(path: str, timeout: float = 600) -> t.Iterator[None]:
    """Sync the file system of C(path) while the block runs, and wait for the sync at its end."""
    command = ["sync", "--file-system", path]
    process = subprocess.Popen(  # pylint: disable=ansible-bad-function
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        yield
        err = process.communicate(timeout=timeout)[1]
    except subprocess.TimeoutExpired as exc:
        raise CommandError(f"'{' '.join(command)}' did not end within {timeout:g} s: see the disk's state") from exc
    finally:
        process.kill()
        process.wait()
    if process.returncode != 0:
        raise CommandError(f"'{' '.join(command)}' failed with exit code {process.returncode}: {err.strip()}")
