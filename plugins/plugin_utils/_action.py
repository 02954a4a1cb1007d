# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of the collection's action plugins. Private to flaskops.stack.

It is what each of them imports first: from then on Python keeps the compiled code of the collection, beside it in
C(__pycache__), as of any other package. Ansible keeps that of action plugins alone, and compiled all that they import
anew in each run, for a tenth of a second.
"""

from __future__ import annotations

import os
import sys
import typing as t
from importlib.util import spec_from_file_location

from ansible.plugins.action import ActionBase
from ansible.utils.collection_loader._collection_finder import _AnsibleCollectionFinder

if t.TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

_PLUGINS = __name__.rpartition(".plugin_utils.")[0] + "."


class KeepCompiled:
    """Finds the modules of the collection, before Ansible does; packages, and what is not there, are left to it."""

    @staticmethod
    def find_spec(name: str, path: t.Iterable[str] | None = None, _target: object = None) -> ModuleSpec | None:
        """Return how Python itself loads a module, as it is asked for by C(import)."""
        if not name.startswith(_PLUGINS):
            return None
        files = (os.path.join(directory, name.rpartition(".")[2] + ".py") for directory in path or ())
        found = next(filter(os.path.isfile, files), None)
        return spec_from_file_location(name, found) if found else None


def _keep() -> None:
    """Have Python ask here just before it asks Ansible; what others have put before that stays the first."""
    places = [number for number, finder in enumerate(sys.meta_path) if isinstance(finder, _AnsibleCollectionFinder)]
    if places and KeepCompiled not in sys.meta_path:
        sys.meta_path.insert(places[0], KeepCompiled)


_keep()


# mypy does not see the types of ActionBase and takes it for Any.
class Action(ActionBase):  # type: ignore[misc]
    """An action plugin."""
