# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All files that the schema is written to: whole ones, and parts of others between two marks."""

from __future__ import annotations

import json
import textwrap
import typing as t
from pathlib import Path

from tools.specs.model import Interface, Option, Schema, SchemaError
from tools.specs.python_text import argument_spec, assignment
from tools.specs.python_text import flat as flat_python
from tools.specs.readme import prose, table
from tools.specs.shapes import shape
from tools.specs.yaml_text import flat, option_lines, prose_lines, value_lines

WRITTEN = "written by `make specs` from tools/specs/schema/"
SITE = "plugins/module_utils/_site/model.py"
VALUES = "plugins/module_utils/_input/values.py"
DEFAULTS = "plugins/module_utils/_input/defaults.py"
# What the first task of a playbook checks variables against: reading the specs themselves takes 50 ms.
INPUT_SCHEMA = "plugins/plugin_utils/input_schema.json"

_WIDTH = 118


def written_files(schema: Schema, root: Path) -> dict[Path, str]:
    """Return the text of each file that the schema is written to; C(root) has what stands around the parts."""
    files = {root / INPUT_SCHEMA: input_schema(schema)}
    for role in schema.roles.values():
        files[root / f"roles/{role.name}/meta/argument_specs.yml"] = role_specs(role)
        files[root / f"roles/{role.name}/defaults/main.yml"] = role_defaults(role)
        readme = root / f"roles/{role.name}/README.md"
        files[readme] = _replaced(readme, {"variables": table(role.options)}, "<!-- ", " -->")
    for module in schema.modules.values():
        path = root / f"plugins/modules/{module.name}.py"
        options = {"options": "\n".join(["options:", *option_lines(module.options, 2, "suboptions"), ""])}
        spec = {"argument spec": assignment("OPTIONS: dict[str, t.Any]", argument_spec(module.options)) + "\n"}
        if module.head.get("on_controller"):
            action = root / f"plugins/action/{module.name}.py"
            files[action] = _replaced(action, spec, "# ", "")
            spec = {}
        files[path] = _replaced(path, {**options, **spec}, "# ", "")
    files[root / DEFAULTS] = _replaced(root / DEFAULTS, {"defaults": run_time_defaults(schema)}, "# ", "")
    files[root / SITE] = _replaced(root / SITE, {"defaults": site_defaults(schema)}, "# ", "")
    files[root / VALUES] = _replaced(root / VALUES, {"shapes": shapes(schema)}, "# ", "")
    return files


def _replaced(path: Path, parts: t.Mapping[str, str], before: str, after: str) -> str:
    """Return the text of a file with other parts between the marks with their names."""
    text = path.read_text(encoding="utf-8")
    for name, part in parts.items():
        begin, end = f"{before}begin {name}: {WRITTEN}{after}\n", f"{before}end {name}{after}\n"
        head, found, rest = text.partition(begin)
        _old, closed, tail = rest.partition(end)
        if not (found and closed):
            raise SchemaError(f"{path} must have the lines '{begin.strip()}' and '{end.strip()}': the {name} go there")
        text = head + begin + part + end + tail
    return text


def role_specs(role: Interface) -> str:
    """Return a role's C(meta/argument_specs.yml)."""
    lines = [f"# All of this is {WRITTEN}: change it there.", "---", "argument_specs:", "  main:"]
    for key, value in role.head.items():
        lines += prose_lines(key, value, 4) if isinstance(value, list) else value_lines(key, value, 4)
    return "\n".join([*lines, "    options:", *option_lines(role.options, 6, "options", _repeated(role)), ""])


def _repeated(role: Interface) -> set[str]:
    """Return the options that are described once and also stand among the defaults of their kind."""
    return {nested.name for option in role.options if option.name.endswith("_defaults") for nested in option.options}


def role_defaults(role: Interface) -> str:
    """Return a role's C(defaults/main.yml), with the first paragraph of each description."""
    blocks = [f"# All of this is {WRITTEN}: change it there.\n---\n# README.md and meta/argument_specs.yml say more."]
    for option in role.options:
        if option.has_default:
            text = textwrap.wrap(
                prose(option.description[0], quote=""), _WIDTH, break_long_words=False, break_on_hyphens=False
            )
            blocks.append("\n".join([*(f"# {line}" for line in text), f"{option.name}: {flat(option.default)}"]))
    return "\n\n".join(blocks) + "\n"


def input_schema(schema: Schema) -> str:
    """Return the types of the variables that users set, as JSON with a line for each of them."""
    options = [option for _name, role in sorted(schema.roles.items()) for option in role.options]
    lines = [f"{json.dumps(option.name)}: {json.dumps(_typed(option))}" for option in options if _is_set(option)]
    origin = f'"written by": {json.dumps(WRITTEN.removeprefix("written by "))}'
    return "{\n" + ",\n".join([origin, *lines]) + "\n}\n"


def _is_set(option: Option) -> bool:
    return "_derived" not in option.name


def _typed(option: Option) -> dict[str, t.Any]:
    """Return an option without its prose and default."""
    kept: dict[str, t.Any] = {"type": option.type}
    if option.elements:
        kept["elements"] = option.elements
    if option.required:
        kept["required"] = True
    if option.choices:
        kept["choices"] = list(option.choices)
    if option.options:
        kept["options"] = {nested.name: _typed(nested) for nested in option.options}
    return kept


def run_time_defaults(schema: Schema) -> str:
    """Return the defaults that the code on the controller and on hosts reads, as Python."""
    constants = {
        "APP_DEFAULTS": _not_empty({**schema.defaults("builds"), **schema.defaults("application")}),
        "SERVICE_DEFAULTS": _not_empty(schema.defaults("service")),
        "WORKER_DEFAULTS": schema.defaults("worker"),
        "TIMER_DEFAULTS": schema.defaults("timer"),
    }
    lines = [*settings_classes(schema)]
    lines += [assignment(f"{name}: dict[str, object]", value) for name, value in constants.items()]
    lines.append(assignment("HOOK_TIMEOUT", schema.defaults("hooks")["timeout"]))
    lines.append("# Settings that came after 1.0: with their defaults they are no part of a release's id.")
    lines.append(assignment("LATER", tuple(option.name for option in schema.group("gunicorn") if option.version_added)))
    inherited = tuple(name for name in schema.groups["builds"] if name in schema.groups["application"])
    lines.append("# What an application takes from the task when it does not set it itself.")
    lines.append(assignment("INHERITED", inherited))
    return "\n".join([*lines, ""])


def settings_classes(schema: Schema) -> list[str]:
    """Return the lines of the classes that hold the settings of gunicorn, with their types and defaults."""
    settings = schema.group("gunicorn")
    (health,) = [option.options for option in settings if option.name == "health"]
    return [
        *_settings_class("HealthSettings", "Settings of the health check of a release.", health),
        *_settings_class("Settings", "Settings of gunicorn and its units, which are part of a release.", settings),
    ]


def _settings_class(name: str, summary: str, options: t.Iterable[Option]) -> list[str]:
    fields = [f"    {option.name}: {field_type(option)} = {_field_default(option)}" for option in options]
    return ["@dataclass(frozen=True)", f"class {name}:", f'    """{summary}"""', "", *fields, "", ""]


def field_type(option: Option) -> str:
    """Return the type that a checked value of an option has in Python."""
    if option.options:
        return f"{option.name.capitalize()}Settings"
    if option.elements:
        return f"tuple[{option.elements}, ...]"
    # What is raw is a truth value, or a dictionary in its place.
    return {"dict": "t.Mapping[str, object]", "raw": "bool | t.Mapping[str, object]"}.get(option.type, option.type)


def _field_default(option: Option) -> str:
    if option.options:
        return f"{option.name.capitalize()}Settings()"
    if not option.has_default:
        raise SchemaError(f"gunicorn.{option.name} has no default: a release has every setting, so give it one")
    if option.type == "dict":
        return "field(default_factory=dict)"
    return flat_python(tuple(option.default) if option.elements else option.default)


def _not_empty(defaults: t.Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in defaults.items() if isinstance(value, (str, int)) and value}


def shapes(schema: Schema) -> str:
    """Return how values of users are converted that filters read, as Python."""
    kinds = {"SITE": schema.group("site"), "APP": schema.group("application")}
    return "".join(assignment(f"{name}: Shape", shape(options)) + "\n" for name, options in kinds.items())


def site_defaults(schema: Schema) -> str:
    """Return the defaults of sites and of what is nested in them, as classes: their attributes have types."""
    site = schema.group("site")
    nested = {option.name: option.options for option in site}
    classes = {
        "Static": "static",
        "Cache": "cache",
        "Tls": "tls",
        "Maintenance": "maintenance",
        "Limit": "limits",
        "BasicAuth": "basic_auth",
        "Mount": "mounts",
    }
    places = {"Site": site, **{name: nested[option] for name, option in classes.items()}}
    return "".join(_class(f"{name}Default", f"of class {name}", options) for name, options in places.items())


def _class(name: str, of: str, options: t.Iterable[Option]) -> str:
    values = [option for option in options if isinstance(option.default, (str, int))]
    lines = [assignment(f"    {option.name}", option.default) for option in values]
    return "\n".join([f"class {name}:", f'    """Defaults {of}."""', "", *lines, "", "", ""])
