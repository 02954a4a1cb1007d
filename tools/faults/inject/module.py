# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules of the collection that are loaded once and run often, with the code that the host keeps for them.

As a program (python -m) it runs the module whose name is its argument with the parameters on standard input, in JSON,
and prints the result.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import typing as t
from pathlib import Path

from tools.faults.inject import injector

_PLUGINS = "ansible_collections.flaskops.stack.plugins"


class Module:
    """A module that is loaded once, and what does its work, where that is code kept on the host."""

    def __init__(self, name: str) -> None:
        """Load it."""
        self._module = injector.LoadedModule(f"{_PLUGINS}.modules.{name}")
        keeps = hasattr(sys.modules[f"{_PLUGINS}.modules.{name}"], "ARGUMENTS")
        self._more = {"code": keep_code(name)} if keeps else {}

    def run(self, params: t.Mapping[str, t.Any], strace: t.Sequence[str] = ()) -> injector.Ended:
        """Run it with parameters, under strace with these options where there are any."""
        return self._module.run({**params, **self._more}, strace)


def keep_code(module: str) -> str:
    """Keep the code as the controller would send it, load what a module needs of it, and return its name."""
    code, utils = (
        importlib.import_module(f"{_PLUGINS}.module_utils._host_code"),
        importlib.import_module(f"{_PLUGINS}.module_utils"),
    )
    source, place = Path(next(iter(utils.__path__))), Path(code.ROOT) / "test"
    place.mkdir(parents=True, exist_ok=True)
    if not (place / code.PACKAGE).is_symlink():
        (place / code.PACKAGE).symlink_to(source)
    if str(place) not in sys.path:
        sys.path.insert(0, str(place))
    for task in source.glob(f"_entrypoints/{module}*.py"):
        importlib.import_module(f"{code.PACKAGE}._entrypoints.{task.stem}")
    return place.name


def main(name: str) -> None:
    """Run a module with the parameters on standard input, print its result, and end as it did."""
    ended = Module(name).run(json.load(sys.stdin)["ANSIBLE_MODULE_ARGS"])
    print(json.dumps(ended.result), flush=True)
    if ended.rc < 0:
        os.kill(os.getpid(), -ended.rc)
    sys.exit(ended.rc)


if __name__ == "__main__":
    main(sys.argv[1])
