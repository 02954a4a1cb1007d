# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the directives that nginx gets on its command line with C(-g). Private to flaskops.stack.

Neither the title of nginx's process nor C(systemctl show) keeps the quotes, but a directive ends with a mark.
"""

from __future__ import annotations

import re

_GIVEN = re.compile(r"(?:^|\s)-g\s*(.*?[;}])(?=\s+-[?hvVtTqspecg]|\s*$)", re.DOTALL)
# What systemctl(1) shows of a command.
_COMMAND = re.compile(r"\bargv\[\]=(.*?) ; ignore_errors=", re.DOTALL)


def global_directives(command: str) -> str:
    """Return the directives in a command line whose words are joined by blanks; nginx takes the last C(-g)."""
    found: list[str] = _GIVEN.findall(command)
    return found[-1].strip() if found else ""


def unit_directives(exec_start: str) -> str:
    """Return the directives in a unit's C(ExecStart); none where systemd would have to put variables into them."""
    commands = _COMMAND.findall(exec_start)
    given = global_directives(commands[-1].strip()) if commands else ""
    return "" if "$" in given else given
