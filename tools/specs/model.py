# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What roles and modules take: the files of C(schema/), read into typed options.

C(roles.yml) and C(modules.yml) have an interface for each role and module, the other files have groups. A group is a
set of options that several places take, such as the settings of gunicorn, and is described once:

    flask_apps:
      description: Applications to build.
      type: list
      elements: dict
      options:
        - from: application         # a group
          without: [gunicorn]       # or C(only), in another order if need be
          prefix: flask_            # of the names of the options
          words: {path: app.nginx}  # for this place, beside those of the role or module
          change:                   # attributes that differ here; null removes one
            health.host: {default: localhost}
        - own_option:               # options of this place alone
            ...

C(<<word>>) in a description stands for a word of the place, such as the path of another option: C(O(<<app>>.user)). A
paragraph that is an empty word is left out.
"""

from __future__ import annotations

import copy
import re
import typing as t
from dataclasses import dataclass
from pathlib import Path

import yaml

SCHEMA = Path(__file__).resolve().parent / "schema"

Raw = dict[str, t.Any]
Words = t.Mapping[str, str]
Groups = t.Mapping[str, Raw]

_WORD = re.compile(r"<<(\w+)>>")
_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "path": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
    "raw": (object,),
}
_KEYS = {
    "description", "type", "elements", "choices", "required", "default", "version_added", "no_log",
    "mutually_exclusive", "options", "example", "secret", "commas", "hint",
}  # fmt: skip
_PART_KEYS = {"from", "only", "without", "prefix", "words", "change"}
# The default of an option that has none, for which None would be a value.
UNSET: t.Final = object()


class SchemaError(ValueError):
    """A description of options that contradicts itself; the text names the option."""


@dataclass(frozen=True)
class Option:
    """One option of a role or module, and those nested in it."""

    name: str
    type: str
    # Paragraphs.
    description: tuple[str, ...]
    elements: str = ""
    choices: tuple[str, ...] = ()
    required: bool = False
    default: t.Any = UNSET
    version_added: str = ""
    no_log: bool | None = None
    mutually_exclusive: tuple[tuple[str, ...], ...] = ()
    options: tuple[Option, ...] = ()
    # How a user writes a value, or one element of a list, for errors. Those that have one are read by filters, and are
    # converted as Ansible does it before any specification was applied to them.
    example: t.Any = UNSET
    # Errors do not show the value.
    secret: bool = False
    # A comma may belong to one element of the list.
    commas: bool = False
    # What else may have been meant by a value that is no list.
    hint: str = ""

    @property
    def has_default(self) -> bool:
        """Tell whether there is a default."""
        return self.default is not UNSET


@dataclass(frozen=True)
class Interface:
    """What a role or module takes."""

    name: str
    # What stands above the options of a role, and whether the action plugin of a module alone reads its arguments.
    head: t.Mapping[str, t.Any]
    options: tuple[Option, ...]


@dataclass(frozen=True)
class Schema:
    """All that is described."""

    roles: t.Mapping[str, Interface]
    modules: t.Mapping[str, Interface]
    groups: Groups

    def group(self, name: str) -> tuple[Option, ...]:
        """Return the options of a group as they are by themselves, for what depends on no description."""
        return tuple(_option(key, raw, self.groups, None) for key, raw in self.groups[name].items())

    def defaults(self, name: str) -> dict[str, t.Any]:
        """Return the defaults of the options of a group, by their names; nested ones as dictionaries."""
        return _defaults(self.group(name))


def _defaults(options: t.Iterable[Option]) -> dict[str, t.Any]:
    found: dict[str, t.Any] = {}
    for option in options:
        if option.options and option.type == "dict":
            found[option.name] = _defaults(option.options)
        elif option.has_default:
            found[option.name] = option.default
    return found


def load(directory: Path = SCHEMA) -> Schema:
    """Return the schema that the files of a directory describe; raise SchemaError for one that contradicts itself."""
    files = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(directory.glob("*.yml"))}
    roles, modules = files.pop("roles"), files.pop("modules")
    groups: dict[str, Raw] = {}
    for name, content in files.items():
        for group in content:
            if group in groups:
                raise SchemaError(f"{name}.yml: group '{group}' is described twice: give each a name of its own")
        groups.update(content)
    return Schema(
        {name: _interface(name, raw, groups) for name, raw in roles.items()},
        {name: _interface(name, raw, groups) for name, raw in modules.items()},
        groups,
    )


def _interface(name: str, raw: Raw, groups: Groups) -> Interface:
    head = {key: value for key, value in raw.items() if key not in ("words", "options")}
    return Interface(name, head, _options(raw["options"], groups, raw.get("words", {}), name))


def _options(parts: Raw | list[Raw], groups: Groups, words: Words | None, place: str) -> tuple[Option, ...]:
    """Return options that are described here, or taken from groups, in their order."""
    found: list[Option] = []
    for part in [parts] if isinstance(parts, dict) else parts:
        # An option may be called so, too.
        if isinstance(part.get("from"), str):
            found += _taken(part, groups, words, place)
        else:
            found += [_option(name, raw, groups, words, place) for name, raw in part.items()]
    names = [option.name for option in found]
    for name in names:
        if names.count(name) > 1:
            raise SchemaError(f"{place} has the option '{name}' {names.count(name)} times: remove one")
    return tuple(found)


def _taken(part: Raw, groups: Groups, words: Words | None, place: str) -> list[Option]:
    """Return the options that a place takes from a group."""
    if not set(part) <= _PART_KEYS or part["from"] not in groups:
        raise SchemaError(f"{place} takes {part} from no group: use the keys {', '.join(sorted(_PART_KEYS))}")
    group = copy.deepcopy(groups[part["from"]])
    for path, change in part.get("change", {}).items():
        _change(group, path, change, place)
    names = part.get("only") or [name for name in group if name not in part.get("without", [])]
    if words is not None:
        words = {**words, **{key: _spoken(text, words, place) for key, text in part.get("words", {}).items()}}
    prefix = part.get("prefix", "")
    return [_option(prefix + name, group[name], groups, words, place) for name in names]


def _change(group: Raw, path: str, change: Raw, place: str) -> None:
    """Change attributes of an option of a group, for one place; None removes one."""
    *outer, name = path.split(".")
    for key in outer:
        group = group[key]["options"]
    if name not in group:
        raise SchemaError(f"{place} changes '{path}', which is no option of the group")
    group[name] = {key: value for key, value in {**group[name], **change}.items() if value is not None}


def _option(name: str, raw: Raw, groups: Groups, words: Words | None, place: str = "") -> Option:
    path = f"{place}.{name}" if place else name
    unknown = sorted(set(raw) - _KEYS)
    if unknown:
        raise SchemaError(f"{path} has the unknown key '{unknown[0]}': use {', '.join(sorted(_KEYS))}")
    option = Option(
        name=name,
        type=raw.get("type", ""),
        description=_paragraphs(raw.get("description", []), words, path),
        elements=raw.get("elements", ""),
        choices=tuple(raw.get("choices", ())),
        required=raw.get("required", False),
        default=raw.get("default", UNSET),
        version_added=str(raw.get("version_added", "")),
        no_log=raw.get("no_log"),
        mutually_exclusive=tuple(map(tuple, raw.get("mutually_exclusive", ()))),
        options=_options(raw.get("options", {}), groups, words, path),
        example=raw.get("example", UNSET),
        secret=raw.get("secret", False),
        commas=raw.get("commas", False),
        hint=raw.get("hint", ""),
    )
    _check(option, path)
    return option


def _paragraphs(description: str | list[str], words: Words | None, place: str) -> tuple[str, ...]:
    """Return the paragraphs of a description; one that consists of an empty word is none."""
    texts = [description] if isinstance(description, str) else description
    spoken = (" ".join((text if words is None else _spoken(text, words, place)).split()) for text in texts)
    return tuple(text for text in spoken if text)


def _spoken(text: str, words: Words, place: str) -> str:
    """Return a text with its words; raise SchemaError for one that the place does not have."""

    def spoken(found: re.Match[str]) -> str:
        if found[1] not in words:
            raise SchemaError(f"{place}: the description has the word <<{found[1]}>>, which the place does not have")
        return words[found[1]]

    return _WORD.sub(spoken, text)


def _check(option: Option, path: str) -> None:
    """Raise SchemaError for an option that is not whole."""
    if option.type not in _TYPES:
        raise SchemaError(f"{path} has the type '{option.type}': use one of {', '.join(_TYPES)}")
    if not option.description:
        raise SchemaError(f"{path} has no description")
    if (option.type == "list") != bool(option.elements):
        raise SchemaError(f"{path}: lists, and nothing else, have elements: state their type")
    if option.required and option.has_default:
        raise SchemaError(f"{path} is required and has a default: keep one of them")
    if option.has_default:
        _check_default(option, path)


def _check_default(option: Option, path: str) -> None:
    is_flag = isinstance(option.default, bool) and option.type not in ("bool", "raw")
    if is_flag or not isinstance(option.default, _TYPES[option.type]):
        raise SchemaError(f"{path} has the default {option.default!r}, which is no {option.type}")
    values: list[t.Any] = t.cast("t.Any", option.default) if option.type == "list" else [option.default]
    wrong = [value for value in values if option.choices and value not in option.choices]
    if wrong:
        raise SchemaError(f"{path} has the default {wrong[0]!r}, which is none of its choices")
