# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of Ansible on the controller. Private to flaskops.stack."""

from __future__ import annotations

import gc
from importlib import import_module

_FILTERS = "ansible_collections.flaskops.stack.plugins.filter"


def freeze_gc() -> None:
    """Tell Python not to look for garbage in what was there before the task.

    A task runs in a process that is a copy of the whole of Ansible, and ends with it. Putting a module together makes
    Python look through all that, several times, for a tenth of a second.
    """
    gc.freeze()


def load_filters() -> None:
    """Load the collection's filters for all tasks that follow; for an action plugin, when it is loaded itself.

    Ansible does that before it makes a process for the task. Filters it loads in the process of each task whose
    arguments name one, where it has to compile them and all that they use: it keeps no compiled code of collections.
    """
    for name in ("derive", "flask_packages", "nginx_site_configs", "status"):
        import_module(f"{_FILTERS}.{name}")
