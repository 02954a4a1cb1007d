# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send the notices of a run when it ends. Private to flaskops.stack.

This happens in the process of ansible-playbook itself, after its last task, and never changes how the run ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t

from . import _notice_program
from ._notice import VARIABLE, bodies
from ._operator import operator, run_id

# For all notices of a run together.
_SECONDS = 5
# What a program of Python needs to start and to end, on a busy controller.
_MORE = 3


def notify(entries: t.Sequence[t.Mapping[str, t.Any]], duration: float) -> list[str]:
    """Send the notices of a run; return which could not be sent, and why."""
    hosts = [entry["host"] for entry in entries if _bad(entry)]
    problems = [f"no notice of this run is sent for {host}: its {VARIABLE} cannot be read" for host in hosts]
    about = {"run": run_id(), "by": operator(), "duration": round(duration, 3)}
    found = bodies(entries, about)
    if found:
        problems += [f"a notice of this run was not sent: {problem}" for problem in _send(found) if problem]
    return list(dict.fromkeys(problems))


def _bad(entry: t.Mapping[str, t.Any]) -> bool:
    return entry["kind"] == "notices" and bool(entry.get("unreadable"))


def _send(found: t.Sequence[tuple[str, t.Mapping[str, t.Any]]]) -> list[str]:
    """Return the problem of each notice, empty for none."""
    given = {"seconds": _SECONDS, "notices": [{"url": url, "body": body} for url, body in found]}
    # Python permits no new thread in a process that ends, and nothing else would bound the search for a name.
    command = [sys.executable, "-I", os.path.abspath(_notice_program.__file__)]
    try:
        done = subprocess.run(
            command, input=json.dumps(given), capture_output=True, check=True, text=True, timeout=_SECONDS + _MORE
        )
        return [str(problem) for problem in json.loads(done.stdout)]
    except subprocess.TimeoutExpired:
        return [f"it took more than {_SECONDS} s"]
    except (OSError, subprocess.SubprocessError, ValueError) as exc:
        # Its own text has the command, and what it was given.
        return [f"the program that sends it failed ({type(exc).__name__})"]
