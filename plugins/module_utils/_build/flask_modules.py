# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the modules of an installed application that may make its Flask object. Private to flaskops.stack.

In a virtualenv, Flask names the instance folder after the module that creates the Flask object. C(app) may name
another module, which imports that one.
"""

from __future__ import annotations

import json
import os
import re
import typing as t
from contextlib import suppress

from .._release.distributions import distribution_of, normalised
from .._system.planted import find_below, read_below
from .served import files_of

_MAKES_OBJECT = re.compile(rb"\bFlask\(\s*(?:import_name\s*=\s*)?__name__\b")
_MODULE = re.compile(r"(?P<path>(?:[A-Za-z_]\w*/)*[A-Za-z_]\w*)\.py")
# Modules beyond these are not read.
_MOST, _LARGEST = 2000, 512 * 1024


def flask_modules(path: str, source: t.Mapping[str, str]) -> list[str]:
    """Return the modules of the distributions that are the application of the release C(path) itself."""
    venv = os.path.join(path, "venv")
    wanted = distribution_of(source.get("location", "")) if source.get("type") == "pypi" else ""
    found: set[str] = set()
    for _directory, info, place in find_below(venv, "lib/python3*/site-packages/*.dist-info"):
        name = info[: -len(".dist-info")].rpartition("-")[0]
        packages = os.path.dirname(place)
        if normalised(name) == wanted or _is_of_source(packages, info, os.path.join(path, "app")):
            # A list of files that cannot be read is not worth a failed build.
            with suppress(OSError):
                found.update(_modules(packages, files_of(packages, name) or []))
    return sorted(found)


def _is_of_source(packages: str, info: str, app: str) -> bool:
    """Tell whether a distribution was installed from the code of the release."""
    with suppress(OSError, ValueError, AttributeError, RecursionError):
        url = str(json.loads(read_below(packages, f"{info}/direct_url.json", 2**20) or b"{}").get("url"))
        return f"{url}/".startswith(f"file://{app}/")
    return False


def _modules(packages: str, files: t.Sequence[str]) -> t.Iterator[str]:
    matches = [match for file in files[:_MOST] if (match := _MODULE.fullmatch(file))]
    for match in matches:
        parts = match["path"].split("/")
        module = parts[:-1] if parts[-1] == "__init__" else parts
        if len(module) == 1 or _makes_object(packages, match.group()):
            yield ".".join(module)


def _makes_object(packages: str, file: str) -> bool:
    with suppress(OSError):
        return _MAKES_OBJECT.search(read_below(packages, file, _LARGEST) or b"") is not None
    return False
