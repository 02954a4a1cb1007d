# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a task with the code kept on the host, without Ansible's module wrapper. Private to flaskops.stack.

The wrapper is put together by the controller and unpacked and compiled by the host in each task: together 0.25 s, more
than most tasks need for their work.
"""

from __future__ import annotations

import json
import os
import sys
import typing as t

from ._host_code import DAMAGE, PACKAGE, Task, find_system_programs, is_kept, load, note_use

# Begins the line of a result: profiles of shells, and programs, may print lines of their own.
MARK = "flaskops-result: "
_PROGRAM = f"""
import os, sys
path, task = sys.argv[1:3]
start = None
try:
    state = os.stat(path)
    if state.st_uid == os.geteuid() and not state.st_mode & 0o022:
        sys.path.insert(0, path)
        from {PACKAGE}._host_task import start
except (ImportError, OSError, SyntaxError):
    pass
if start is None:
    sys.stdin.buffer.read()
    print()
    print("{MARK}")
else:
    start(path, task)
    sys.stdout.flush()
    os._exit(0)
"""
# The program for C(python -c); its arguments are the path of the code and the name of the task. It runs the code if it
# is there and only this user can have changed it, and prints MARK alone if not. It ends at once: taking the interpreter
# apart would take a tenth of the time that reading the code takes. Login shells read it: csh takes one line, and
# fish makes one of two backslashes.
BOOTSTRAP = f"exec({_PROGRAM!r})"
# What Ansible's modules print instead of secrets: of one that is the whole value, and of one that is part of it.
_HIDDEN, _STARS = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER", "********"


def start(path: str, task: str) -> None:
    """Run the task that the controller has put on standard input, and print its result.

    The input is an object in JSON: C(params) (checked by the controller), C(check) and C(diff) (bool), C(hidden) (list
    of texts that must not be printed, the longest first), C(log) (line for the log of the host, or an empty text), and
    C(facility) (of syslog).
    """
    given = json.loads(sys.stdin.buffer.read())
    # What is made here has to be open to the application or to nginx, also on hosts where root's own files are not.
    os.umask(0o022)
    find_system_programs()
    do = _load(path, task) if is_kept(path) and (given["check"] or note_use(path)) else None
    if not do:
        sys.stdout.write(f"\n{MARK}\n")
        return
    if given["log"]:
        _log(task, given["log"], given["facility"])
    result = do(given["params"], given["check"], given["diff"])
    # A program that is still printing must not share the line.
    sys.stdout.write(f"\n{MARK}{json.dumps(mask(result, given['hidden']))}\n")


def _load(path: str, task: str) -> Task | None:
    try:
        return load(path, task)
    except DAMAGE:
        return None


def _log(task: str, text: str, facility: str) -> None:
    """Record the call in the log of the host, under the name that Ansible gives the module."""
    import syslog

    name = task.rpartition(".")[2]
    syslog.openlog(f"ansible-flaskops.stack.{name}", 0, getattr(syslog, facility, syslog.LOG_USER))
    syslog.syslog(syslog.LOG_INFO, text)


def mask(value: t.Any, hidden: t.Sequence[str]) -> t.Any:
    """Return a result without the hidden texts: C(remove_values) of Ansible, which cannot be imported here."""
    if not hidden or value is None or isinstance(value, bool):
        return value
    if isinstance(value, t.Mapping):
        return {key: mask(content, hidden) for key, content in value.items()}
    if isinstance(value, (list, tuple)):
        return [mask(content, hidden) for content in value]
    text = str(value)
    if text in hidden or (not isinstance(value, str) and any(one in text for one in hidden)):
        return _HIDDEN
    for one in hidden:
        text = text.replace(one, _STARS)
    return text if isinstance(value, str) else value
