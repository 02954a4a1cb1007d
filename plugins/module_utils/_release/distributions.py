# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List the distributions in a virtualenv, by the names of their metadata. Private to flaskops.stack."""

from __future__ import annotations

import re
import typing as t

from .._system.planted import find_below

# No file of a package is opened: a build may have put anything there.
_METADATA = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*?)-(?P<version>[0-9][^-]*)(?:-.*)?\.(?:dist|egg)-info")
_PACKAGES = "lib/python3*/site-packages"
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")


def installed(venv: str) -> dict[str, str]:
    """Return the versions of the distributions in a virtualenv, by their normalised names."""
    found = find_below(venv, f"{_PACKAGES}/*.dist-info", f"{_PACKAGES}/*.egg-info")
    matches = (_METADATA.fullmatch(name) for _directory, name, _path in found)
    return {normalised(match["name"]): match["version"] for match in matches if match}


def has_all(venv: str, names: t.Collection[str]) -> bool:
    """Tell whether a virtualenv has the distributions of these normalised names."""
    return not names or set(names) <= installed(venv).keys()


def normalised(name: str) -> str:
    """Return the name of a distribution as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def distribution_of(requirement: str) -> str:
    """Return the normalised name of the distribution that a requirement asks for; empty when it has none."""
    found = _REQUIREMENT.match(requirement)
    return normalised(found.group(1)) if found else ""


def version_of(source: t.Mapping[str, str], venv: str) -> str:
    """Return the version of a release: of its source, or of the installed package for a requirement."""
    if source.get("type") != "pypi":
        return source.get("version", "")
    return installed(venv).get(distribution_of(source.get("location", "")), "") or source.get("version", "")
