# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check variables: types against the specs of the roles, then the rules between them. Private to flaskops.stack.

The first task of a playbook does this, before any filter, template or module of ours reads the variables. Ansible's own
validation of a role's arguments comes after the packages, and names neither the application nor what was meant.
"""

from __future__ import annotations

import json
import os
import re
import typing as t
from contextlib import suppress
from dataclasses import dataclass, field

from ansible.module_utils.common.validation import check_type_dict

from ..module_utils._input.printable import printable
from ..module_utils._input.similar import most_similar
from ..module_utils._input.values import (
    APP,
    SITE,
    Flag,
    InputError,
    Listed,
    Text,
    Whole,
    check_root,
    elements,
    read_flag,
    scalar,
    settle_apps,
    shown,
    site_entries,
    to_list,
)

if t.TYPE_CHECKING:
    from ansible.plugins.action import ActionBase

    from ..module_utils._site.acme import Acme
    from ..module_utils._site.model import Site

# Types, choices and nested options of the roles' variables, without prose: `make specs` writes it.
SCHEMA = os.path.join(os.path.dirname(__file__), "input_schema.json")

Options = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class _Kind:
    """The entries of a variable that is a list of them."""

    # How errors call one, and how a short one is written.
    label: str
    example: str
    # Examples of its options.
    examples: Options
    # What was meant by an option that others have, and these entries not.
    meant: t.Mapping[str, str] = field(default_factory=dict)


_REMOVED = {
    "state": (
        "an entry is an application that is there: leave it out. To remove the application, take its entry out and run "
        "'ansible-playbook flaskops.stack.remove -e app=NAME'"
    )
}
_KINDS: t.Mapping[str, _Kind] = {
    "flask_apps": _Kind(
        "app", "{name: shop, source: ./shop, app: 'shop:app', domains: [shop.example.com]}", APP, _REMOVED
    ),
    "gunicorn_services": _Kind(
        "service", "{name: shop, release: /srv/shop/releases/3f2a91c-1b9e02d4}", {**APP, **APP["gunicorn"]}
    ),
    "nginx_sites": _Kind("site", "{name: shop, domains: [shop.example.com], upstream: [127.0.0.1:8000]}", SITE),
}
# An error is read in a terminal, with what Ansible says around it.
_LONGEST = 900
_ROOTS = ("flask_root", "gunicorn_root")
_ROLES = ("flask_", "gunicorn_", "nginx_")
# How much of a name is right where it is a letter or two that are wrong.
_TYPING_ERROR = 0.9
# How people write times, which are whole seconds here.
_TIME = re.compile(r"(\d+) ?(s|m|min|h|d)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


def load_schema() -> dict[str, t.Any]:
    """Return the options of all variables of the roles by name."""
    with open(SCHEMA, encoding="utf-8") as stream:
        found = t.cast("dict[str, t.Any]", json.load(stream))
    # JSON has no comments.
    del found["written by"]
    return found


def check_variables(values: t.Mapping[str, object], schema: Options) -> list[str]:
    """Return what is wrong with the values of variables, in sentences."""
    return [
        fault
        for name, value in values.items()
        if value is not None
        for fault in _Check(name, schema).faults(value, schema[name])
    ]


def misnamed_variables(variables: t.Mapping[str, object], schema: Options) -> list[str]:
    """Return which variables nothing reads, and whose names are almost those of others that are not set, in sentences.

    Inventories have variables of other roles, too: a value of another type was not meant for us.
    """
    found = []
    for name, value in variables.items():
        # site.yml itself sets these variables.
        if name in schema or not name.startswith(_ROLES) or name.endswith("_derived"):
            continue
        near = most_similar(name, [known for known in schema if not variables.get(known)], _TYPING_ERROR)
        if near and _is_of_type(value, schema[near]["type"]):
            found.append(f"{name} is no variable of flaskops.stack, and nothing reads it: did you mean {near}?")
    return found


def _is_of_type(value: object, kind: str) -> bool:
    if isinstance(value, str) and "{{" in value:
        return True
    if isinstance(value, (list, tuple)):
        return kind == "list"
    return (kind == "dict") == isinstance(value, t.Mapping) and kind != "list"


def joined(faults: t.Iterable[str]) -> str:
    """Return the faults as one text that a terminal has room for."""
    lines = [printable(fault) for fault in dict.fromkeys(faults)]
    fitting = [number for number in range(1, len(lines) + 1) if len("\n".join(lines[:number]).encode()) <= _LONGEST]
    kept = lines[: max(fitting, default=1)]
    more = len(lines) - len(kept)
    return "\n".join(
        [
            *(line.encode()[:_LONGEST].decode(errors="ignore") for line in kept),
            *([f"... and {more} more"] if more else []),
        ]
    )


@dataclass(frozen=True)
class Checked:
    """What variables of the right types mean for the first task of a run, or all that is wrong with them."""

    faults: list[str]
    # Further arguments of module preflight.
    more: dict[str, t.Any] = field(default_factory=dict)
    # Sites that could have HTTPS; None where the sites could not be parsed.
    plain_sites: list[str] | None = None
    # The warning about sites whose requests metrics cannot count.
    uncounted: str = ""


Values = t.Dict[str, t.Any]


def check_input(action: ActionBase, values: Values, variables: Values) -> Checked:
    """Parse applications and sites, whose types are right, and return what the first task has to know of them."""
    # A deploy checks types alone, and its host parses: 33 files more to load.
    from ..module_utils._app.application import AppError, needed_packages
    from ..module_utils._app.derive import DeriveError, derive_sites
    from ..module_utils._site.acme import check_sites, plain_sites, read_acme, with_acme
    from ..module_utils._site.parse import parse_sites, status_port_fault

    root, defaults = values.get("flask_root") or "/srv", values.get("nginx_site_defaults") or {}
    try:
        acme = read_acme(values)
    except InputError as exc:
        return Checked([str(exc)])
    defaults = with_acme(defaults, acme)
    try:
        apps = settle_apps(values.get("flask_apps"))
        if any(app.get("files") for app in apps):
            # They are among all faults.
            # Most applications have no files: nothing more to load.
            from ._release_files import with_contents

            apps, unread = with_contents(action, apps, variables)
            values["flask_apps"] = apps
            if unread:
                return Checked(unread)
        packages = needed_packages(apps, values.get("flask_packages"), root)
        derived = derive_sites(apps, root, None, defaults)
        items = [*site_entries(values.get("nginx_sites"), "nginx_sites"), *derived]
        sites = parse_sites(items, defaults)
        check_sites(sites, acme)
    except (AppError, DeriveError, InputError):
        # Loaded for errors only.
        from ._input_rules import check_rules

        found = check_rules(values.get("flask_apps"), values.get("nginx_sites"), defaults, root, acme)
        if not found:
            raise
        return Checked(found)
    firewall, faults = _firewall_wanted(values, items, defaults, acme)
    more = {**_sites_need(values, sites, acme, packages), "firewall": firewall}
    fault = status_port_fault(values.get("nginx_status_port"), sites)
    return Checked(
        [*([fault] if fault else []), *faults],
        {key: value for key, value in more.items() if value},
        plain_sites(sites, items, defaults),
        _uncounted(sites) if values.get("nginx_metrics") == "textfile" else "",
    )


def _uncounted(sites: t.Iterable[Site]) -> str:
    """Return the warning about sites with requests that metrics cannot count."""
    names = [
        site.name
        for site in sites
        if site.state == "enabled" and site.access_log == "combined" and not (site.content or site.template)
    ]
    if not names:
        return ""
    return (
        f"nginx_metrics: requests to {', '.join(names)} are not counted, because access_log is combined: set "
        "it to json in nginx_site_defaults or in the site, or to off where nothing is to be counted"
    )


def _sites_need(values: Values, sites: t.Sequence[Site], acme: Acme, packages: list[str]) -> Values:
    """Return the packages, with those of certificates, and what the host is asked of certificates."""
    from ..module_utils._site.acme import certificate_packages

    places = values.get("nginx_directory_enabled"), values.get("nginx_suffix")
    more = certificate_packages(sites) if values.get("nginx_packages") != [] else []
    return {"packages": packages + more, "certificates": acme.on_host(sites, *places)}


def _firewall_wanted(
    values: Values, items: t.Sequence[Options], defaults: Options, acme: Acme
) -> tuple[Values, list[str]]:
    """Return the arguments that the task of the firewall will have, and what is wrong with its variables."""
    backend = values.get("nginx_firewall")
    allow, close = values.get("nginx_firewall_allow"), values.get("nginx_firewall_close")
    faults = _firewall_faults(allow, close) if allow or close else []
    if faults or backend in (None, "", "none"):
        return {}, faults
    # Loaded for hosts with a firewall.
    from ..module_utils._site.listen import listen_ports
    from ..module_utils._site.render import site_configs

    try:
        configs = site_configs(items, defaults, "", read_flag(values.get("nginx_catch_all")) is not False, acme=acme)
    except InputError as exc:
        return {}, [str(exc)]
    return {"backend": backend, "ports": listen_ports(configs), "allow": allow or [], "close": close or []}, []


def _firewall_faults(allow: object, close: object) -> list[str]:
    # Most hosts have no exceptions: no file more to load.
    from ..module_utils._firewall.openings import firewall_faults

    return firewall_faults(allow, close)


class _Check:
    """Find the faults in one variable."""

    def __init__(self, variable: str, schema: Options) -> None:
        """Take the name of the variable, and the options of all."""
        self._variable = variable
        self._schema = schema
        self._all = f"'ansible-doc -t role flaskops.stack.{variable.partition('_')[0]}' lists all options"

    def faults(self, value: object, option: Options) -> t.Iterator[str]:
        """Yield what is wrong with its value."""
        kind = _KINDS.get(self._variable)
        if kind is None:
            yield from self._value(value, option, SITE, self._variable)
            if self._variable in _ROOTS and isinstance(value, str) and value:
                yield from _root_faults(value, self._variable)
        elif isinstance(value, (list, tuple)):
            for number, entry in enumerate(value):
                yield from self._entry(entry, option["options"], kind, f"{self._variable}[{number}]")
        elif value != "":
            yield (
                f"{self._variable} must be a list, not {shown(value)}: write '{self._variable}:' and below it "
                f"'  - {kind.example}'"
            )

    def _entry(self, entry: object, options: Options, kind: _Kind, place: str) -> t.Iterator[str]:
        if not isinstance(entry, t.Mapping):
            yield f"{place} must be a dictionary, not {shown(entry)}: write '- {kind.example}'"
            return
        name = entry.get("name")
        label = f"{kind.label} '{name}'" if isinstance(name, str) and name else place
        yield from (f"{label}: {fault}" for fault in self._fields(entry, options, kind.examples, ""))

    def _fields(self, given: Options, options: Options, examples: Options, path: str) -> t.Iterator[str]:
        prefix = f"{path}." if path else ""
        meant: set[str] = set()
        for key in given:
            if key not in options:
                known = self._known_error(str(key), path)
                near, hint = (
                    ("", known) if known else _meant(str(key), options, given, prefix, self._of_host(str(key), path))
                )
                meant.add(near)
                yield f"unknown option '{prefix}{key}': {hint or self._all}"
        for name, option in options.items():
            value = given.get(name)
            if value is None or (name == "name" and value == ""):
                if option.get("required") and name not in meant:
                    yield f"{prefix}{name} is missing: set it"
                continue
            yield from self._value(value, option, examples.get(name), f"{prefix}{name}")

    def _known_error(self, key: str, path: str) -> str:
        """Return the way out for an option that was meant for something that has another one."""
        kind = None if path else _KINDS.get(self._variable)
        return kind.meant.get(key, "") if kind else ""

    def _of_host(self, key: str, path: str) -> str:
        """Return the variable of a role that is called like an option; one of an application may be of any role."""
        own = f"{(path or self._variable).partition('_')[0]}_"
        names = [f"{role}{key}" for role in ([own] if path else sorted(_ROLES, key=lambda role: role != own))]
        return next((name for name in names if name in self._schema), "")

    def _value(self, value: t.Any, option: Options, example: t.Any, path: str) -> t.Iterator[str]:
        kind = option["type"]
        try:
            if kind == "list":
                yield from self._list(value, option, example, path)
            elif kind == "dict":
                yield from self._dict(value, option, example, path)
            elif kind != "raw":
                _check_scalar(value, option, example, path)
        except InputError as exc:
            yield f"{exc}{_in_seconds(value, kind)}"

    def _dict(self, value: t.Any, option: Options, example: t.Any, path: str) -> t.Iterator[str]:
        # An empty text stands for nothing, as a template may give it.
        if value == "":
            return
        if self._variable == "gunicorn_services" and isinstance(value, str):
            # No filter reads services, and their module takes texts such as JSON.
            with suppress(TypeError):
                value = check_type_dict(value)
        if not isinstance(value, t.Mapping):
            raise InputError(f"{path} must be a dictionary, not {shown(value, path)}")
        if option.get("options"):
            yield from self._fields(value, option["options"], example if isinstance(example, t.Mapping) else {}, path)

    def _list(self, value: t.Any, option: Options, example: t.Any, path: str) -> t.Iterator[str]:
        kind = example if isinstance(example, Listed) else Listed("...", mixed=True)
        if option["elements"] != "dict":
            found = elements(value, kind, path)
            if option["elements"] == "int":
                for element in found:
                    scalar(element, Whole(), path)
            return
        for number, element in enumerate(to_list(value, kind, path)):
            place = f"{path}[{number}]"
            if not isinstance(element, t.Mapping):
                yield f"{place} must be a dictionary, not {shown(element, place)}: write '- {kind.example}'"
            else:
                yield from self._fields(element, option["options"], kind.inner or {}, place)


def _root_faults(value: str, variable: str) -> t.Iterator[str]:
    try:
        check_root(value, variable)
    except InputError as exc:
        yield str(exc)


def _check_scalar(value: object, option: Options, example: object, path: str) -> None:
    """Raise InputError for what cannot be the text, number or flag that is meant."""
    kind = option["type"]
    if kind == "int":
        scalar(value, Whole(), path)
    elif kind == "bool":
        scalar(value, Flag(), path)
    elif kind == "float":
        _check_float(value, path)
    elif "choices" in option:
        _check_choice(value, option["choices"], path)
    elif isinstance(example, Text):
        scalar(value, example, path)
    elif value is None or isinstance(value, (bool, list, tuple, t.Mapping)):
        quotes = ", which YAML makes of some words without quotes: quote it" if isinstance(value, bool) else ""
        raise InputError(f"{path} must be a text, not {shown(value)}{quotes}")


def _check_float(value: object, path: str) -> None:
    try:
        if not isinstance(value, bool) and float(str(value)) >= 0:
            return
    except ValueError:
        pass
    raise InputError(f"{path} must be a number, not {shown(value)}")


def _check_choice(value: object, choices: t.Sequence[str], path: str) -> None:
    # YAML makes false of a bare 'off'.
    if value is False and "off" in choices:
        return
    if isinstance(value, bool) or str(value) not in choices:
        raise InputError(f"{path} must be one of {', '.join(choices)}, not {shown(value)}{_near(str(value), choices)}")


def _in_seconds(value: object, kind: str) -> str:
    """Return how a time is written, for one with a unit."""
    found = _TIME.fullmatch(value.strip()) if isinstance(value, str) and kind in ("int", "float") else None
    return f": write the seconds, {int(found[1]) * _SECONDS[found[2]]}" if found else ""


def _near(word: str, known: t.Collection[str]) -> str:
    near = most_similar(word, known)
    return f"; did you mean '{near}'?" if near else ""


def _meant(key: str, options: Options, given: Options, prefix: str, of_host: str) -> tuple[str, str]:
    """Return the option that was probably meant by an unknown one, and how an error says so.

    C(of_host) is the variable that is called so.
    """
    within = [
        f"{prefix}{name}.{key}"
        for name, option in options.items()
        if option["type"] == "dict" and key in option.get("options", {})
    ]
    if within:
        return "", f"write it as {within[0]}"
    if of_host:
        return "", f"it is for the whole host: set the variable {of_host}"
    near = most_similar(key, [name for name in options if given.get(name) is None]) or most_similar(key, options)
    if near:
        return near, f"did you mean '{near}'?"
    return "", f"choose from {', '.join(sorted(options))}" if len(options) < 9 else ""
