# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parse and validate the parameters of nginx_site. Private to flaskops.stack."""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass, field

from .._system.files import read_file
from .._system.paths import ANSWERS, LOCKS, NGINX_STATE, TLS
from .journal import JournalStep
from .layout import SitePaths, read_site_paths
from .model import ABSENT, NginxLayout, NginxSiteError, WantedFile, WantedSite
from .policy import Policy

if t.TYPE_CHECKING:
    from .host import NginxHost

# nginx reads a file in pieces, but a site of this size is a mistake.
MAX_SIZE = 16 * 1024 * 1024
# A part of a configuration for openssl(1), in which such names mean nothing else.
_HOST_NAME = re.compile(r"[A-Za-z0-9*_][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\]")
_BYTE_ORDER_MARK = "\ufeff".encode()
_MODE = re.compile(r"(?:0o)?[0-7]{1,5}")
_PLACE = re.compile(r"@[A-Za-z0-9@._~-]{1,200}")
_SITE = ("name", "state", "content", "src", "template", "version", "foreign", "rename_from")


@dataclass(frozen=True)
class NginxRequest:
    """The validated parameters of one call of the module."""

    layout: NginxLayout
    binary: str
    config: str
    # What nginx is started with as -p; '' for the one it was built with.
    prefix: str = ""
    sites: t.Sequence[WantedSite] = ()
    files: t.Sequence[WantedFile] = ()
    purge: bool = False
    service: str = "nginx"
    policy: Policy = field(default_factory=Policy)
    lock_timeout: float = 60
    reload_timeout: float = 30
    check: bool = False
    diff: bool = False
    # Whether an nginx that does not run is to be started with what changes.
    start: bool = False
    state: str = NGINX_STATE
    locks: str = LOCKS
    tls: str = TLS
    answers: str = ANSWERS
    # Whether these are the sites of a host, and not a single one.
    whole: bool = True
    # None for the host itself.
    host: NginxHost | None = None


@dataclass(frozen=True)
class PendingReload:
    """A reload that is pending: after a killed run, or because a file such as a certificate has changed."""

    journaled: bool
    unloaded: t.Sequence[str] = ()
    steps: t.Sequence[JournalStep] = ()

    @property
    def pending(self) -> bool:
        """Tell whether nginx may run another configuration than the one on disk."""
        return self.journaled or bool(self.unloaded)


def content_of(item: t.Mapping[str, t.Any], what: str) -> bytes | None:
    """Return the content that an item names, None when it names none; raise NginxSiteError when it is no text."""
    content: bytes | None = None
    if item["content"] is not None:
        content = item["content"].encode("utf-8", "surrogateescape")
    elif item["src"] is not None:
        content = read_file(item["src"])
        if content is None:
            raise NginxSiteError(
                f"{what}: src {item['src']} is not on the host; use template for a file of the controller"
            )
    elif item["template"] is not None:
        raise NginxSiteError(f"{what}: template {item['template']} was not rendered: it is on the controller")
    if content is not None and len(content) > MAX_SIZE:
        raise NginxSiteError(f"{what}: the content has {len(content)} bytes; {MAX_SIZE} are accepted")
    if content is not None and b"\0" in content:
        raise NginxSiteError(f"{what}: the content has a NUL byte at {content.index(0)}: it is no text file")
    return content


def wanted_sites(params: t.Mapping[str, t.Any], layout: NginxLayout) -> tuple[list[WantedSite], dict[str, str]]:
    """Return the wanted sites, and the templates they came from by the path under which nginx reads them."""
    items = params["sites"] if params["sites"] is not None else []
    if params["name"] is not None:
        items = [{key: params[key] for key in _SITE}]
    sites, origins = [], {}
    for item in items:
        name, state = item["name"], item["state"]
        content = content_of(item, f"site '{name}'")
        if content is not None and content.startswith(_BYTE_ORDER_MARK):
            raise NginxSiteError(
                f"site '{name}': the content begins with a byte order mark, which nginx takes for a part of the first "
                "word: save its file as UTF-8 without one (in editors of Windows: 'UTF-8', not 'UTF-8 with BOM')"
            )
        if item["version"] and state == ABSENT:
            raise NginxSiteError(f"site '{name}': version '{item['version']}' makes no sense with state absent")
        signed = item.get("self_signed") or {"names": [], "until_issued": False}
        sites.append(
            WantedSite(
                name,
                state,
                content,
                item["version"] or "",
                item["foreign"],
                item["rename_from"] or "",
                _names_of(name, signed["names"]),
                signed["until_issued"],
                item["passwords"].encode() if item.get("passwords") else None,
                _further_passwords(name, item.get("further_passwords") or []),
            )
        )
        if item["template"]:
            origins[layout.link(name)] = f"template {item['template']}"
    return sites, origins


def _further_passwords(site: str, items: t.Iterable[t.Mapping[str, str]]) -> dict[str, bytes]:
    """Return files by what their names have behind that of the site; raise NginxSiteError for a name that is none."""
    for item in items:
        if not _PLACE.fullmatch(item["place"]):
            raise NginxSiteError(
                f"site '{site}': further_passwords: place {item['place']!r} must be '@' and letters, digits and '@._~-'"
            )
    return {item["place"]: item["passwords"].encode() for item in items}


def _names_of(site: str, names: t.Iterable[str]) -> tuple[str, ...]:
    """Return the names of a self-signed certificate; raise NginxSiteError for one that cannot be in it."""
    for name in names:
        if not _HOST_NAME.fullmatch(name):
            raise NginxSiteError(f"site '{site}': self_signed: name {name!r} must be a host name or an address")
    return tuple(names)


def is_shared_file(item: t.Mapping[str, t.Any]) -> bool:
    """Tell whether a file is named without a directory: it belongs where nginx includes what sites share."""
    return "/" not in item["path"]


def site_paths_for(params: t.Mapping[str, t.Any]) -> SitePaths:
    """Return where nginx reads sites and what they share, as its main file is, or is about to be."""
    config = os.path.normpath(params["config"])
    return read_site_paths(config, _planned_main(params, config), any(map(is_shared_file, params["files"] or [])))


def main_text(params: t.Mapping[str, t.Any]) -> str:
    """Return the text of nginx's main file as it is, or is about to be."""
    config = os.path.normpath(params["config"])
    planned = _planned_main(params, config)
    return (planned if planned is not None else read_file(config) or b"").decode("utf-8", "surrogateescape")


def _planned_main(params: t.Mapping[str, t.Any], config: str) -> bytes | None:
    files = params["files"] or []
    planned = [item for item in files if os.path.normpath(item["path"]) == config and item["state"] != "absent"]
    return content_of(planned[0], f"file {config}") if planned else None


def parse_mode(text: str, what: str = "") -> int:
    """Return the mode of a file; raise NginxSiteError for what is none, or what YAML has made of one."""
    mode = int(text, 8) if _MODE.fullmatch(text) else -1
    owner, others = mode >> 6 & 7, (mode >> 3 | mode) & 7
    if mode < 0 or others & ~owner:
        raise NginxSiteError(
            f"{what}mode '{text}' must be an octal string like '0644', and give nobody more than the owner; without "
            "quotes YAML makes another number of it"
        )
    return mode


def wanted_files(params: t.Mapping[str, t.Any], places: SitePaths) -> list[WantedFile]:
    """Return the wanted further files; raise NginxSiteError for a missing content or an invalid path or mode."""
    items = params["files"] or []
    shared = [item for item in items if is_shared_file(item) and item["state"] != "absent"]
    # The first one brings the links of sites to nginx where its own file includes none of them.
    include = f"\n# nginx.conf does not include the sites.\ninclude {places.include};\n" if places.include else ""
    return [_wanted_file(item, places, include if item in shared[:1] else "") for item in items]


def _wanted_file(item: t.Mapping[str, t.Any], places: SitePaths, include: str) -> WantedFile:
    if is_shared_file(item) and (not item["path"] or item["path"].startswith(".")):
        raise NginxSiteError(
            f"file '{item['path']}' must be a name that does not begin with '.': nginx would not read it"
        )
    path = places.shared_path(item["path"]) if is_shared_file(item) else os.path.normpath(item["path"])
    if not path.startswith("/"):
        raise NginxSiteError(f"file '{item['path']}' must be an absolute path, or a name without a directory")
    if item["state"] == "absent":
        return WantedFile(path, None)
    content = content_of(item, f"file {path}")
    if content is None:
        raise NginxSiteError(f"file {path} has no content: give content, src or template, or state absent")
    mode = None if item["mode"] is None else parse_mode(item["mode"], f"file {path}: ")
    return WantedFile(path, content + include.encode(), mode)
