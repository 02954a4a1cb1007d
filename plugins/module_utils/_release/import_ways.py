# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Suggest what to install for an import that failed. Private to flaskops.stack."""

from __future__ import annotations

import re
import typing as t

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
_NAME = re.compile(r"cannot import name '\w+' from (?:partially initialized module )?'([\w.]+)' \(.*/site-packages/")


def import_way(text: str, own: str) -> str:
    """Return what to set for the import that ends C(text), and nothing for another failure.

    C(own) is the top module of the application, whose place is another matter.
    """
    raised = list(_RAISED.finditer(text))
    if not raised or not raised[-1]["kind"].endswith(("ImportError", "ModuleNotFoundError")):
        return ""
    module, name = _MODULE.search(raised[-1]["text"]), _NAME.search(raised[-1]["text"])
    if name:
        return _other_version(name[1].partition(".")[0])
    top, dot, _rest = module[1].partition(".") if module else ("", "", "")
    if not top or top == own:
        return ""
    if top in _REMOVED:
        return _removed(top)
    if dot and _IN_CODE.search(text[: raised[-1].start()].rpartition('  File "')[2]):
        return _own_or_other(top)
    return _other_version(top) if dot else _absent(top)


def _own_or_other(name: str) -> str:
    return (
        f"there is a '{name}' without that module: when it is a directory of the application, look whether its files "
        "are in the release (those of a submodule of git are not), and when it is a package, set its version in "
        "constraints, such as 'werkzeug<3'"
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
        "version in constraints, such as 'werkzeug<3'"
    )


def _absent(name: str) -> str:
    return (
        f"no package that is installed has the module '{name}': add the one that has it to packages; when it is the "
        "application's own, it must be at the top of the code"
    )
