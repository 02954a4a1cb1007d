# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exit codes of systemd's own are told in words."""

from __future__ import annotations

import re

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.health import find_service_fault
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.hook_run import _failure
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.unhealthy import explain_unhealthy
from ansible_collections.flaskops.stack.plugins.module_utils._system.command import Result
from ansible_collections.flaskops.stack.plugins.module_utils._system.exit_codes import explain_exit

SANDBOX = "226 (NAMESPACE: systemd could not set up its sandbox; switch off in gunicorn.sandbox"
STATE = {"ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": "226"}


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (226, re.escape(SANDBOX)),
        ("203", r"203 \(EXEC: systemd could not execute its program; look whether that and its interpreter exist"),
        ("200", r"200 \(CHDIR: systemd could not enter its working directory"),
        ("217", r"217 \(USER: systemd could not become its user or group; look at user and group"),
        ("205", r"205 \(LIMITS: .*gunicorn.open_files"),
    ],
)
def test_a_code_of_systemd_names_what_failed_and_where_to_look(code: object, says: str) -> None:
    assert re.match(says, explain_exit(code))


@pytest.mark.parametrize("code", ["0", 1, "127", "199", "246", "255", "?", "KILL", None, "", "9" * 5000])
def test_a_code_of_the_program_stays_a_number(code: object) -> None:
    assert explain_exit(code) == str(code)


def test_a_hook_that_systemd_could_not_start_says_so() -> None:
    said = "Finished with result: exit-code\nMain processes terminated with: code=exited, status=226/NAMESPACE\n"
    assert _failure(Result(("systemd-run",), 226, "", said), 60).startswith(f"failed with exit code {SANDBOX}")


def test_a_service_that_systemd_could_not_start_says_so() -> None:
    assert f"ended (exit-code, exit status {SANDBOX}" in find_service_fault("shop@a.service", STATE, "")
    assert explain_unhealthy(STATE, 0).startswith(f"ended (exit-code, exit status {SANDBOX}")
