# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of Ansible on the controller. Private to flaskops.stack."""

from __future__ import annotations

import gc
import typing as t
from importlib import import_module

from ansible.errors import AnsibleError, AnsibleValueOmittedError

_FILTERS = "ansible_collections.flaskops.stack.plugins.filter"


def freeze_gc() -> None:
    """Exclude the objects that exist now from garbage collection, in a process that ends soon.

    A task runs in a process that is a copy of the whole of Ansible, and ends with it. Putting a module together makes
    Python look through all that, several times, for a tenth of a second. So does the end of Ansible's own process.
    """
    gc.freeze()


def load_filters() -> None:
    """Load the collection's filters for all tasks that follow; for an action plugin, when it is loaded itself.

    Ansible does that before it makes a process for the task. Filters it loads in the process of each task whose
    arguments name one, where it has to compile them and all that they use: it keeps no compiled code of collections.
    """
    for name in ("derive", "flask_packages", "nginx_site_configs", "status"):
        import_module(f"{_FILTERS}.{name}")


class LateErrors:
    """An action plugin whose arguments may fail to be templated: it says itself why, in C(run).

    Ansible would put the error into others, each with an excerpt of our playbook, and the last sentence is the user's.
    """

    # Each task has a process of its own. Arguments travel to the main one, which not every error can.
    untemplated: t.ClassVar[t.List[AnsibleError]] = []

    @classmethod
    def finalize_task_arg(cls, _name: str, value: t.Any, templar: t.Any, _context: t.Any) -> t.Any:
        """Return an argument as Ansible does, or nothing and keep its error."""
        try:
            return templar.template(value)
        except AnsibleValueOmittedError:
            # How Ansible is told that an argument is not given.
            raise
        except AnsibleError as exc:
            cls.untemplated.append(exc)
            return None
