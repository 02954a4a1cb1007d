# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the programs of hooks, in a release or on the host. Private to flaskops.stack."""

from __future__ import annotations

import os
import re

from .._input.hooks import Command, HookError, Hooks, show_command

_PLACES = ("/usr/local/bin", "/usr/bin", "/bin")
# An assignment, which a shell makes for the command that follows it.
_VARIABLE = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)


def find_program(stage: str, words: Command, release: str) -> str:
    """Return the path of a command's program; raise HookError when there is none in the release or on the host."""
    first = words[0]
    if _VARIABLE.fullmatch(first):
        raise HookError(
            f"hook {stage} '{show_command(words)}' cannot be run: it begins with a variable, which belongs into "
            "environment; or write 'env' before it, which sets it for this command alone"
        )
    if "/" in first:
        path = os.path.join(release, "app", first)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
        what = "is not executable" if os.path.isfile(path) else "does not exist"
        # The release's own directory is about to be removed.
        place = path.replace(release, "<release>")
        raise HookError(
            f"hook {stage} '{show_command(words)}' cannot be run: {place} {what}; correct hooks.{stage} or the source"
        )
    for directory in (os.path.join(release, "venv", "bin"), *_PLACES):
        path = os.path.join(directory, first)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise HookError(
        f"hook {stage} '{show_command(words)}' cannot be run: there is no program '{first}' in the virtualenv of the "
        f"release, nor in {', '.join(_PLACES)}. Correct the name in hooks.{stage}, add the package that brings it to "
        "the requirements, or to system_packages when it is one of the distribution, or write a path with a '/' for a "
        "program of the source, such as ./bin/migrate"
    )


def check_hook_programs(hooks: Hooks, release: str) -> None:
    """Raise HookError when the program of a hook that will run later does not exist."""
    for stage in hooks.stages[1:]:
        for words in hooks.commands(stage):
            find_program(stage, words, release)
