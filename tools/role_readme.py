# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the variables of the roles into their READMEs, and their types for the check of variables, from their specs."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import yaml

ROLES = Path(__file__).resolve().parent.parent / "roles"
# What the first task of a playbook checks variables against: reading the specs themselves takes 50 ms.
SCHEMA = ROLES.parent / "plugins/plugin_utils/input_schema.json"
BEGIN, END = "<!-- begin: written by `make readmes` -->", "<!-- end -->"

Option = dict[str, t.Any]


def readme(role: Path) -> str:
    """Return the README of a role with its variables as they are specified; one without the marks stays as it is."""
    text = (role / "README.md").read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not (begin and end):
        return text
    return before + begin + "\n" + table(_specified(role)) + end + after


def table(options: dict[str, Option]) -> str:
    """Return a table of options, with the nested ones below those that hold them."""
    rows = [f"| `{path}` | {kind(option)} | {prose(option['description'])} |" for path, option in flattened(options)]
    return "\n".join(["| variable | type, default | meaning |", "| --- | --- | --- |", *rows]) + "\n"


def flattened(options: dict[str, Option], path: str = "") -> t.Iterator[tuple[str, Option]]:
    """Yield every option with its path; options that are described elsewhere in the table are not listed again."""
    for name, option in options.items():
        yield path + name, option
        if not name.endswith("_defaults"):
            below = "[]." if option["type"] == "list" else "."
            yield from flattened(option.get("options", {}), path + name + below)


def kind(option: Option) -> str:
    """Return an option's type or choices, and its default."""
    accepted = " · ".join(f"`{choice}`" for choice in option.get("choices", [])) or option["type"]
    if option.get("required"):
        return f"{accepted}, **required**"
    default = option.get("default")
    if default is None:
        return accepted
    return f"{accepted}, `{default if isinstance(default, str) and default else json.dumps(default)}`"


def prose(description: str | list[str]) -> str:
    """Return a description as Markdown."""
    text = " ".join(" ".join([description] if isinstance(description, str) else description).split())
    text = re.sub(r"\b[OVCME]\(((?:\\.|[^)])*)\)", _literal, text)
    text = re.sub(r"\bP\(([^)#]*)(?:#[^)]*)?\)", r"`\1`", text)
    return text.replace("|", "\\|")


def _literal(markup: re.Match[str]) -> str:
    """Return what is in the parentheses of Ansible's markup, where a backslash keeps one from ending it."""
    return "`" + re.sub(r"\\(.)", r"\1", markup[1]) + "`"


def schema() -> str:
    """Return the types of the variables that users set, as JSON with a line for each of them."""
    found = [item for path in sorted(ROLES.glob("*/meta")) for item in _specified(path.parent).items()]
    lines = [f"{json.dumps(name)}: {json.dumps(_typed(option))}" for name, option in found if "_derived" not in name]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _specified(role: Path) -> dict[str, Option]:
    spec = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))
    return t.cast("dict[str, Option]", spec["argument_specs"]["main"]["options"])


def _typed(option: Option) -> Option:
    """Return an option without its prose and default."""
    kept: Option = {key: option[key] for key in ("type", "elements", "required", "choices") if key in option}
    if "options" in option:
        kept["options"] = {name: _typed(nested) for name, nested in option["options"].items()}
    return kept


def main() -> None:
    """Bring the READMEs of all roles, and the schema, up to date."""
    SCHEMA.write_text(schema(), encoding="utf-8")
    for path in sorted(ROLES.glob("*/README.md")):
        path.write_text(readme(path.parent), encoding="utf-8")


if __name__ == "__main__":
    main()
