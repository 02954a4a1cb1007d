# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run nginx -t on a staged configuration. Private to flaskops.stack."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import shutil
import stat
import tempfile
import typing as t

from .._system.command import CommandError, Result
from .build_options import Build, parse_build
from .conf import Configuration, ConfigurationError
from .host import NginxHost
from .model import NginxSiteError
from .policy import NAMESPACE, NONE, SHADOW, ValidationResult
from .stage import ValidationEnvironment
from .staged_tree import StagedTree

_MARK = "flaskops: mounted"
_PREFIX = "flaskops-nginx-"
# In memory: a test of 1,000 sites takes 0.1 s there and 0.3 to 0.8 s on a disk. On a small host there is little of it.
_MEMORY = "/run"
_SPARE = 16 * 1024 * 1024
# The pairs come as arguments: nothing in a path is ever read by the shell.
_SCRIPT = (
    'n=$1; shift; while [ "$n" -gt 0 ]; do mount --rbind "$1" "$2" || exit 125; shift 2; n=$((n - 1)); done; '
    f'echo "{_MARK}" >&2; exec "$@"'
)
# Names of upstream servers are resolved by the test, one after the other.
_TIMEOUT = 120
# The last: nginx makes its table of variables in another way then, which is no fault of a site.
_NOISE = (
    "syntax is ok",
    "test is successful",
    "test failed",
    "Enter PEM pass phrase:",
    "ignoring variables_hash_bucket_size",
)


class Nginx:
    """An nginx binary and its main configuration file."""

    def __init__(self, binary: str, config: str, prefix: str = "", host: NginxHost | None = None) -> None:
        """Name them, and the directory of relative paths; the binary is asked when it is first needed."""
        self.host = host or NginxHost()
        self.binary = binary
        self.prefix = prefix
        self.config = config
        # Directives that it is started with.
        self.options = ""
        self._build: Build | None = None

    @property
    def present(self) -> bool:
        """Tell whether the binary is there."""
        return self.host.find_program(self.binary) is not None

    @property
    def build(self) -> Build:
        """Return the build options of the binary."""
        if self._build is None:
            result = self.host.run([self.binary, "-V"])
            said = result.err + result.out
            if "configure arguments:" not in said:
                raise NginxSiteError(
                    f"binary '{self.binary}' is no nginx: of 'nginx -V' it made '{said.strip()[:200]}' (exit code "
                    f"{result.rc}). Name an nginx in binary"
                )
            self._build = parse_build(said, self.prefix)
        return self._build

    def test(self, staged_tree: StagedTree) -> ValidationResult:
        """Test the whole configuration as it will be, touching nothing that nginx or anybody else reads or writes."""
        started = self.host.monotonic()
        try:
            config = staged_tree.load(self.config, self.options)
        except ConfigurationError as exc:
            return ValidationResult(False, NONE, self.host.monotonic() - started, str(exc))
        if waiting := [path for path in config.missing if _is_fifo(path)]:
            text = f"{waiting[0]} is a FIFO, for whose other end nginx would wait for ever: move it away"
            return ValidationResult(False, NONE, self.host.monotonic() - started, text, config=config)
        with _private_directory(_needed(config, staged_tree)) as directory:
            validation = self._test(ValidationEnvironment(directory, config, staged_tree, self.build))
        return validation._replace(seconds=round(self.host.monotonic() - started, 3), config=config)

    def _test(self, stage: ValidationEnvironment) -> ValidationResult:
        stage.prepare_mounts()
        command = [self.binary, *(["-p", self.prefix] if self.prefix else []), "-t"]
        reason = "unshare was not found"
        if self.host.find_program("unshare"):
            pairs = [word for pair in stage.mounts for word in pair]
            isolated = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _SCRIPT, "sh"]
            result = self._ask(
                [*isolated, str(len(stage.mounts)), *pairs, *command, *stage.arguments(), "-c", self.config]
            )
            reason, mark, said = result.err.partition(_MARK + "\n")
            if mark:
                return _parse_result(result, NAMESPACE, stage.real_names(said))
        main = stage.prepare_shadow()
        quiet = ["-e", "stderr"] if self.build.at_least(1, 19, 5) else []
        result = self._ask([self.binary, *quiet, *command[1:], *stage.arguments(stage.shadow), "-c", main])
        return _parse_result(result, SHADOW, stage.real_names(result.err), reason.strip())

    def _ask(self, argv: list[str]) -> Result:
        try:
            return self.host.run(argv, _TIMEOUT)
        except CommandError as exc:
            words = f"{self.binary} did not end its test within {_TIMEOUT} s (a name that does not resolve?)"
            raise NginxSiteError(words) from exc


def _is_fifo(path: str) -> bool:
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except OSError:
        return False


def _needed(config: Configuration, staged_tree: StagedTree) -> int:
    """Return an upper bound of the bytes that a test writes: each file for the mounts and for the shadow tree."""
    return 2 * sum(map(len, config.texts.values())) + sum(len(data or b"") for data in staged_tree.changes.values())


def staging_parent(needed: int, memory: str = _MEMORY) -> str:
    """Return the directory in which to stage: in memory where that leaves enough for the host's services."""
    try:
        room = os.statvfs(memory)
    except OSError:
        return tempfile.gettempdir()
    fits = room.f_bavail * room.f_frsize >= needed + _SPARE
    return memory if fits and os.access(memory, os.W_OK) else tempfile.gettempdir()


@contextlib.contextmanager
def _private_directory(needed: int) -> t.Iterator[str]:
    """Give a directory that is removed afterwards, or by the next run where this one is killed."""
    # Looking twice into one place does no harm.
    for place in (_MEMORY, tempfile.gettempdir()):
        for path in glob.glob(os.path.join(place, _PREFIX + "*")):
            _remove_unused(path)
    directory, descriptor = _locked_directory(staging_parent(needed))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(descriptor)


def _locked_directory(parent: str) -> tuple[str, int]:
    """Make a directory and lock it; one without a lock is removed by a run that looks at that moment."""
    while True:
        directory = tempfile.mkdtemp(prefix=_PREFIX, dir=parent)
        try:
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.path.isdir(directory):
            return directory, descriptor
        os.close(descriptor)


def _remove_unused(path: str) -> None:
    """Remove the directory of a killed run, which holds no lock any more."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        if os.fstat(descriptor).st_uid == os.geteuid():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
    except OSError:
        return
    finally:
        os.close(descriptor)


def _parse_result(result: Result, method: str, said: str, reason: str = "") -> ValidationResult:
    lines = [_plain(line) for line in said.splitlines() if line.strip() and not line.endswith(_NOISE)]
    # Without an error log of its own a line comes twice: once for the log, once for the terminal.
    lines = list(dict.fromkeys(lines))
    warnings = tuple(line.split("] ", 1)[1] for line in lines if line.startswith("[warn]"))
    return ValidationResult(result.rc == 0, method, 0.0, "\n".join(lines), warnings, reason)


def _plain(line: str) -> str:
    """Return a line of nginx without its name, time and process id."""
    start = line.find("[")
    if start == -1:
        return line.replace("nginx: ", "", 1)
    level, _bracket, text = line[start:].partition("] ")
    head, _colon, rest = text.partition(": ")
    return f"{level}] {rest if '#' in head and ' ' not in head else text}"
