# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links by which nginx finds files of a virtualenv with any version of Python. Private to flaskops.stack."""

from __future__ import annotations

import csv
import io
import os
import typing as t
from contextlib import suppress

from .._release.distributions import normalised
from .._release.model import Layout
from .._release.release import list_releases
from .._release.shared_files import PACKAGES, SITE_PACKAGES, package_link
from .._system.files import replace_link
from .._system.planted import find_below, open_directory, read_at
from .venv import BuildError

Directories = t.Sequence[t.Tuple[str, str]]


def link_served(path: str, directories: Directories) -> None:
    """Make the links of the release C(path); raise BuildError for a directory that its virtualenv lacks."""
    packages = site_packages(path)
    for name, directory in directories:
        place = package_link(name, directory) if name else SITE_PACKAGES
        _link(path, place, os.path.join(packages, _find(packages, name, directory) if name else ""))


def link_all(layout: Layout, release: str, directories: Directories) -> None:
    """Link those of all releases: static files are no part of one, and a rollback leads to a release from before."""
    link_served(layout.release(release), directories)
    for manifest in list_releases(layout):
        for one in directories:
            # An earlier release may have been without the package.
            with suppress(BuildError):
                link_served(layout.release(manifest.id), [one])


def site_packages(path: str) -> str:
    """Return the directory with the packages of the release C(path)."""
    for _directory, _name, found in find_below(os.path.join(path, "venv"), "lib/python3*/site-packages"):
        return found
    raise BuildError(f"{path}/venv has no packages, and nginx is to serve files of some: build the release again")


def _link(path: str, place: str, directory: str) -> None:
    link = os.path.join(path, place)
    target = os.path.relpath(directory, os.path.dirname(link))
    with suppress(OSError):
        if os.readlink(link) == target:
            return
    if place.startswith(f"{PACKAGES}/"):
        os.makedirs(os.path.dirname(link), mode=0o755, exist_ok=True)
    replace_link(target, link)


def _find(packages: str, name: str, directory: str) -> str:
    """Return the directory of a distribution, below the packages, which has no link on the way."""
    files = files_of(packages, name)
    if files is None:
        raise BuildError(
            f"nginx.static: package '{name}' is not in the virtualenv: correct the name, which is that of the "
            "distribution, or add it to packages"
        )
    ending = f"/{directory}/"
    found = {place[: place.index(ending)].lstrip("/") for place in (f"/{file}" for file in files) if ending in place}
    inside = [place for place in found if ".." not in place.split("/")]
    fewest = min((place.count("/") for place in inside), default=0)
    tops = sorted(place for place in inside if place.count("/") == fewest)
    if len(tops) > 1:
        raise BuildError(
            f"nginx.static: package '{name}' has several directories '{directory}', in {', '.join(tops)}: set path to "
            f"one of them, such as '{tops[0]}/{directory}'"
        )
    place = os.path.join(*tops, directory)
    with suppress(OSError):
        if tops:
            os.close(open_directory(packages, place))
            return place
    raise BuildError(
        f"nginx.static: package '{name}' has no directory '{directory}': set path to the one with its static files"
    )


def files_of(packages: str, name: str) -> list[str] | None:
    """Return the files of a distribution, as its installer has recorded them; None when it is not installed."""
    for directory, found, path in find_below(packages, "*.dist-info"):
        if normalised(found[: -len(".dist-info")].rpartition("-")[0]) == normalised(name):
            inner = os.open(found, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
            try:
                record = read_at(inner, "RECORD", f"{path}/RECORD").decode("utf-8", "replace")
            except FileNotFoundError:
                return []
            finally:
                os.close(inner)
            return _paths_in(record)
    return None


def _paths_in(record: str) -> list[str]:
    """Return the paths in a RECORD; those before a damage, which a package may have made."""
    found: list[str] = []
    with suppress(csv.Error):
        found.extend(row[0] for row in csv.reader(io.StringIO(record, newline="")) if row)
    return found
