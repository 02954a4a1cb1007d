# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan the changes that lead from the current to the wanted sites. Private to flaskops.stack."""

from __future__ import annotations

import os
import typing as t

from .model import (
    ABSENT,
    DISABLED,
    ENABLED,
    REPLACE,
    UNMODIFIED,
    CurrentTree,
    NginxLayout,
    NginxPlan,
    NginxSiteError,
    Node,
    Store,
    Swap,
    Version,
    WantedFile,
    WantedSite,
    check_site_name,
    version_id,
)

# Hashes are for nginx alone.
PASSWORD_MODE = 0o640


def _check_layout(layout: NginxLayout) -> None:
    if layout.available == layout.enabled:
        raise NginxSiteError(
            f"directory_available and directory_enabled are both {layout.available}: nginx would read all versions; "
            "name two directories"
        )
    if layout.available.startswith(f"{layout.enabled}/"):
        raise NginxSiteError(
            f"directory_available {layout.available} lies in directory_enabled {layout.enabled}, where nginx takes it "
            "for a file of its configuration: name one beside it"
        )


def check_wanted(sites: t.Sequence[WantedSite], files: t.Sequence[WantedFile], layout: NginxLayout) -> None:
    """Raise NginxSiteError for wanted sites that contradict each other or the layout."""
    _check_layout(layout)
    names: set[str] = set()
    for site in sites:
        for name in filter(None, (check_site_name(site.name), site.rename_from)):
            check_site_name(name)
            if name in names:
                raise NginxSiteError(f"site '{name}' is listed twice (as a name or in rename_from): list it once")
            names.add(name)
    paths = [item.path for item in files]
    for path in paths:
        if paths.count(path) > 1:
            raise NginxSiteError(f"file {path} is listed twice: list it once")
        if os.path.dirname(path) in (layout.available, layout.enabled):
            raise NginxSiteError(
                f"file {path} lies in a directory of sites: list it in sites, or give one of them another directory "
                "(role nginx: nginx_shared_file, which nginx has to include before sites, or nginx_directory_enabled, "
                "which is found out when it is empty)"
            )


def _site_of(base: str) -> str:
    """Return the site that a file with passwords is of: behind an '@' is a path of it."""
    return base.partition("@")[0]


class Planner:
    """Collects the operations for one wanted set; the result is in C(plan)."""

    def __init__(self, layout: NginxLayout, current: CurrentTree) -> None:
        """Start with the tree as it is."""
        self.plan = NginxPlan()
        self._layout = layout
        self._current = current

    def node(self, name: str) -> Node:
        """Return the node at the path of a site's link."""
        return self._current.nodes.get(name + self._layout.suffix, Node())

    def linked(self, name: str) -> str | None:
        """Return the version that a link of ours points to."""
        return self._layout.version_of(name, self.node(name).target)

    def site(self, wanted: WantedSite) -> None:
        """Plan one site."""
        if not self._may_act(wanted, wanted.name):
            self._report(wanted.name, "foreign", self.node(wanted.name).target or None)
            return
        if wanted.state == ENABLED:
            self._enable(wanted)
        else:
            self._unlink(wanted.name, wanted.state)
        if wanted.rename_from and self._may_act(wanted, wanted.rename_from):
            if wanted.state != ABSENT:
                self._keep_foreign(wanted.name, self.node(wanted.rename_from))
            # A kept version names the password file by the site's name at that time.
            self._unlink(wanted.rename_from, ABSENT, wanted.content is not None)

    def _may_act(self, wanted: WantedSite, name: str) -> bool:
        """Tell whether a path may be changed; raise NginxSiteError where C(foreign) forbids it."""
        node, path = self.node(name), self._layout.link(name)
        if node.kind in ("directory", "other"):
            what = "a directory" if node.kind == "directory" else "neither a file nor a link"
            raise NginxSiteError(f"{path} is {what}, not a link to a site: move it away")
        if node.kind == "absent" or self.linked(name) or wanted.foreign == REPLACE:
            return True
        found = f"a link to {node.target}" if node.kind == "link" else "a regular file"
        if wanted.foreign == UNMODIFIED:
            if not node.pristine:
                self.plan.warnings.append(f"{path} is {found} that is not as its package left it: left alone")
            return node.pristine
        raise NginxSiteError(
            f"{path} is {found} that this module did not make: choose another name, "
            "or set foreign to 'replace' to take it over (what it points to is kept)"
        )

    def _content(self, wanted: WantedSite) -> bytes:
        """Return the content that a site is to have."""
        if wanted.content is not None and not wanted.version:
            return wanted.content
        source = wanted.name
        history = self._current.versions.get(source, ())
        if not history and wanted.rename_from:
            source = wanted.rename_from
            history = self._current.versions.get(source, ())
        version = wanted.version or self.linked(source) or (history[0].version if history else "")
        if version == "previous":
            version = next((item.version for item in history if item.version != self.linked(source)), "")
        content = next((item.content for item in history if item.version == version), None)
        if content is None:
            kept = ", ".join(item.version for item in history) or "none"
            asked = f"version '{wanted.version}'" if wanted.version else "content, and no earlier version"
            raise NginxSiteError(
                f"site '{wanted.name}' has no {asked} (kept: {kept}): give its content, src or template"
            )
        return content

    def _enable(self, wanted: WantedSite) -> None:
        name, content = wanted.name, self._content(wanted)
        version, before = version_id(content), self.node(name)
        path = self._layout.version_path(name, version)
        kept = next((item for item in self._current.versions.get(name, ()) if item.version == version), None)
        if before.kind == "link" and before.target == path:
            self._restore_version(name, path, kept, content)
        else:
            if kept is None or kept.content != content:
                self.plan.stores.append(Store(path, content))
            self._keep_foreign(name, before)
            if before.kind != "absent" and not self.linked(name):
                self.plan.replaced.append(self._layout.link(name))
            self.plan.swaps.append(Swap(self._layout.link(name), before, Node("link", path, content)))
            self.plan.activated.append(path)
        if kept is not None and not self._has_right_owner(kept):
            self.plan.permissions.append(path)
        self._set_passwords(wanted)
        self._prune(name, version)
        self._report(name, ENABLED, before.target or None, path)

    def _restore_version(self, name: str, path: str, kept: Version | None, content: bytes) -> None:
        """Restore a linked version that was edited by hand or is gone."""
        if kept is None or kept.content != content:
            layout = self._layout
            old = Node() if kept is None else Node("file", "", kept.content, kept.mode, kept.uid, kept.gid)
            new = Node("file", "", content, layout.mode, layout.uid, layout.gid)
            self.plan.swaps.append(Swap(path, old, new, layout.link(name)))

    def _has_right_owner(self, kept: Version) -> bool:
        return (kept.mode, kept.uid, kept.gid) == (self._layout.mode, self._layout.uid, self._layout.gid)

    def _keep_foreign(self, name: str, before: Node) -> None:
        """Keep the content of a regular file that is taken over as a version of the site."""
        if before.kind == "file" and before.content is not None:
            old = self._layout.version_path(name, version_id(before.content))
            if all(store.path != old for store in self.plan.stores):
                self.plan.stores.append(Store(old, before.content))

    def _set_passwords(self, wanted: WantedSite) -> None:
        """Plan the password files: written before their site, and removed when nginx has loaded one without.

        Of a site whose content is not given, nothing is known about passwords.
        """
        files = {wanted.name + place: text for place, text in wanted.further_passwords.items()}
        if wanted.passwords:
            files[wanted.name] = wanted.passwords
        for base, text in files.items():
            self._set_password_file(base, text)
        if wanted.content is not None and not wanted.version:
            self._remove_passwords(wanted.name, files)

    def _set_password_file(self, base: str, text: bytes) -> None:
        layout, path = self._layout, self._layout.password_path(base)
        before = self._current.passwords.get(base, Node())
        if before.kind not in ("absent", "file", "link"):
            raise NginxSiteError(f"{path} is a {before.kind}, not a file with passwords: move it away")
        after = Node("file", "", text, PASSWORD_MODE, layout.uid, layout.workers)
        if before != after:
            self.plan.swaps.append(Swap(path, before, after, secret=True))

    def _remove_passwords(self, name: str, kept: t.Container[str] = ()) -> None:
        for base, node in self._current.passwords.items():
            if _site_of(base) == name and base not in kept and node.kind in ("file", "link"):
                self.plan.removals.append(self._layout.password_path(base))

    def _unlink(self, name: str, state: str, passwords: bool = True) -> None:
        before = self.node(name)
        if before.kind != "absent":
            if state == DISABLED:
                self._keep_foreign(name, before)
            self.plan.swaps.append(Swap(self._layout.link(name), before, Node()))
        if state == ABSENT and passwords:
            # Before the versions, by which a run after this one knows that something is left to be removed.
            self._remove_passwords(name)
        if state == ABSENT:
            history = self._current.versions.get(name, ())
            self.plan.removals += [self._layout.version_path(name, item.version) for item in history]
        else:
            self._prune(name, self.linked(name))
        self._report(name, state, before.target or None)

    def _prune(self, name: str, newest: str | None) -> None:
        """Plan to remove the oldest versions, never the one that is or was just in use."""
        others = [item.version for item in self._current.versions.get(name, ()) if item.version != newest]
        room = max(self._layout.keep - (1 if newest else 0), 0)
        self.plan.removals += [self._layout.version_path(name, version) for version in others[room:]]

    def _report(self, name: str, state: str, previous: str | None, current: str | None = None) -> None:
        current = previous if state == "foreign" else current
        self.plan.sites.append({"name": name, "state": state, "previous": previous, "current": current})

    def purge(self, listed: t.Container[str]) -> None:
        """Plan to remove all sites of the collection that are not listed."""
        suffix = self._layout.suffix
        linked = [name[: len(name) - len(suffix)] for name in self._current.nodes if name.endswith(suffix)]
        ours = {name for name in linked if self.linked(name)} | set(self._current.versions)
        ours |= set(map(_site_of, self._current.passwords))
        for name in sorted(ours):
            # A foreign link may have the name of a site that we made once; only our versions go.
            if name not in listed and (self.linked(name) or self.node(name).kind == "absent"):
                self._unlink(name, ABSENT)

    def file(self, wanted: WantedFile) -> None:
        """Plan one file beside the sites; its mode and owner stay unless a mode is given."""
        before = self._current.files.get(wanted.path, Node())
        if before.kind not in ("absent", "file"):
            raise NginxSiteError(f"{wanted.path} is a {before.kind}, not a regular file: name the file itself")
        mode = wanted.mode if wanted.mode is not None else (before.mode if before.kind == "file" else self._layout.mode)
        owner = (before.uid, before.gid) if before.kind == "file" else (self._layout.uid, self._layout.gid)
        after = Node() if wanted.content is None else Node("file", "", wanted.content, mode, *owner)
        changed = (before.kind, before.content, before.mode) != (after.kind, after.content, after.mode)
        if changed:
            self.plan.swaps.append(Swap(wanted.path, before, after))
        self.plan.files.append({"path": wanted.path, "changed": changed})


def make_plan(
    layout: NginxLayout,
    current: CurrentTree,
    sites: t.Sequence[WantedSite],
    files: t.Sequence[WantedFile] = (),
    purge: bool = False,
) -> NginxPlan:
    """Return the changes that lead to the wanted sites and files; raise NginxSiteError where that is impossible."""
    check_wanted(sites, files, layout)
    planner = Planner(layout, current)
    for site in sites:
        planner.site(site)
    for item in files:
        planner.file(item)
    if purge:
        planner.purge({name for site in sites for name in (site.name, site.rename_from)})
    return planner.plan
