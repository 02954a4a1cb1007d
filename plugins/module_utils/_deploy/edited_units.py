# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Detect units that were edited on the host, or changed by drop-ins. Private to flaskops.stack.

A release records the texts of its units. A file that differs from them was edited by hand; a later version
of the collection writes other units, but leaves those of existing releases alone.
"""

from __future__ import annotations

import json
import os
import re
import typing as t
from contextlib import suppress

from .._release.model import Layout
from .._system.files import read_file, remove_file, write_file
from .._system.paths import UNITS

_RECORD = "units.json"
# Where systemd looks for drop-ins of a unit, beside the directory of the units.
_DROP_INS = ("/run/systemd/system", f"{UNITS}.control", "/run/systemd/system.control")


def record_units(layout: Layout, release: str, units: t.Mapping[str, str]) -> None:
    """Record the texts of a release's units before they are written; failing to do so is no error."""
    path = os.path.join(layout.release(release), _RECORD)
    data = (json.dumps(dict(units), indent=1, sort_keys=True) + "\n").encode()
    try:
        # Not synced: a record lost in a power cut only disables the comparison.
        write_file(path, data, sync=False)
    except OSError:
        with suppress(OSError):
            remove_file(path, sync=False)


def recorded_units(layout: Layout, release: str) -> dict[str, str]:
    """Return the recorded texts of a release's units, by name; empty for one that an earlier version wrote."""
    try:
        found = json.loads(read_file(os.path.join(layout.release(release), _RECORD)) or b"{}") if release else {}
    except (OSError, ValueError, RecursionError):
        return {}
    sound = isinstance(found, dict) and all(isinstance(text, str) for text in found.values())
    return dict(found) if sound else {}


def drop_ins(directory: str, app: str) -> list[str]:
    """Return the drop-ins that change units of an application."""
    form = re.compile(rf"{re.escape(app)}@.*\.(?:service|socket|timer)\.d")
    found = (
        os.path.join(place, name, file)
        for place in (directory, *_DROP_INS)
        for name in _list(place)
        if form.fullmatch(name)
        for file in _list(os.path.join(place, name))
        if file.endswith(".conf")
    )
    return sorted(found)


def edited(files: t.Mapping[str, str], recorded: t.Mapping[str, str]) -> dict[str, str]:
    """Return the recorded texts of units whose C(files) differ from them."""
    return {name: text for name, text in recorded.items() if files.get(name, text) != text}


def describe_edits(units: t.Collection[str], added: t.Sequence[str], mended: bool) -> str:
    """Return the warning about edited units and drop-ins; an empty text when there are none."""
    said = []
    if units:
        what = "was" if len(units) == 1 else "were"
        end = (
            "and is as the release has it again; what runs was not restarted, and uses the edit until it is"
            if mended
            else "and the next run of site.yml or deploy.yml writes the text of the release again"
        )
        said.append(f"{', '.join(sorted(units))} {what} edited on the host, {end}")
    if added:
        said.append(
            f"{', '.join(added)} changes units of this application beside its releases, and was left alone: set the "
            "same with the application's gunicorn settings (sandbox, memory_max, after, ...) and remove the file"
        )
    return "; ".join(said)


def _list(path: str) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []
