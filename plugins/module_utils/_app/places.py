# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put the places of a release into what an application says of it. Private to flaskops.stack."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from .._input.defaults import STAGES
from .._input.hooks import Command, Hooks
from .._input.placeholders import check_place, check_placeholders, fill
from .._release.model import Layout

if t.TYPE_CHECKING:
    from .application import App

Texts = t.Iterable[t.Tuple[str, str]]


def check_places(texts: Texts, static: Texts) -> None:
    """Raise InputError for a placeholder that does not exist, in texts or in paths of static files, by their names."""
    for where, text in texts:
        check_placeholders(where, text)
    for where, path in static:
        check_place(where, path)


def places_of(layout: Layout, release: str, python: str) -> dict[str, str]:
    """Return the places of a release with a version of Python, by the names of their placeholders."""
    path = layout.release(release)
    library = f"python{'.'.join(python.split('.')[:2])}"
    return {
        "release": path,
        "shared": layout.shared,
        "venv": f"{path}/venv",
        "site_packages": f"{path}/venv/lib/{library}/site-packages",
    }


def fill_app(app: App, places: t.Mapping[str, str]) -> App:
    """Return an application whose texts name the places of its release."""
    return replace(
        app,
        app=fill(app.app, places),
        environment={name: fill(value, places) for name, value in app.environment.items()},
        hooks=_fill_hooks(app.hooks, places),
        workers=[_fill_process(process, places) for process in app.workers],
        timers=[_fill_process(process, places) for process in app.timers],
        files=tuple(replace(file, content=fill(file.content or "", places)) for file in app.files),
    )


def _fill_hooks(hooks: Hooks, places: t.Mapping[str, str]) -> Hooks:
    def filled(commands: t.Iterable[Command]) -> tuple[Command, ...]:
        return tuple(tuple(fill(word, places) for word in words) for words in commands)

    named = {name: filled(commands) for name, commands in hooks.rollback.items()}
    stages: dict[str, t.Any] = {stage: filled(hooks.commands(stage)) for stage in STAGES}
    return replace(hooks, rollback=named, **stages)


def _fill_process(process: dict[str, t.Any], places: t.Mapping[str, str]) -> dict[str, t.Any]:
    return {**process, "command": [fill(word, places) for word in process["command"]]}
