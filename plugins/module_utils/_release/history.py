# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of deploys and rollbacks: one line of JSON each. Private to flaskops.stack.

An entry is written before the deploy (result C(begun)) and completed after it (C(activated) or C(failed)). The entry of
a killed run is resolved by the next run, from where C(current) points then: C(activated) or C(interrupted).
"""

from __future__ import annotations

import json
import os
import typing as t
from contextlib import suppress

from .._system.files import read_file, write_file
from .._system.paths import STATE

# Years of several deploys a week, and a file that is rewritten in no time.
_KEPT = 500
# Fields that an entry must have, and optional ones that must be texts.
_NEEDED = ("release", "when", "result")
_TEXTS = ("what", "from", "from_ill", "by", "reason", "version", "revision")

Entry = t.Mapping[str, t.Any]


def history_path(name: str) -> str:
    """Return the file with the activations of an application."""
    return os.path.join(STATE, name, "history.jsonl")


def parse_history(text: str) -> list[dict[str, t.Any]]:
    """Return the activations, oldest first; a line that cannot be read, or is no activation, is left out."""
    entries = []
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict) and _is_entry(entry):
            entries.append({key: value for key, value in entry.items() if _is_sound(key, value)})
    return entries


def _is_entry(entry: t.Mapping[str, object]) -> bool:
    """Tell whether a line names a release, and says when it was activated or begun, if it was."""
    known = entry.get("result") not in ("activated", "begun") or "when" in entry
    return known and "release" in entry and all(isinstance(entry.get(key, ""), str) for key in _NEEDED)


def _is_sound(key: str, value: object) -> bool:
    return isinstance(value, str) if key in _TEXTS else key != "seconds" or isinstance(value, (int, float))


def read_history(name: str) -> list[dict[str, t.Any]]:
    """Return the activations of an application, oldest first; none when their file cannot be read."""
    try:
        return _load(name)
    except OSError:
        return []


def _load(name: str) -> list[dict[str, t.Any]]:
    return parse_history((read_file(history_path(name)) or b"").decode("utf-8", "replace"))


def activation_times(entries: t.Iterable[Entry]) -> dict[str, str]:
    """Return when each release was activated last, by its id."""
    return {str(entry["release"]): str(entry["when"]) for entry in entries if entry.get("result") == "activated"}


def with_interrupted_resolved(entries: t.Sequence[Entry], current: str) -> list[Entry]:
    """Return the entries, with a result for interrupted ones, from where the C(current) link points."""
    begun = [entry.get("result") == "begun" for entry in entries]
    return [
        {
            **entry,
            "result": "activated" if number == len(entries) - 1 and _is_current(entry, current) else "interrupted",
        }
        if begun[number]
        else entry
        for number, entry in enumerate(entries)
    ]


def is_interrupted_rollback(entries: t.Sequence[Entry], current: str) -> bool:
    """Tell whether a rollback was killed after its switch: repeating it must not roll back twice."""
    last = entries[-1] if entries else {}
    return last.get("result") == "begun" and last.get("what") == "rollback" and _is_current(last, current)


def _is_current(entry: Entry, current: str) -> bool:
    return bool(current) and entry.get("release") == current


def complete_last(entries: t.Sequence[Entry], entry: Entry) -> list[Entry]:
    """Return the activations with the result of the one that was begun last, or with one more when none was."""
    last = entries[-1] if entries else {}
    if last.get("result") == "begun" and last.get("release") == entry.get("release"):
        return [*entries[:-1], {**entry, "when": last["when"]}]
    return [*entries, entry]


def resolve_interrupted(name: str, current: str, entry: Entry | None = None) -> None:
    """Resolve the entry of an interrupted run, and begin another entry if C(entry) is given."""
    # A history that cannot be read now must not be overwritten.
    entries = _load(name)
    wanted = with_interrupted_resolved(entries, current) + ([{**entry, "result": "begun"}] if entry else [])
    if wanted != entries:
        _write(name, wanted)


def record(name: str, entry: Entry) -> None:
    """Append an activation, or complete the one that was begun."""
    _write(name, complete_last(_load(name), entry))


def try_record(name: str, entry: Entry) -> None:
    """Append an entry; ignore a full disk."""
    with suppress(OSError):
        record(name, entry)


def _write(name: str, entries: t.Sequence[Entry]) -> None:
    path = history_path(name)
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    write_file(path, "".join(json.dumps(line, sort_keys=True) + "\n" for line in entries[-_KEPT:]).encode())


def forget(name: str) -> None:
    """Remove the record of an application that is gone."""
    path = history_path(name)
    if os.path.exists(path):
        os.unlink(path)
    if os.path.isdir(os.path.dirname(path)) and not os.listdir(os.path.dirname(path)):
        os.rmdir(os.path.dirname(path))
