# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of requirements files that cannot be installed, and what to write. Private to flaskops.stack."""

from __future__ import annotations

import re
import urllib.parse

from .._input.redact import mask_urls
from .projects import ProjectError, Surroundings

# With the settings of a release older ones do not start.
OLDEST_GUNICORN = (20, 1)

_ELSEWHERE = re.compile(
    r";\s*(?:sys_platform|platform_system|os_name)\s*==\s*[\"'](?:win32|Windows|nt|[Dd]arwin)[\"']\s*$"
)
_EDIT = r"(?:-e|--editable)(?:\s*=\s*|\s+)"
_NAMED = r"(?P<name>[\w.-]+(?:\[[^\]]*\])?)\s*@\s*"
_FROZEN = re.compile(rf"{_NAMED}(?P<url>file://)(?:localhost)?(?P<path>/[^\s;#]+)")
_REPOSITORY = re.compile(rf"(?P<editable>{_EDIT})?(?:{_NAMED})?(?P<address>(?P<tool>git|hg|svn|bzr)\+[^\s;#]+)")
# As git's command line takes it, and no URL does: behind the host stands a port, and behind a user a password.
_SCP = re.compile(r"git\+(?:ssh://)?(?P<host>(?:[\w.-]+@)?[\w.-]+):(?!//|\d+(?:/|$)|[^/@]*@)(?P<path>.+)")
# Behind the path of a project.
_EXTRAS = re.compile(r"\[[\w\s,.-]*\]$")
_FRAGMENT = re.compile(r"[#&](?P<key>egg|subdirectory)=(?P<value>[^&\s;]+)")
_AT_PATH = re.compile(
    r"(?P<file>(?:-[rc]|--(?:requirement|constraint))(?:\s*=\s*|\s*))?"
    rf"(?:{_EDIT})?(?P<url>file:(?://(?:localhost)?(?=/))?)?(?P<path>/(?!/)[^\s;#]*|[A-Za-z]:[\\/][^\s;#]*)"
)
# An exact version alone, and on every host: what is allowed besides an old one, the installer knows.
_GUNICORN = re.compile(r"gunicorn\s*(?:\[[^\]]*\])?\s*\(?={2,3}\s*(?P<version>\d+(?:\.\d+)+)\)?", re.IGNORECASE)
_LIST = "'pip list --format=freeze > requirements.txt' writes what pip and uv read"
_FOREIGN = (
    (
        re.compile(r"\w[\w.-]*\s*=\s*[\w.!+*]+(?:\s*=\s*\w+)?"),
        f"has conda's single '=', which pip and uv refuse: {_LIST}",
    ),
    (
        re.compile(r"\w[\w.-]*\s+v?\d[\w.!+]*|Package\s+Version\b.*|-+(?:\s+-+)+"),
        f"is of a table of 'pip list': {_LIST}",
    ),
    (
        re.compile(r"(?:<{7}|>{7}|\|{7})\s.*|={7}"),
        "is what git writes into a file that it could not merge: keep one of the two sides",
    ),
)


def check_line(path: str, number: int, text: str, installer: str, around: Surroundings) -> None:
    """Raise ProjectError for a line of a requirements file that cannot be installed, and say what to write instead."""
    if _ELSEWHERE.search(text):
        return
    problem = (
        _explain_frozen(text, around)
        or _explain_repository(text, installer)
        or _explain_path(text, around)
        or next((means for pattern, means in _FOREIGN if pattern.fullmatch(text)), "")
        or _explain_gunicorn(text)
    )
    if problem:
        raise ProjectError(f"{path} line {number}, '{mask_urls(text)}', {problem}")


def _explain_frozen(text: str, around: Surroundings) -> str:
    frozen = _FROZEN.match(text)
    if not frozen or _is_there(frozen, around):
        return ""
    return (
        "names a path of the machine on which it was written (by conda, or 'pip freeze'): write "
        f"'{frozen.group('name')}' with its version instead, as 'pip list --format=freeze' prints it"
    )


def _explain_repository(text: str, installer: str) -> str:
    found = _REPOSITORY.match(text)
    if not found:
        return ""
    fragment = {match.group("key"): match.group("value") for match in _FRAGMENT.finditer(text)}
    name = found.group("name") or fragment.get("egg", "NAME")
    below = f"#subdirectory={fragment['subdirectory']}" if "subdirectory" in fragment else ""
    scp = _SCP.fullmatch(found.group("address"))
    address = f"git+ssh://{scp.group('host')}/{scp.group('path')}" if scp else found.group("address")
    instead = f"write '{name} @ {mask_urls(address)}{below}' instead"
    if installer == "uv" and found.group("tool") != "git":
        return f"is a repository of {found.group('tool')}, and uv reads those of git alone: set installer: pip"
    if scp:
        return f"has an address as the command line of git takes it, which pip and uv do not: {instead}"
    if installer == "uv" and found.group("editable"):
        return f"is editable, and uv installs nothing from a repository so: {instead}, or set installer: pip"
    return ""


def _explain_path(text: str, around: Surroundings) -> str:
    found = _AT_PATH.match(text)
    if not found or _is_there(found, around):
        return ""
    way_out = (
        "add that file to the source, and name it relative to this one"
        if found.group("file")
        else "write where this host gets the package from, such as 'NAME @ git+https://git.example.com/NAME.git'"
    )
    return f"names a path of the machine on which it was written: {way_out}"


def _is_there(found: re.Match[str], around: Surroundings) -> bool:
    """Tell whether the path of a requirement leads to anything on the host."""
    path = _EXTRAS.sub("", found.group("path"))
    return around.exists(urllib.parse.unquote(path) if found.group("url") else path)


def _explain_gunicorn(text: str) -> str:
    gunicorn = _GUNICORN.fullmatch(text)
    return explain_old_gunicorn() if gunicorn and is_too_old(gunicorn.group("version")) else ""


def is_too_old(gunicorn: str) -> bool:
    """Tell whether a version of gunicorn is older than what a release needs."""
    return tuple(int(part) for part in re.findall(r"\d+", gunicorn)[:2]) < OLDEST_GUNICORN


def explain_old_gunicorn() -> str:
    """Return how an error about an old gunicorn goes on."""
    oldest = ".".join(str(part) for part in OLDEST_GUNICORN)
    return (
        f"is older than {oldest}, with which a release does not run: write 'gunicorn>=21.2', or remove it (without it, "
        "gunicorn_requirement is installed)"
    )
