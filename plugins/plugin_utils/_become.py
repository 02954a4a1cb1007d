# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say why a task did not get root's rights, and the way out. Pure. Private to flaskops.stack."""

from __future__ import annotations

import re

# How shells say that there is no program for become; zsh has the name at the end.
_PROGRAM = "(sudo|doas|dzdo|pbrun|pfexec|ksu|run0)"
_MISSING = re.compile(rf"\b{_PROGRAM}: (?:command )?not found|command not found: {_PROGRAM}\b")
# How sudo(8), doas(1) and Ansible say that the user may not, or not without a password.
_REFUSED = re.compile(
    r"sudo: (?:a password is required|a terminal is required|no password was provided)|is not in the sudoers file"
    r"|is not allowed to (?:execute|run sudo)|may not run sudo|incorrect password attempt"
    r"|(?:Missing|Incorrect) (?:sudo|su|doas) password|doas: (?:Operation not permitted|a tty is required)"
)


def explain_missing(said: str) -> str:
    """Return the way out where the host lacks the program of become; an empty text where it does not."""
    found = _MISSING.search(said)
    if not found:
        return ""
    return (
        f"the host has no program '{found[1] or found[2]}', with which 'become: true' gets root's rights: install it "
        "there as root, connect as root (ansible_user: root), or set ansible_become_method: su, with root's password "
        "in ansible_become_password"
    )


def explain_refused(said: str) -> str:
    """Return the way out where the user of the connection may not become root; an empty text where he may."""
    found = _REFUSED.search(said)
    if not found:
        return ""
    return (
        f"the user of the connection gets no rights of root ({found[0]}): give the password with -K "
        "(--ask-become-pass), let the user become root without one, or connect as root (ansible_user: root)"
    )
