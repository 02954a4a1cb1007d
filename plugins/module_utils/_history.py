# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was activated when: one line of JSON each. Private to flaskops.stack."""

from __future__ import annotations

import json
import os
import typing as t

from ._files import read_file, sweep, write_file

# Years of several deploys a week, and a file that is rewritten in no time.
_KEPT = 500
DIRECTORY = "/var/lib/flaskops"


def history_path(name: str) -> str:
    """Return the file with the activations of an application."""
    return os.path.join(DIRECTORY, name, "history.jsonl")


def parse_history(text: str) -> list[dict[str, t.Any]]:
    """Return the activations, oldest first; a line that cannot be read is left out."""
    entries = []
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            entries.append(entry)
    return entries


def read_history(name: str) -> list[dict[str, t.Any]]:
    """Return the activations of an application, oldest first."""
    return parse_history((read_file(history_path(name)) or b"").decode("utf-8", "replace"))


def activation_times(entries: t.Iterable[t.Mapping[str, t.Any]]) -> dict[str, str]:
    """Return when each release was activated last, by its id."""
    return {str(entry["release"]): str(entry["when"]) for entry in entries if entry.get("result") == "activated"}


def failed_releases(entries: t.Iterable[t.Mapping[str, t.Any]]) -> set[str]:
    """Return the ids of the releases whose last activation was refused."""
    last = {str(entry["release"]): entry.get("result") for entry in entries if "release" in entry}
    return {release for release, result in last.items() if result == "failed"}


def record(name: str, entry: t.Mapping[str, object]) -> None:
    """Append an activation."""
    path = history_path(name)
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    sweep(os.path.dirname(path))
    entries = [*read_history(name), entry][-_KEPT:]
    write_file(path, "".join(json.dumps(line, sort_keys=True) + "\n" for line in entries).encode())


def forget(name: str) -> None:
    """Remove the record of an application that is gone."""
    path = history_path(name)
    if os.path.exists(path):
        os.unlink(path)
    sweep(os.path.dirname(path))
    if os.path.isdir(os.path.dirname(path)) and not os.listdir(os.path.dirname(path)):
        os.rmdir(os.path.dirname(path))
