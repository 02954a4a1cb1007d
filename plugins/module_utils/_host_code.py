# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep the code of a module on the host, and find it there. Private to flaskops.stack.

Ansible puts a module and all that it imports together anew in each run, and the host compiles it anew: for the modules
that deploy, 0.3 s of each task. So they consist of their interface alone. What they do is sent once for each version
of the collection and stays on the host, as a package that is named by its content.
"""

from __future__ import annotations

import gc
import hashlib
import importlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import typing as t
from contextlib import suppress

ROOT = "/usr/local/lib/flaskops/code"
PACKAGE = "flaskops_code"
# What the controller says of it to a module; doc_fragments/_host_code.py documents that.
CODE_SPEC: dict[str, dict[str, str]] = {
    "code": {"type": "str", "default": ""},
    "code_archive": {"type": "path", "default": ""},
}
# Runs of other versions of the collection may be at work with theirs.
_UNUSED_SECONDS = 7 * 24 * 3600
_TEMPORARY = ".flaskops-"
# A run that is at work with one needs seconds; with a slow disk, ten minutes.
_ABANDONED_SECONDS = 1800


# New objects after which Python looks for garbage: more than a task makes while it reads its code.
_GARBAGE = 100_000

# The directories of nginx and useradd. su(1) may keep the PATH of the calling user, and sudo(8) sets its secure_path.
_SYSTEM_PROGRAMS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
# What helps a task that has not the rights that it needs.
WITHOUT_ROOT = (
    "the task runs without root's rights: set 'become: true' on the play, and no become_user but root "
    "(or connect as root)"
)

# What importing code raises of which files were removed or emptied.
DAMAGE = (AttributeError, ImportError, SyntaxError)

Task = t.Callable[[t.Mapping[str, t.Any], bool, bool], t.Dict[str, t.Any]]


class HostCodeError(ValueError):
    """Code that is not what the controller meant."""


class MaskedLog:
    """For a class of AnsibleModule: keep all secrets out of the log of the host."""

    if t.TYPE_CHECKING:
        params: dict[str, t.Any]
        no_log_values: set[str]

        def log(self, text: str) -> None:
            """Write a line to the log of the host."""

    def _log_invocation(self) -> None:
        """Log the call. Ansible masks the text of a list, in which secrets of several lines are written otherwise."""
        # Here, because the code that is kept on a host does without Ansible.
        from ansible.module_utils.common.parameters import remove_values

        self.log(f"Invoked with {remove_values(self.params, self.no_log_values)}")


def digest(files: t.Mapping[str, bytes]) -> str:
    """Return the name of code, from the names and contents of its files."""
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(f"{name} {len(files[name])}\n".encode() + files[name])
    return total.hexdigest()[:16]


def read_code(directory: str) -> dict[str, bytes]:
    """Return the files that make the package on the host, by their paths below C(directory)."""
    files = {"__init__.py": b""}
    for path, directories, names in os.walk(directory):
        directories[:] = [name for name in directories if name != "__pycache__"]
        for name in names:
            if name.endswith(".py"):
                with open(os.path.join(path, name), "rb") as stream:
                    files[os.path.relpath(os.path.join(path, name), directory)] = stream.read()
    return files


class Module(t.Protocol):
    """What is used here of Ansible's module."""

    params: dict[str, t.Any]
    check_mode: bool
    _diff: bool

    def warn(self, warning: str) -> None:
        """Show a warning."""

    def exit_json(self, **result: t.Any) -> t.NoReturn:
        """End with a result."""

    def fail_json(self, msg: str, **result: t.Any) -> t.NoReturn:
        """End with an error."""


def work(module: Module, task: str) -> t.NoReturn:
    """Do a task with the code that stays on the host, and end the module with its result."""
    params = module.params
    find_system_programs()
    try:
        code = find_code(params["code"], params["code_archive"], keep=not module.check_mode)
    except HostCodeError as exc:
        module.fail_json(msg=str(exc))
    if not code:
        module.exit_json(changed=False, code_is_missing=True)
    try:
        do = load(code, task)
    except DAMAGE:
        if params["code_archive"]:
            raise
        module.exit_json(changed=False, code_is_missing=True)
    result = do(params, module.check_mode, module._diff)
    for warning in result.pop("warnings", []):
        module.warn(warning)
    if result.get("failed"):
        module.fail_json(**{**result, "msg": with_remedy(str(result.get("msg", "")))})
    module.exit_json(**result)


def find_system_programs() -> None:
    """Have this process find the programs of the system, as Ansible's own modules do."""
    places = [place for place in (os.environ.get("PATH") or os.defpath).split(os.pathsep) if place]
    missing = [place for place in _SYSTEM_PROGRAMS if place not in places]
    if missing:
        os.environ["PATH"] = os.pathsep.join([*places, *missing])


def with_remedy(error: str) -> str:
    """Return the error of a task, and what helps where it does not run as root: few files are open to others."""
    return error if os.geteuid() == 0 or WITHOUT_ROOT in error else f"{error}\n{WITHOUT_ROOT}"


def find_code(name: str, archive: str = "", keep: bool = True) -> str:
    """Return where to import the code C(name) from, or an empty text when the controller has to send it.

    C(archive) is what it has sent, to replace code that is there and damaged, too; without C(keep) the host stays as it
    is.
    """
    if not name:
        raise HostCodeError("the code is not named: run it as a task of Ansible, whose action plugin does that")
    path = os.path.join(ROOT, name)
    if is_kept(path) and not (archive and _is_damaged(name, path)) and (not keep or note_use(path)):
        return path
    if not archive:
        return ""
    if keep:
        # A disk that is full must not keep anybody from deploying, or from going back.
        with suppress(OSError, subprocess.SubprocessError):
            return _install(name, archive, path)
    return archive


def load(path: str, task: str) -> Task:
    """Return the task of that name in the code at C(path); it returns the module's result. Damaged code is DAMAGE."""
    # The process ends with the task: no need to look through all that it has read for garbage while it reads more.
    gc.freeze()
    gc.set_threshold(_GARBAGE)
    sys.path.insert(0, path)
    return t.cast(Task, importlib.import_module(f"{PACKAGE}.{task}").run)


def note_use(path: str) -> bool:
    """Note that the code is in use, and remove what is not; return whether it is there: another run may remove it."""
    try:
        os.utime(path)
        _prune()
    except FileNotFoundError:
        return os.path.isdir(path)
    except OSError:
        # A file system that cannot be written to is no reason not to use it.
        pass
    return True


def is_kept(path: str) -> bool:
    """Tell whether the code is there, and only this user can have changed it."""
    try:
        state = os.stat(path)
    except OSError:
        return False
    return stat.S_ISDIR(state.st_mode) and state.st_uid == os.geteuid() and not state.st_mode & 0o022


def _install(name: str, archive: str, path: str) -> str:
    os.makedirs(ROOT, mode=0o755, exist_ok=True)
    temporary = tempfile.mkdtemp(prefix=_TEMPORARY, dir=ROOT)
    try:
        _unpack(name, archive, os.path.join(temporary, PACKAGE))
        os.chmod(temporary, 0o755)
        # What is there under its name has to be whole, also after a power cut.
        subprocess.run(["sync", "--file-system", temporary], check=True, timeout=600)  # pylint: disable=ansible-bad-function
        _put(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    _prune()
    return path


def _unpack(name: str, archive: str, package: str) -> None:
    # Needed once for each version of the collection.
    import zipfile

    try:
        with zipfile.ZipFile(archive) as source:
            files = {entry.partition("/")[2]: source.read(entry) for entry in source.namelist()}
    except zipfile.BadZipFile as exc:
        raise HostCodeError(f"{archive} did not arrive whole ({exc}): run it again") from exc
    if digest(files) != name:
        raise HostCodeError(f"{archive} is not the code {name} that was to be sent: run it again")
    for entry, content in files.items():
        path = os.path.normpath(os.path.join(package, entry))
        if not path.startswith(package + os.sep):
            raise HostCodeError(f"{archive} has the path {entry}, which leads out of it: it was not unpacked")
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        with open(path, "xb") as stream:
            stream.write(content)


def _is_damaged(name: str, path: str) -> bool:
    """Tell whether files of the code at C(path) were removed or changed. Reading them all takes longer than a task."""
    try:
        return digest(read_code(os.path.join(path, PACKAGE))) != name
    except OSError:
        return True


def _put(temporary: str, path: str) -> None:
    try:
        os.rename(temporary, path)
    except OSError:
        # Another run was faster, or what is there is damaged.
        if not is_kept(path):
            raise
        if _is_damaged(os.path.basename(path), path):
            _remove(path)
            os.rename(temporary, path)


def _prune() -> None:
    """Remove what no run has used for a week, and what killed ones have left."""
    for name in os.listdir(ROOT):
        other = os.path.join(ROOT, name)
        with suppress(OSError):
            age = time.time() - os.stat(other).st_mtime
            if name.startswith(_TEMPORARY):
                if age > _ABANDONED_SECONDS:
                    shutil.rmtree(other)
            elif age > _UNUSED_SECONDS:
                _remove(other)


def _remove(path: str) -> None:
    # What is there under its name has to be whole, also when this run is killed now.
    gone = tempfile.mkdtemp(prefix=_TEMPORARY, dir=ROOT)
    os.rename(path, gone)
    shutil.rmtree(gone)
