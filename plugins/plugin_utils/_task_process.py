# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process of a task on the controller. Private to flaskops.stack."""

from __future__ import annotations

import gc


def keep_garbage() -> None:
    """Tell Python not to look for garbage in what was there before the task.

    A task runs in a process that is a copy of the whole of Ansible, and ends with it. Putting a module together makes
    Python look through all that, several times, for a tenth of a second.
    """
    gc.freeze()
