# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command and keep what it said. Private to flaskops.stack."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import typing as t
from contextlib import contextmanager
from dataclasses import dataclass

# What systemd gives to a service that asks for nothing (systemd.exec(5)).
_BARE = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG": "C.UTF-8"}

# Seconds for the end of the output of what was killed.
_LAST_WORDS = 1.0


class CommandError(RuntimeError):
    """A command that failed, was not found or did not end in time."""


@dataclass(frozen=True)
class Result:
    """What a command that ended has said."""

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
    own, which is killed as a whole at the timeout.
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
    """Return what a process has said when it has ended; raise CommandError when it does not."""
    try:
        out, err = process.communicate(stdin, timeout=timeout)
    except subprocess.TimeoutExpired as exc:
        out, err = _end(process)
        said = Result(tuple(argv), -1, out, err).tail()
        raise CommandError(f"'{' '.join(argv)}' did not end within {timeout:g} s; it said last: {said}") from exc
    return Result(tuple(argv), process.returncode, out, err)


def _end(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Kill a command with its process group, and return what it has said.

    What has left the group may hold its output open for as long as it lives: nobody waits for that.
    """
    os.killpg(process.pid, signal.SIGKILL)
    try:
        return process.communicate(timeout=_LAST_WORDS)
    except subprocess.TimeoutExpired as exc:
        for pipe in (process.stdout, process.stderr):
            if pipe:
                pipe.close()
        process.wait()
        return _text(exc.stdout), _text(exc.stderr)


def _text(said: object) -> str:
    # Of what was read until now Python makes no text.
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said or "")


def _as_user(argv: t.Sequence[str], user: str | None) -> tuple[list[str], dict[str, t.Any]]:
    """Return the command, and what Popen needs to run it with the rights of C(user), without a session of PAM's.

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
def running(
    argv: t.Sequence[str],
    timeout: float = 60,
    env: t.Mapping[str, str] | None = None,
    cwd: str | None = None,
    user: str | None = None,
) -> t.Iterator[None]:
    """Do what C(run) does while the block runs, and wait for its end after it; it is killed when the block fails."""
    process = _start(argv, _environment(env), cwd, user)
    try:
        yield
    except BaseException:
        _end(process)
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
    """Do what C(run) does and raise CommandError, with the end of what the command said, when it fails."""
    result = run(argv, timeout, env, cwd, user, stdin)
    if result.rc != 0:
        raise CommandError(f"'{' '.join(argv)}' failed with exit code {result.rc}: {result.tail()}")
    return result


def start_behind(argv: t.Sequence[str]) -> None:
    """Start a command that nobody waits for and that outlives this run; nothing may depend on it."""
    nothing = subprocess.DEVNULL
    subprocess.call(  # pylint: disable=ansible-bad-function
        ["setsid", "--fork", *argv], stdin=nothing, stdout=nothing, stderr=nothing, cwd="/"
    )


@contextmanager
def flushing(path: str, timeout: float = 600) -> t.Iterator[None]:
    """Bring what was written to the file system of C(path) to the disk while the block runs; it is there at its end."""
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
