# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Suggest what to install for an import that failed. Private to flaskops.stack."""

from __future__ import annotations

import re
import typing as t

from .removed_names import constraint_for, constraint_for_attribute

# Removed from Python 3.12 and 3.13, with the package that has each of them; nothing where it is no help.
_REMOVED: t.Mapping[str, str] = {
    **{name: f"standard-{name}" for name in ("aifc", "asynchat", "asyncore", "chunk", "crypt", "imghdr", "mailcap")},
    **{name: f"standard-{name}" for name in ("nntplib", "pipes", "smtpd", "sndhdr", "sunau", "telnetlib", "uu")},
    "audioop": "audioop-lts",
    "cgi": "legacy-cgi",
    "cgitb": "legacy-cgi",
    "distutils": "setuptools",
    "imp": "",
    "lib2to3": "",
    "xdrlib": "standard-xdrlib",
}
# The line that ends a traceback; of several, as in a log, the last one counts.
_RAISED = re.compile(r"^(?P<kind>(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:Error|Exception|Exit|Warning)): (?P<text>.*)$", re.M)
_MODULE = re.compile(r"No module named '([\w.]+)'$")
# The code that imports it is the application's own.
_IN_CODE = re.compile(r'^[^"\n]*(?:<release>|/releases/[^/"\n]+|/current)/app/')
_NAME = re.compile(
    r"cannot import name '(?P<name>\w+)' from (?:partially initialized module )?'(?P<module>[\w.]+)' "
    r"\((?P<place>.*/site-packages/|/.*/lib/python3[^/]*/(?!.*-packages/))"
)
_ATTRIBUTE = re.compile(r"module '(?P<module>[\w.]+)' has no attribute '(?P<name>\w+)'")
# Of modules that are still there.
_REMOVED_NAMES = {
    "asyncio": r"coroutine|async",
    "cgi": r"escape",
    "collections": r"Callable|Hashable|Sized|Iterable|Iterator|Container|\w*(?:Mapping|Sequence|Set)|\w+View",
    "configparser": r"SafeConfigParser",
    "fractions": r"gcd",
    "inspect": r"getargspec|formatargspec",
    "pkgutil": r"ImpImporter|ImpLoader",
    "time": r"clock",
    "ssl": r"wrap_socket|match_hostname",
}


def import_way(text: str, own: str) -> str:
    """Return what to set for the import, or the attribute, that ends C(text), and nothing for another failure.

    C(own) is the top module of the application, whose place is another matter.
    """
    raised = list(_RAISED.finditer(text))
    kind, said = (raised[-1]["kind"], raised[-1]["text"]) if raised else ("", "")
    if kind == "AttributeError":
        return _attribute(said)
    if kind.endswith("PydanticImportError"):
        return _removed_name("what it says", "pydantic<2")
    if not kind.endswith(("ImportError", "ModuleNotFoundError")):
        return ""
    name, module = _NAME.search(said), _MODULE.search(said)
    if name:
        return _of_name(name)
    return _of_module(module[1], text[: raised[-1].start()], own) if module else ""


def _of_name(found: re.Match[str]) -> str:
    what = f"'{found['name']}' in '{found['module']}'"
    if not found["place"].endswith("/site-packages/"):
        return _gone_from_python(what)
    wanted = constraint_for(found["module"], found["name"])
    return _removed_name(what, wanted) if wanted else _other_version(found["module"].partition(".")[0])


def _of_module(module: str, before: str, own: str) -> str:
    """Return what to set for a module that is not there; C(before) is the traceback."""
    top, dot, _rest = module.partition(".")
    wanted = constraint_for(module)
    if top == own:
        return ""
    if top in _REMOVED:
        return _removed(top)
    if wanted:
        return _removed_name(f"the module '{module}'", wanted)
    if dot and _IN_CODE.search(before.rpartition('  File "')[2]):
        return _own_or_other(top)
    return _other_version(top) if dot else _absent(top)


def _attribute(said: str) -> str:
    """Return what to set for an attribute that a package, or Python, no longer has."""
    found = _ATTRIBUTE.match(said)
    if found and re.fullmatch(_REMOVED_NAMES.get(found["module"], "(?!)"), found["name"]):
        return _gone_from_python(f"'{found['name']}' in '{found['module']}'")
    wanted = constraint_for(found["module"], found["name"]) if found else constraint_for_attribute(said)
    return _removed_name("that attribute", wanted) if wanted else ""


def _removed_name(what: str, wanted: str) -> str:
    return (
        f"the installed version of the package does not have {what}: add '{wanted}' to constraints, or to the "
        "lock file where there is one; or take a newer version of what uses it"
    )


def _gone_from_python(what: str) -> str:
    return (
        f"this version of Python does not have {what}: take a newer version of what uses it, or set python to an older "
        "one"
    )


def _own_or_other(name: str) -> str:
    return (
        f"there is a '{name}' without that module: when it is a directory of the application, look whether its files "
        "are in the release (those of a submodule of git are not), and when it is a package, set the version that has "
        f"it in constraints, as '{name}<VERSION'"
    )


def _removed(name: str) -> str:
    brought = f", or add {_REMOVED[name]} to packages, which has it" if _REMOVED[name] else ""
    return (
        f"Python has no module '{name}' any more: take a newer version of what imports it, set python to an older "
        f"one{brought}"
    )


def _other_version(name: str) -> str:
    return (
        f"the installed version of the package with '{name}' is newer, or older, than what imports it expects: set its "
        f"version in constraints, as '{name}<VERSION'"
    )


def _absent(name: str) -> str:
    return (
        f"no package that is installed has the module '{name}': add the one that has it to packages; when it is the "
        "application's own, it must be at the top of the code"
    )
