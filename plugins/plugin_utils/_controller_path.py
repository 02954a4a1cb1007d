# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a path on the controller begins, and what can be read there. Private to flaskops.stack."""

from __future__ import annotations

import os
import stat
import typing as t

if t.TYPE_CHECKING:
    from ansible.plugins.action import ActionBase

# Reading them fails, waits for a program that writes, or does not end.
_NO_FILES: t.Mapping[int, str] = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO (named pipe)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def controller_path(action: ActionBase, path: str, variables: t.Mapping[str, t.Any]) -> str:
    """Return an absolute path; a relative one begins at the playbook, as everywhere, or else at the inventory.

    The playbooks of this collection lie where the collection is installed, and applications are not kept there.
    """
    found = os.path.realpath(str(action._loader.path_dwim(path)))
    inventory = str(variables.get("inventory_dir") or "")
    beside = os.path.realpath(os.path.join(inventory, os.path.expanduser(path))) if inventory else found
    return beside if os.path.exists(beside) and not os.path.exists(found) else found


def why_no_file(path: str) -> str:
    """Return why a path cannot be read as a file; an empty text for a regular file, and for what is not there."""
    try:
        kind = _NO_FILES.get(stat.S_IFMT(os.stat(path).st_mode), "")
    except OSError:
        # The error of the attempt to read it has the reason.
        return ""
    return f"{path} is {kind}, not a file: name a regular file" if kind else ""
