# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs inside a fence is a program of its own: it is run as one, by a pipe, without a unit."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._system import fence_inside

PROGRAM = [sys.executable, fence_inside.__file__]
Answer = t.Dict[str, t.Any]


def answers(*jobs: t.Sequence[str], timeout: float = 20) -> list[Answer]:
    """Return what the program answers to some commands, one after the other."""
    process = subprocess.Popen(PROGRAM, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin and process.stdout
    found = []
    with process:
        for argv in jobs:
            job = {"argv": argv, "env": {"PATH": "/usr/bin:/bin", "SECRET": "s"}, "cwd": "/", "timeout": timeout}
            process.stdin.write(json.dumps(job).encode() + b"\n")
            process.stdin.flush()
            found.append(json.loads(process.stdout.readline()))
        process.stdin.close()
        assert process.wait(20) == 0
    return found


def test_commands_are_run_one_after_the_other_with_the_environment_that_they_are_given() -> None:
    first, second = answers(["sh", "-c", "echo $SECRET$HOME; echo two >&2; exit 3"], ["true"])
    assert first == {"rc": 3, "late": False, "out": "s\n", "err": "two\n"}
    assert second["rc"] == 0


def test_a_program_that_is_not_there_is_named_and_the_next_command_runs() -> None:
    missing, after = answers(["/no/such/program"], ["true"])
    assert missing == {"missing": "'/no/such/program' was not found"}
    assert after["rc"] == 0


def test_a_command_that_takes_too_long_is_ended_with_what_it_has_started() -> None:
    (late,) = answers(["sh", "-c", "echo begun; sleep 60 & sleep 60"], timeout=0.3)
    assert (late["late"], late["out"], late["rc"]) == (True, "begun\n", -9)


def test_only_the_end_of_a_long_output_is_kept() -> None:
    (told,) = answers([sys.executable, "-c", "print('x' * 300000 + 'end')"])
    assert len(told["out"]) == fence_inside.KEPT and told["out"].endswith("xend\n")


@pytest.mark.parametrize(("script", "status"), [("exit 7", 7), ("kill -TERM $$", -15), ("true", 0)])
def test_a_single_command_ends_the_program_as_it_ended_itself(script: str, status: int) -> None:
    done = subprocess.run([*PROGRAM, "sh", "-c", f"echo said; {script}"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (status, "said\n")
