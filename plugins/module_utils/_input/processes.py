# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs beside the web: workers and timers of an application, checked. Private to flaskops.stack."""

from __future__ import annotations

import re
import shlex
import typing as t

from .defaults import TIMER_DEFAULTS, WORKER_DEFAULTS
from .hooks import shell_word
from .values import APP, InputError, as_bool, as_int, as_line, as_mapping, as_quota, as_size, elements, refuse_unknown

_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,29}[a-z0-9])?")

Process = t.Dict[str, t.Any]


def normalise_workers(raw: object) -> list[Process]:
    """Return all workers, in JSON's types, checked and in the order of their names."""
    return _normalise("workers", raw, WORKER_DEFAULTS, ("name", "command"), _worker)


def normalise_timers(raw: object) -> list[Process]:
    """Return all timers, in JSON's types, checked and in the order of their names; their schedules are systemd's."""
    return _normalise("timers", raw, TIMER_DEFAULTS, ("name", "command", "schedule"), _timer)


def _normalise(
    key: str,
    raw: object,
    defaults: t.Mapping[str, object],
    required: t.Sequence[str],
    check: t.Callable[[str, t.Mapping[str, object]], Process],
) -> list[Process]:
    items = elements(raw, APP[key], key)
    found = [_one(f"{key}[{number}]", item, defaults, required, check) for number, item in enumerate(items)]
    names = [process["name"] for process in found]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{key} has the name '{name}' {names.count(name)} times: give each a name of its own")
    return sorted(found, key=lambda process: str(process["name"]))


def _one(
    key: str,
    item: object,
    defaults: t.Mapping[str, object],
    required: t.Sequence[str],
    check: t.Callable[[str, t.Mapping[str, object]], Process],
) -> Process:
    given = {name: value for name, value in as_mapping(key, item).items() if value is not None}
    refuse_unknown(key, given, {*defaults, *required})
    for name in required:
        if not given.get(name):
            raise InputError(f"{key} has no '{name}': set it")
    name = as_line(f"{key}.name", given["name"])
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{key}.name '{name}' must be 1 to 31 lower-case letters, digits or '-', start with a letter and not end "
            "with '-': it becomes part of a unit's name"
        )
    where = f"{key.partition('[')[0]} '{name}':"
    values = {**defaults, **given}
    return {"name": name, "command": command_words(where, given["command"]), **check(where, values)}


def _worker(where: str, values: t.Mapping[str, object]) -> Process:
    return {
        "count": as_int(f"{where} count", values["count"], least=1),
        "stop_timeout": as_int(f"{where} stop_timeout", values["stop_timeout"], least=1),
        "memory_max": as_size(f"{where} memory_max", values["memory_max"]),
        "cpu_quota": as_quota(f"{where} cpu_quota", values["cpu_quota"]),
    }


def _timer(where: str, values: t.Mapping[str, object]) -> Process:
    return {
        "schedule": as_line(f"{where} schedule", values["schedule"]),
        "persistent": as_bool(f"{where} persistent", values["persistent"]),
        "random_delay": as_int(f"{where} random_delay", values["random_delay"]),
        "timeout": as_int(f"{where} timeout", values["timeout"], least=1),
    }


def _split(where: str, text: str) -> list[str]:
    try:
        words = shlex.split(text)
    except ValueError as exc:
        raise InputError(f"{where} command '{text}' cannot be split into words: {exc}") from None
    shell = shell_word(text)
    if shell:
        raise InputError(
            f"{where} command '{text}' needs a shell for '{shell}', and there is none: write it as ['sh', '-c', '...']"
        )
    return words


def command_words(where: str, command: object) -> list[str]:
    """Return the words of a command: a text is split as a shell would, but nothing in it is expanded."""
    if isinstance(command, (list, tuple)):
        words = [as_line(f"{where} command", word) for word in command]
    else:
        text = as_line(f"{where} command", command)
        words = _split(where, text)
    if not words or not words[0]:
        raise InputError(f"{where} command '{command}' names no program")
    return words
