# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show text as it is, beside what Ansible itself prints. Private to flaskops.stack."""

from __future__ import annotations

from ansible import constants
from ansible.utils.display import Display

# Programs that read these expect JSON and nothing else on the standard output.
_MACHINES = ("json", "jsonl")


def say(text: str) -> None:
    """Show text where people read it: beside the output of a callback for programs, on the standard error."""
    machine = constants.DEFAULT_STDOUT_CALLBACK.rpartition(".")[2] in _MACHINES
    Display().display(text, stderr=machine)
