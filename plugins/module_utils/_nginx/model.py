# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data types of nginx_site: sites, versions, links and plans. Private to flaskops.stack."""

from __future__ import annotations

import hashlib
import os
import re
import typing as t
from dataclasses import dataclass, field

from .._system.paths import NGINX_PASSWORDS

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_VERSION = re.compile(r"(.+)@([0-9a-f]{12})")

# Ansible's default for max_diff_size.
MAX_SHOWN = 104448
_HIDDEN = "(not shown)\n"

ENABLED, DISABLED, ABSENT = "enabled", "disabled", "absent"
REFUSE, UNMODIFIED, REPLACE = "refuse", "unmodified", "replace"
# The link to the certificate that a site has now.
CURRENT = "current"


class NginxSiteError(ValueError):
    """Wanted sites that contradict each other, or a directory tree in which they cannot be placed."""


def version_id(content: bytes) -> str:
    """Return the name of a version: it says what is in it, so equal content is one version."""
    return hashlib.sha256(content).hexdigest()[:12]


def check_site_name(name: str) -> str:
    """Return C(name) when it is safe as a file name that nginx includes; raise NginxSiteError otherwise."""
    if not _NAME.fullmatch(name):
        raise NginxSiteError(f"name {name!r} must be 1 to 64 letters, digits, '.', '-' or '_' and not start with '.'")
    return name


@dataclass(frozen=True)
class NginxLayout:
    """Where the sites of one nginx live."""

    available: str
    enabled: str
    suffix: str = ""
    keep: int = 5
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    # The group of nginx's workers, which read the passwords of sites.
    workers: int = 0
    passwords: str = NGINX_PASSWORDS

    def link(self, name: str) -> str:
        """Return the path that nginx includes for a site."""
        return os.path.join(self.enabled, name + self.suffix)

    def password_path(self, name: str) -> str:
        """Return the file with the passwords of a site."""
        return os.path.join(self.passwords, name)

    def version_path(self, name: str, version: str) -> str:
        """Return the file that holds one version of a site."""
        return os.path.join(self.available, f"{name}@{version}")

    def version_of(self, name: str, target: str) -> str | None:
        """Return the version that a link's target stands for, or None when the link is not ours."""
        directory, base = os.path.split(target)
        match = _VERSION.fullmatch(base)
        return match.group(2) if match and directory == self.available and match.group(1) == name else None


def split_version(base: str) -> tuple[str, str] | None:
    """Return site and version of a file name in the directory of versions, or None when it is not ours."""
    match = _VERSION.fullmatch(base)
    return (match.group(1), match.group(2)) if match and _NAME.fullmatch(match.group(1)) else None


@dataclass(frozen=True)
class WantedSite:
    """One site as it should be; C(content) None takes the version that is linked, or was linked last."""

    name: str
    state: str = ENABLED
    content: bytes | None = None
    version: str = ""
    foreign: str = REFUSE
    rename_from: str = ""
    # The names of its self-signed certificate; none when it needs none.
    self_signed: tuple[str, ...] = ()
    until_issued: bool = False
    # The content of its password file.
    passwords: bytes | None = field(default=None, repr=False)
    # Those of applications below its paths, by what the name of the file has behind that of the site.
    further_passwords: t.Mapping[str, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class WantedFile:
    """One more file of nginx's tree; C(content) None means that there is none."""

    path: str
    content: bytes | None
    mode: int | None = None


@dataclass(frozen=True)
class Node:
    """What stands at one path: C(kind) is absent, link, file, directory or other; C(content) follows a link."""

    kind: str = "absent"
    target: str = ""
    content: bytes | None = None
    mode: int = 0
    uid: int = 0
    gid: int = 0
    pristine: bool = False


@dataclass(frozen=True)
class Version:
    """A kept version of a site; C(activated) orders the history, C(content) is read only where it matters."""

    version: str
    activated: int
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    content: bytes | None = None


@dataclass(frozen=True)
class CurrentTree:
    """The tree as it is: link directory by file name, versions by site with the newest first, other files by path."""

    nodes: t.Mapping[str, Node] = field(default_factory=dict)
    versions: t.Mapping[str, t.Sequence[Version]] = field(default_factory=dict)
    files: t.Mapping[str, Node] = field(default_factory=dict)
    # Password files by the names of their sites.
    passwords: t.Mapping[str, Node] = field(default_factory=dict)


@dataclass(frozen=True)
class Store:
    """Keep a version that nothing reads yet."""

    path: str
    content: bytes


@dataclass(frozen=True)
class Swap:
    """Make one rename (or unlink) in what nginx reads; C(read_as) is the name by which nginx reads it.

    What is C(secret) is not shown; nginx reads it with each request, not when it loads its configuration.
    """

    path: str
    before: Node
    after: Node
    read_as: str = ""
    secret: bool = False


@dataclass(frozen=True)
class CertificateChange:
    """Files of a self-signed certificate to write, and where the link to the current one leads then.

    No files mean that they are not made anew, or, in check mode, that the host has nothing to make them with.
    """

    directory: str
    target: str
    files: t.Mapping[str, bytes]
    before: str
    after: str
    # What nginx finds through the link then, where that is not what is written.
    found: t.Mapping[str, bytes] = field(default_factory=dict)
    # The link leads nowhere now: nothing can be loaded through it, nor tested.
    is_broken: bool = False

    @property
    def path(self) -> str:
        """Return the link by which nginx finds the certificate."""
        return os.path.join(self.directory, CURRENT)


@dataclass
class NginxPlan:
    """Everything to be done, in the order in which it is done."""

    stores: list[Store] = field(default_factory=list)
    permissions: list[str] = field(default_factory=list)
    swaps: list[Swap] = field(default_factory=list)
    activated: list[str] = field(default_factory=list)
    # Links and files of others whose place a site takes.
    replaced: list[str] = field(default_factory=list)
    removals: list[str] = field(default_factory=list)
    sites: list[dict[str, str | None]] = field(default_factory=list)
    files: list[dict[str, str | bool]] = field(default_factory=list)
    certificates: list[dict[str, str | bool]] = field(default_factory=list)
    changes: list[CertificateChange] = field(default_factory=list)
    # Directories with certificates of sites that are gone, and with answers that are kept no longer.
    obsolete: list[str] = field(default_factory=list)
    unused_answers: list[str] = field(default_factory=list)
    # Sites that are gone, and of which certbot still has a certificate that it renews.
    left_certificates: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Tell whether anything on disk is to be changed."""
        return bool(
            self.stores or self.permissions or self.removals or self.obsolete or self.unused_answers or self.is_read
        )

    @property
    def is_read(self) -> bool:
        """Tell whether nginx reads any of what changes."""
        return bool(self.swaps or self.changes)

    def staged_changes(self) -> dict[str, bytes | None]:
        """Return the content, or None for nothing, of each path that nginx would find different."""
        staged = {swap.read_as or swap.path: swap.after.content for swap in self.swaps if not swap.secret}
        for change in self.changes:
            # Through a link that leads nowhere, a file would be made there.
            files = {} if change.is_broken else (change.found or change.files)
            staged.update({os.path.join(change.path, name): text for name, text in files.items()})
        return staged


def diff_of(plan: NginxPlan) -> list[dict[str, str]]:
    """Return what changes for nginx, one entry for each path, with the targets of links in the headers."""
    return [
        {
            "before_header": _header(swap.path, swap.before),
            "after_header": _header(swap.path, swap.after),
            "before": _text(swap, swap.before),
            "after": _text(swap, swap.after),
        }
        for swap in plan.swaps
    ] + [
        {
            "before_header": change.path,
            "after_header": f"{change.path} -> {change.target}",
            "before": change.before,
            "after": change.after,
        }
        for change in plan.changes
    ]


def _text(swap: Swap, node: Node) -> str:
    """Return a content as it is shown; a long one by its size, as Ansible does it."""
    data = node.content or b""
    if swap.secret:
        return _HIDDEN if data else ""
    return data.decode("utf-8", "replace") if len(data) <= MAX_SHOWN else f"({len(data)} bytes)\n"


def _header(path: str, node: Node) -> str:
    return f"{path} -> {node.target}" if node.kind == "link" else f"{path} ({node.kind})"
