# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell the build of a project its version where it would ask git: a release has no C(.git).

Private to flaskops.stack.
"""

from __future__ import annotations

import re
import typing as t

Reader = t.Callable[[str], t.Optional[str]]
# Returns how git describes the commit by its tags; an empty text where it does not.
Describe = t.Callable[[], str]

_FILES = ("pyproject.toml", "setup.cfg", "setup.py")
# setuptools_scm, hatch-vcs, flit_scm; pbr; versioningit; setuptools-git-versioning; uv-dynamic-versioning and its like.
_ASKS_GIT = re.compile(r"scm|\bvcs\b|hatch[-_]vcs|\bpbr\b|versioningit|git[-_]versioning|dynamic[-_]versioning|dunamai")
_NAMES = (
    ("pyproject.toml", r"^\[(?:project|tool\.poetry)\]\s*$(?:(?!^\[).*\n)*?^name\s*=\s*[\"']([^\"']+)[\"']"),
    ("setup.cfg", r"^\[metadata\]\s*$(?:(?!^\[).*\n)*?^name\s*[=:]\s*(\S+)"),
    ("setup.py", r"\bname\s*=\s*[\"']([^\"']+)[\"']"),
)
# Tags without a digit, such as 'latest', are no versions; setuptools_scm leaves them out, too.
DESCRIBE = ("describe", "--tags", "--long", "--match=*[0-9]*")
# A version (PEP 440) behind any words.
_DESCRIPTION = re.compile(
    r"(?:(?!v\d)[a-z][\w.]*[-_/])*v?"
    r"(\d+(?:\.\d+)*(?:[-._]?(?:alpha|beta|preview|pre|a|b|c|rc|post|dev)\.?\d*)?)-(\d+)-g([0-9a-f]+)",
    re.IGNORECASE,
)
# Of these only the project itself reads the variable, when it names the tool.
_VARIABLES = (
    ("pdm", "PDM_BUILD_SCM_VERSION"),
    ("poetry-dynamic-versioning", "POETRY_DYNAMIC_VERSIONING_BYPASS"),
    ("uv-dynamic-versioning", "UV_DYNAMIC_VERSIONING_BYPASS"),
)


def scm_version(description: str, commit: str) -> str:
    """Return the version; C(description) is the output of C(git describe) with DESCRIBE."""
    found = _DESCRIPTION.fullmatch(description)
    if found is None:
        return f"0+g{commit[:7]}"
    tagged, distance, short = found.groups()
    if distance == "0":
        return tagged
    # A version has one such part at most (PEP 440).
    has_part = re.search("post|dev", tagged, re.IGNORECASE)
    return f"{tagged}+{distance}.g{short}" if has_part else f"{tagged}.post{distance}+g{short}"


def scm_environment(read: Reader, describe: Describe, commit: str) -> dict[str, str]:
    """Return the environment that tells a build the version of the project in the source."""
    if not _is_asked(read, describe):
        return {}
    version, project, name = scm_version(describe(), commit), read("pyproject.toml") or "", project_name(read)
    values = {variable: version for tool, variable in _VARIABLES if tool in project}
    if name:
        key = re.sub(r"[-_.]+", "_", name).upper()
        values[f"SETUPTOOLS_SCM_PRETEND_VERSION_FOR_{key}"] = version
    return values


def scm_files(read: Reader, describe: Describe, commit: str) -> dict[str, str]:
    """Return the files that tell it to a tool without a variable of the project's own: what a sdist has."""
    if not _is_asked(read, describe) or read("PKG-INFO") is not None:
        return {}
    name = project_name(read)
    version = scm_version(describe(), commit)
    lines = ["Metadata-Version: 2.1", *([f"Name: {name}"] if name else []), f"Version: {version}"]
    return {"PKG-INFO": "\n".join(lines) + "\n"}


def project_name(read: Reader) -> str:
    """Return the name of the project, an empty text where it is nowhere written down."""
    for path, pattern in _NAMES:
        found = re.search(pattern, (read(path) or "") + "\n", re.MULTILINE)
        if found:
            return found.group(1)
    return ""


def _is_asked(read: Reader, describe: Describe) -> bool:
    """Tell whether the build of a project would ask git; a sdist has its version in it."""
    if not any(_ASKS_GIT.search(read(path) or "") for path in _FILES):
        return False
    return read("PKG-INFO") is None or bool(describe())
