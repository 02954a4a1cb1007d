# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands of the user's that belong to a release, and when they run. Private to flaskops.stack."""

from __future__ import annotations

import posixpath
import re
import shlex
import typing as t
from dataclasses import dataclass, field

from .defaults import HOOK_TIMEOUT, STAGES
from .values import COMMAND, InputError, as_bool, as_int, elements, shown

BUILD, MIGRATE, BEFORE, AFTER = STAGES
# Those that are asked for by name when a release is rolled back from.
ROLLBACK = "rollback"
_KEYS = (*STAGES, ROLLBACK, "timeout", "migrate_each_host")
_NAME = re.compile(r"[a-z][a-z0-9_-]*")

# Words that only a shell understands; a program would get them as arguments. Inside of a word these characters have
# other meanings, as in a URL, and ">=" is in requirements.
_SHELL = re.compile(r"[;&|].*|.*[;&|]|[0-9]*>(?!=).*|<")
# Escaped characters and quoted text, in which a shell sees no operators.
_QUOTED = re.compile(r"\\.|'[^']*'|" + r'"(?:\\.|[^"\\])*"', re.DOTALL)

Command = t.Tuple[str, ...]


class HookError(ValueError):
    """A hook that could not be run, or that failed."""


@dataclass(frozen=True)
class Hooks:
    """The commands of a release, by the moment at which they run."""

    build: tuple[Command, ...] = ()
    migrate: tuple[Command, ...] = ()
    before_switch: tuple[Command, ...] = ()
    after_switch: tuple[Command, ...] = ()
    rollback: t.Mapping[str, tuple[Command, ...]] = field(default_factory=dict)
    # Seconds that one command may take.
    timeout: int = HOOK_TIMEOUT
    # Whether each host migrates a database of its own.
    migrate_each_host: bool = False

    @property
    def empty(self) -> bool:
        """Tell whether there is no command."""
        return not any(self.commands(stage) for stage in self.stages)

    @property
    def stages(self) -> tuple[str, ...]:
        """Return all stages, those of a rollback as C(rollback.<name>)."""
        return (*STAGES, *map(rollback_stage, self.rollback))

    def commands(self, stage: str) -> tuple[Command, ...]:
        """Return the commands of a stage."""
        first, _dot, name = stage.partition(".")
        return self.rollback[name] if first == ROLLBACK else t.cast("tuple[Command, ...]", getattr(self, stage))

    def to_json(self) -> dict[str, object]:
        """Return it in JSON's types; nothing when there is no command, so that nothing depends on it then."""
        if self.empty:
            return {}
        stages: dict[str, object] = {stage: [list(words) for words in self.commands(stage)] for stage in STAGES}
        named = {name: [list(words) for words in commands] for name, commands in self.rollback.items()}
        more = {"timeout": self.timeout, "migrate_each_host": self.migrate_each_host}
        return {**stages, **({ROLLBACK: named} if named else {}), **more}


def parse_hooks(raw: object) -> Hooks:
    """Return the hooks that C(raw) describes; raise InputError, which names the remedy, for what cannot be run."""
    if not isinstance(raw, t.Mapping):
        raise InputError(f"hooks '{raw}' must be a dictionary with the keys {', '.join(_KEYS)}")
    given = {str(key): value for key, value in raw.items() if value is not None}
    unknown = sorted(set(given) - set(_KEYS))
    if unknown:
        raise InputError(f"hooks has no '{unknown[0]}': use {', '.join(_KEYS)}")
    return Hooks(
        **{stage: _commands(stage, given.get(stage, [])) for stage in STAGES},
        rollback=_named(given.get(ROLLBACK, {})),
        timeout=as_int("hooks.timeout", given.get("timeout", HOOK_TIMEOUT), least=1),
        migrate_each_host=as_bool("hooks.migrate_each_host", given.get("migrate_each_host", False)),
    )


def rollback_stage(name: str) -> str:
    """Return the stage of a hook that is asked for by its name."""
    return f"{ROLLBACK}.{name}"


def _named(value: object) -> dict[str, tuple[Command, ...]]:
    if not isinstance(value, t.Mapping):
        raise InputError(
            f"hooks.{ROLLBACK} '{value}' must be a dictionary of names and their lists of commands, such as "
            "{migrate_down: ['flask db downgrade']}"
        )
    for name in value:
        if not _NAME.fullmatch(str(name)):
            raise InputError(f"hooks.{ROLLBACK} '{name}' must be a name of lower-case letters, digits, '-' or '_'")
        if not value[name]:
            raise InputError(f"hooks.{ROLLBACK}.{name} has no command: list one, or leave it out")
    return {str(name): _commands(rollback_stage(str(name)), value[name]) for name in sorted(value)}


def _commands(stage: str, value: object) -> tuple[Command, ...]:
    return tuple(_words(stage, command) for command in elements(value, COMMAND, f"hooks.{stage}"))


def _words(stage: str, command: object) -> Command:
    """Return the words of a command: a text is split as a shell would do it, and no shell ever sees it."""
    if isinstance(command, str):
        words = _split(stage, command)
        shell = shell_word(command)
        if shell:
            raise InputError(
                f"hooks.{stage} '{command}' needs a shell for '{shell}', and there is none: list several commands, or "
                "write it as ['sh', '-c', '...']"
            )
    elif isinstance(command, (list, tuple)):
        words = tuple(_word(stage, word) for word in command)
    else:
        raise InputError(f"hooks.{stage} '{command}' must be a command, as one text or as a list of its words")
    if not words or not words[0]:
        raise InputError(f"hooks.{stage} has an empty command: leave it out")
    if any("\0" in word for word in words):
        raise InputError(f"hooks.{stage}: a command cannot contain a NUL character")
    return words


def _word(stage: str, word: object) -> str:
    if isinstance(word, (str, int, float)) and not isinstance(word, bool):
        return str(word)
    raise InputError(
        f"hooks.{stage}: each word of a command must be a text, not {shown(word)}: write it in quotes, or leave it out"
    )


def _split(stage: str, command: str) -> Command:
    try:
        return tuple(shlex.split(command))
    except ValueError as exc:
        raise InputError(f"hooks.{stage} '{command}' cannot be split into words ({exc}): close its quotes") from None


def shell_word(command: str) -> str:
    """Return the first word of a command that only a shell understands; an empty text when there is none."""
    return next((word for word in _QUOTED.sub("_", command).split() if _SHELL.fullmatch(word)), "")


def show_command(words: t.Sequence[str]) -> str:
    """Return a command as people write it."""
    return " ".join(shlex.quote(word) for word in words)


def hook_environment(release: str, app: str, known: t.Collection[str], previous: str = "") -> dict[str, str]:
    """Return what a hook finds in its environment beside what the application finds there, unless that sets it."""
    values = {
        # Flask's own command line finds the application by it.
        "FLASK_APP": app,
        "FLASKOPS_RELEASE": posixpath.basename(release),
        "FLASKOPS_PREVIOUS": previous,
    }
    return {name: value for name, value in values.items() if name not in known}


def explain_hook_failure(stage: str, words: Command, reason: str, output: str, lines: int = 30) -> str:
    """Return what is said about a hook that failed: which, why, and the end of its output."""
    said = "\n".join(output.strip().splitlines()[-lines:])
    return f"hook {stage} '{show_command(words)}' {reason}" + (f". It said:\n{said}" if said else " and said nothing")
