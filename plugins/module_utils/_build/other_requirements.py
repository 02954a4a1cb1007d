# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the file of requirements that has a module which is missing. Private to flaskops.stack."""

from __future__ import annotations

import os
import re
import typing as t
from contextlib import suppress

from .._app.projects import is_requirements_file
from .._app.requirements import decode, lines_of
from .._release.distributions import distribution_of, installed, normalised
from .._system.planted import read_below
from .fetch import package_files

_MODULE = re.compile(r"^ModuleNotFoundError: No module named '(?P<top>\w+)[\w.]*'$", re.MULTILINE)
# Files for others than the application are named only when they have the module.
_FOR_OTHERS = re.compile(r"dev|test|doc|lint|ci\b|build", re.IGNORECASE)
# What the name of a distribution often has before or after the name of its module.
_AROUND = re.compile(r"^(?:python|py)-?|-(?:python|py|binary)$|\d+$")
_NAMED, _LARGEST = 3, 2**20


def explain_other_requirements(said: str, path: str, own: str) -> str:
    """Return which file of the release C(path) names the module that C(said) misses; an empty text when none does.

    C(own) is the top module of the application, which no file brings.
    """
    found = _MODULE.findall(said)
    if not found or found[-1] == own:
        return ""
    wanted, missing = normalised(found[-1]), _missing_lines(path)
    for name, lines in missing:
        exact = [one for one in lines if _is_of(wanted, one)]
        if exact:
            return _explain(name, exact)
    for name, lines in missing:
        # A requirement with a condition may rightly not be installed.
        likely = [one for one, line in lines.items() if ";" not in line]
        if likely and not _FOR_OTHERS.search(name):
            return _explain(name, likely)
    return ""


def _explain(name: str, missing: list[str]) -> str:
    more = " and more" if len(missing) > _NAMED else ""
    return (
        f"{name} ({', '.join(missing[:_NAMED])}{more}) of the source has packages that are not installed: when the "
        "module is one of those, list it in requirements, beside the file that is installed"
    )


def _missing_lines(path: str) -> list[tuple[str, dict[str, str]]]:
    """Return the files, each with the distributions that it names and the virtualenv lacks, and their lines."""
    present = installed(os.path.join(path, "venv"))
    found = [(name, _missing(path, name, present)) for name in _files(path)]
    return [(name, lines) for name, lines in found if lines]


def _files(path: str) -> list[str]:
    with suppress(OSError):
        return sorted(filter(is_requirements_file, package_files(os.path.join(path, "app"))))
    return []


def _missing(path: str, name: str, present: t.Container[str]) -> dict[str, str]:
    text = ""
    with suppress(OSError):
        text = decode(read_below(os.path.join(path, "app"), name, _LARGEST) or b"")
    named = {distribution_of(line.text): line.text for line in lines_of(text)}
    return {one: line for one, line in named.items() if one and one not in present}


def _is_of(module: str, distribution: str) -> bool:
    """Tell whether a distribution may have a module, by their names."""
    return module in (distribution, _AROUND.sub("", distribution), f"py{distribution}")
