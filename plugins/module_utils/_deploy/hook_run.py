# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the hooks of a release as its service runs: same user, environment and sandbox. Private to flaskops.stack."""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass

from .._build.hook_programs import find_program
from .._build.secret_values import redact_secrets, release_environment
from .._input.hooks import Command, HookError, Hooks, explain_hook_failure, hook_environment, parse_hooks, show_command
from .._input.values import InputError
from .._release.model import Layout, Manifest
from .._release.way_out import place_of_release, with_ways_out
from .._service.units import process_lines
from .._system.command import Result
from .._system.exit_codes import explain_exit
from .._system.fence import hook_unit, inside, transient
from .._system.files import remove_file, write_file
from .._system.homes import uses_home
from .._system.host import Host
from .._system.paths import HOOK_LOGS
from .observe import wait_until_stopped

# The log is readable by root alone: the output of a command may be secret.
# Bytes of a command's output that are read, and characters that are kept: before the cut, which may leave half of a
# secret, all are masked.
_READ, _KEPT = 65536, 8192
_RESULT = re.compile(r"Finished with result: (\S+)")
_STATUS = re.compile(r"status=(\S+)")
# Seconds to clean up after the timeout.
_GRACE = 10


@dataclass(frozen=True)
class HookResult:
    """The result of a hook that succeeded."""

    hook: str
    command: str
    seconds: float
    output: str


def hooks_of(manifest: Manifest | None) -> Hooks:
    """Return the hooks of a release; raise HookError when its manifest has something else."""
    try:
        return parse_hooks(manifest.extra.get("hooks") or {}) if manifest else Hooks()
    except InputError as exc:
        raise HookError(str(exc)) from None


def run_hooks(host: Host, stage: str, layout: Layout, manifest: Manifest, previous: str = "") -> list[HookResult]:
    """Run all commands of a stage, one after the other; raise HookError, with the end of its output, when one fails."""
    hooks = hooks_of(manifest)
    commands = hooks.commands(stage)
    if commands:
        _wait_for_earlier_hook(host, layout, hooks.timeout)
    return [_run_one(host, stage, words, layout, manifest, hooks.timeout, previous) for words in commands]


def _wait_for_earlier_hook(host: Host, layout: Layout, timeout: int) -> None:
    """Wait for a hook of a killed run: two hooks must not run at once."""
    if wait_until_stopped(host, [hook_unit(layout.name)], timeout + _GRACE):
        raise HookError(
            f"a hook of an earlier run is still running, as {hook_unit(layout.name)}: "
            f"see 'systemctl status {hook_unit(layout.name)}' and stop it, or wait for its end"
        )


def _run_one(
    host: Host, stage: str, words: Command, layout: Layout, manifest: Manifest, timeout: int, previous: str
) -> HookResult:
    release = layout.release(manifest.id)
    program = find_program(stage, words, release)
    log = os.path.join(HOOK_LOGS, f"{layout.name}.log")
    os.makedirs(HOOK_LOGS, mode=0o700, exist_ok=True)
    write_file(log, b"", 0o600, sync=False)
    began = host.clock.monotonic()
    try:
        result = _systemd_run(host, [program, *words[1:]], layout, manifest, timeout, previous, log)
        output = redact_secrets(_tail(log).replace(release, "<release>"), release, manifest)[-_KEPT:]
    finally:
        remove_file(log, sync=False)
    reason = _failure(result, timeout)
    if reason:
        said = redact_secrets(explain_hook_failure(stage, words, reason, output), release, manifest)
        raise HookError(with_ways_out(said, place_of_release(layout, manifest)))
    command = redact_secrets(show_command(words), release, manifest)
    return HookResult(stage, command, round(host.clock.monotonic() - began, 3), output)


def _systemd_run(
    host: Host,
    words: t.Sequence[str],
    layout: Layout,
    manifest: Manifest,
    timeout: int,
    previous: str,
    log: str,
) -> Result:
    release = layout.release(manifest.id)
    known = release_environment(release)
    more = hook_environment(release, manifest.app, known, previous)
    lines = [
        *map(transient, process_lines(layout, manifest, uses_home(f"{release}/app", f"{release}/venv"))),
        *(f"Environment={_quote(f'{name}={value}')}" for name, value in more.items()),
        f"RuntimeMaxSec={timeout}",
        f"TimeoutStopSec={_GRACE}",
        # Processes that it leaves behind are not waited for.
        "KillMode=mixed",
        # To a file, and not to a pipe: the hook has to survive the end of this process.
        f"StandardOutput=append:{log}",
        "StandardError=inherit",
    ]
    argv = ["systemd-run", f"--unit={hook_unit(layout.name)}", "--wait", "--collect", "--service-type=exec"]
    argv.append(f"--description=Hook of {layout.name}: {show_command(words)}")
    options = [f"--property={line}" for line in lines]
    # The wrapper that keeps the end of the output ends with the command; the module may be gone by then.
    command = inside(f"{release}/venv/bin/python", *words)
    # systemd would expand variables.
    command = [word.replace("$", "$$") for word in command]
    return host.commands.run([*argv, *options, "--", *command], timeout + 2 * _GRACE)


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _tail(log: str) -> str:
    with open(log, "rb") as stream:
        stream.seek(max(os.fstat(stream.fileno()).st_size - _READ, 0))
        return stream.read(_READ).decode("utf-8", "replace")


def _failure(result: Result, timeout: int) -> str:
    """Return why a command has failed, or an empty text; C(result) is that of systemd-run(1)."""
    if result.rc == 0:
        return ""
    found = _RESULT.search(result.err)
    if not found:
        return f"could not be started: {result.tail(3)}"
    if found.group(1) == "timeout":
        return f"did not end within {timeout} s (hooks.timeout)"
    status = _STATUS.search(result.err)
    if found.group(1) == "exit-code" and status:
        # systemd adds a name to any number, such as that of a signal.
        return f"failed with exit code {explain_exit(status.group(1).split('/')[0])}"
    return f"was ended ({found.group(1)}{f', {status.group(1)}' if status else ''})"
