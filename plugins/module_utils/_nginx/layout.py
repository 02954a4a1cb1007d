# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out where the nginx of a host reads sites, and as which user it runs. Private to flaskops.stack.

Debian's nginx.conf includes sites-enabled; that of other roles only names that end with .conf; that of nginx.org only
conf.d. There, our links have a directory of their own, which a file in conf.d includes.
"""

from __future__ import annotations

import os
import re
import typing as t

from .._system.files import read_file

ENABLED, SNIPPETS = "/etc/nginx/sites-enabled", "/etc/nginx/conf.d"
_OWN = "flaskops-sites"
# As Debian and Ubuntu deliver it: nothing needs to be parsed.
_USUAL = re.compile(
    r"^\s*include\s+/etc/nginx/conf\.d/\*\.conf;.*^\s*include\s+/etc/nginx/sites-enabled/\*;", re.MULTILINE | re.DOTALL
)
# What a link to a version of a site ends with.
_VERSION = re.compile(r"@[0-9a-f]{12}")
_PATTERN = re.compile(r"(/[^*?\[\]]*)/\*([A-Za-z0-9._-]*)")
_USER = re.compile(
    r"""^\s*user\s+["']?([^\s;#"']+)["']?(?:\s+["']?([^\s;#"']+)["']?)?\s*;""",
    re.MULTILINE,
)


class Included(t.NamedTuple):
    """A pattern of an include: names in a directory that end with a suffix."""

    directory: str
    suffix: str


class SitePaths(t.NamedTuple):
    """The directories of site links and shared files; C(include) is the include that a shared file needs, or empty."""

    sites: Included = Included(ENABLED, "")
    shared: Included = Included(SNIPPETS, ".conf")
    include: str = ""

    def chosen(self, directory: str | None, suffix: str | None) -> Included:
        """Return where links of sites belong when a caller may have chosen the directory or the suffix."""
        found = self.sites if directory is None else Included(os.path.normpath(directory), "")
        return found if suffix is None else found._replace(suffix=suffix)

    def shared_path(self, name: str) -> str:
        """Return the place of a shared file, under a name that nginx reads."""
        stem = os.path.splitext(name)[0] + self.shared.suffix if self.shared.suffix else name
        return os.path.join(self.shared.directory, stem)


def parse_site_paths(
    text: str, config: str, shared: bool, own: bool, used: t.Callable[[str], bool] = lambda _directory: False
) -> SitePaths:
    """Return the places by nginx's main configuration file: its text and path.

    C(shared) tells whether files are to be shared by sites, C(own) whether there are links in a directory of our own,
    and C(used) whether there are some in another directory.
    """
    if _USUAL.search(text):
        return SitePaths()
    found = _included(text, config)
    root = os.path.dirname(config)
    by_name = {os.path.basename(item.directory): item for item in reversed(found)}
    enabled, snippets = by_name.get("sites-enabled"), by_name.get("conf.d")
    # What sites share, such as formats of logs, has to come before them. Sites that are there stay where they are.
    if enabled and snippets and (found.index(snippets) < found.index(enabled) or (not own and used(enabled.directory))):
        return SitePaths(enabled, snippets)
    usable = snippets or enabled or next(iter(found), None)
    if usable and (shared or own):
        directory = os.path.join(root, _OWN)
        return SitePaths(Included(directory, ""), usable, os.path.join(directory, "*"))
    if usable:
        return SitePaths(enabled or usable, usable)
    return SitePaths()


def _included(text: str, config: str) -> list[Included]:
    """Return the patterns that the http block includes, in nginx's order."""
    from .._site.syntax import parse

    found = []
    for http in parse(text):
        for item in (http.block or ()) if http.name == "http" else ():
            pattern = item.args[0] if item.name == "include" and len(item.args) == 1 else ""
            match = _PATTERN.fullmatch(os.path.join(os.path.dirname(config), pattern))
            if match:
                found.append(Included(os.path.normpath(match.group(1)), match.group(2)))
    return found


def read_site_paths(config: str, planned: bytes | None = None, shared: bool = False) -> SitePaths:
    """Return the places on this host; C(planned) is the text that the main configuration file is about to get."""
    text = (planned if planned is not None else read_file(config) or b"").decode("utf-8", "surrogateescape")
    return parse_site_paths(
        text, config, shared, os.path.isdir(os.path.join(os.path.dirname(config), _OWN)), _has_sites
    )


def _has_sites(directory: str) -> bool:
    """Tell whether a directory has links that the collection made."""
    try:
        with os.scandir(directory) as entries:
            targets = [os.readlink(entry.path) for entry in entries if entry.is_symlink()]
    except OSError:
        return False
    return any(_VERSION.fullmatch(target[-13:]) for target in targets)


def account_of(text: str) -> tuple[str, str] | None:
    """Return the user and the group that nginx runs as by its main configuration file, None when it does not say so."""
    match = _USER.search(text)
    return (match.group(1), match.group(2) or match.group(1)) if match else None
