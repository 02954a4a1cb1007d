# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read and change nginx's configuration tree, which no other part of nginx_site does. Private to flaskops.stack."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import typing as t
from contextlib import suppress
from dataclasses import replace

from .._system.files import TEMPORARY, read_file, remove_file, replace_link, sync_directory, write_file
from .links import OldDirectory, discard_old, swap_links
from .model import (
    ENABLED,
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
    split_version,
    version_id,
)

_DPKG_STATUS = "/var/lib/dpkg/status"
# More than these are written first and made durable by one syncfs(2).
_FEW = 8


def list_directory(path: str) -> list[str]:
    """Return the names in a directory; none when there is no such directory."""
    try:
        return os.listdir(path)
    except FileNotFoundError:
        return []
    except NotADirectoryError as exc:
        raise NginxSiteError(f"{path} is not a directory: move it away or name another one") from exc


def _check_directories(layout: NginxLayout) -> None:
    """Raise NginxSiteError where there is no directory for sites, and none can be made."""
    for path in (layout.available, layout.enabled):
        if os.path.lexists(path) and not os.path.isdir(path):
            is_link = os.path.islink(path)
            what = f"a link to {os.readlink(path)}, where no directory is" if is_link else "not a directory"
            raise NginxSiteError(f"{path} is {what}: move it away or name another one")


def read_node(path: str, content: bool = True) -> Node:
    """Return what stands at a path; content is that of the file itself or of what a link leads to."""
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        return Node()
    if stat.S_ISLNK(info.st_mode):
        kind, target, data = "link", os.readlink(path), _regular(path) if content else None
    elif stat.S_ISREG(info.st_mode):
        kind, target, data = "file", "", read_file(path) if content else None
    else:
        kind, target, data = "directory" if stat.S_ISDIR(info.st_mode) else "other", "", None
    return Node(kind, target, data, stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid)


def _regular(path: str) -> bytes | None:
    """Return the content of the regular file that a path leads to, None for anything else (a FIFO would block)."""
    try:
        return read_file(path) if stat.S_ISREG(os.stat(path).st_mode) else None
    except OSError:
        return None


def read_current(
    layout: NginxLayout, sites: t.Sequence[WantedSite], files: t.Sequence[WantedFile], purge: bool
) -> CurrentTree:
    """Read as much of the tree as the plan needs."""
    _check_directories(layout)
    versions: dict[str, list[str]] = {}
    names = {name for site in sites for name in (site.name, site.rename_from)}
    for base in list_directory(layout.available):
        kept = split_version(base) if purge or base.rpartition("@")[0] in names else None
        if kept is not None:
            versions.setdefault(kept[0], []).append(kept[1])
    nodes = {}
    if purge:
        nodes = {base: read_node(os.path.join(layout.enabled, base), False) for base in list_directory(layout.enabled)}
    history: dict[str, list[Version]] = {}
    for site in sites:
        for name in filter(None, (site.name, site.rename_from)):
            node = read_node(layout.link(name))
            if site.foreign == UNMODIFIED and node.kind in ("link", "file"):
                node = replace(node, pristine=is_pristine(layout.link(name)))
            nodes[name + layout.suffix] = node
            history[name] = _history(layout, site, name, node, versions.get(name, ()))
    for name, kept_versions in versions.items():
        history.setdefault(name, [Version(version, 0) for version in kept_versions])
    passwords = {base: read_node(layout.password_path(base)) for base in _password_files(layout)}
    return CurrentTree(nodes, history, {item.path: read_node(item.path) for item in files}, passwords)


def _password_files(layout: NginxLayout) -> list[str]:
    return [base for base in list_directory(layout.passwords) if not base.startswith(TEMPORARY)]


def _history(layout: NginxLayout, site: WantedSite, name: str, node: Node, versions: t.Sequence[str]) -> list[Version]:
    """Return the kept versions of a site, the one activated last first, with content where it may be needed."""
    linked = layout.version_of(name, node.target)
    wanted = None if site.content is None or site.version else version_id(site.content)
    found = []
    for version in versions:
        path = layout.version_path(name, version)
        info = os.lstat(path)
        if stat.S_ISDIR(info.st_mode) and version == wanted:
            raise NginxSiteError(f"{path} is a directory, and a version of site '{name}' belongs there: move it away")
        if not stat.S_ISREG(info.st_mode):
            continue
        content = None
        if wanted is None or version in (linked, wanted):
            content = read_file(path)
            # A version that was edited by hand is nothing to go back to, unless it is what nginx reads now.
            if content is not None and version_id(content) != version and version not in (linked, wanted):
                continue
        found.append(Version(version, info.st_mtime_ns, stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid, content))
    return sorted(found, key=lambda item: item.activated, reverse=True)


def is_pristine(path: str) -> bool:
    """Tell whether a path leads to a configuration file that is byte for byte as its Debian package installed it."""
    content = _regular(path)
    status = read_file(_DPKG_STATUS)
    if content is None or status is None:
        return False
    target = os.path.join(os.path.dirname(path), os.readlink(path)) if os.path.islink(path) else path
    # The package knows its file by a path in which a directory may be a link by now, such as /etc/nginx.
    names = (os.path.normpath(target), os.path.realpath(path))
    found = hashlib.md5(content).hexdigest()  # noqa: S324 - the sum that dpkg keeps
    lines = [f"\n {name} {found}".encode() for name in names]
    return any(line + end in status for line in lines for end in (b"\n", b" obsolete\n"))


def write_stores(layout: NginxLayout, stores: t.Sequence[Store]) -> None:
    """Write versions that nothing reads yet, durably."""
    if not stores:
        return
    os.makedirs(layout.available, mode=0o755, exist_ok=True)
    few = len(stores) <= _FEW
    for store in stores:
        write_file(store.path, store.content, layout.mode, layout.uid, layout.gid, sync=False)
    if few:
        for store in stores:
            _sync_file(store.path)
        sync_directory(layout.available)
    else:
        _sync_filesystem(layout.available)


def _sync_file(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_filesystem(directory: str) -> None:
    """Make everything written to the file system of a directory durable."""
    import ctypes  # Python has no syncfs(2), and few runs need it.

    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), directory)
    finally:
        os.close(descriptor)


def set_permissions(layout: NginxLayout, paths: t.Iterable[str]) -> None:
    """Give versions the wanted owner and mode."""
    for path in paths:
        # Not by name: in a directory that others may write to, it could be a link by now.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            os.fchown(descriptor, layout.uid, layout.gid)
            os.fchmod(descriptor, layout.mode)
        finally:
            os.close(descriptor)


def mark_used(paths: t.Iterable[str]) -> None:
    """Record that versions are in use from now on: their modification time orders the history."""
    for path in paths:
        os.utime(path, follow_symlinks=False)


def activation_times(paths: t.Iterable[str]) -> dict[str, int]:
    """Return when versions were last in use, as C(mark_used) has recorded it."""
    return {path: os.lstat(path).st_mtime_ns for path in paths if os.path.lexists(path)}


def forget_use(plan: NginxPlan, times: t.Mapping[str, int]) -> None:
    """Let the history be as if a change had not been: versions that nginx could not load are none to go back to."""
    # An error may also have kept links from being put back.
    linked = {os.readlink(swap.path) for swap in plan.swaps if os.path.islink(swap.path)}
    new = [store.path for store in plan.stores if store.path not in linked]
    # What cannot be removed does no harm; the error that is under way says more.
    with suppress(OSError):
        remove_versions([path for path in new if os.path.lexists(path)])
    for path, moment in times.items():
        with suppress(OSError):
            os.utime(path, ns=(moment, moment), follow_symlinks=False)


def write_node(path: str, node: Node) -> None:
    """Make a path what the node says, by one rename or unlink; the caller syncs."""
    if node.kind == "link":
        replace_link(node.target, path, sync=False)
    elif node.kind == "file":
        write_file(path, node.content or b"", node.mode, node.uid, node.gid, sync=False)
    else:
        remove_file(path, sync=False)


def write_nodes(nodes: t.Sequence[tuple[str, Node]]) -> list[OldDirectory]:
    """Make each path what its node says, and make that durable; the links of one directory change all at once.

    Return what the caller has to discard. A name that stays leads to something at every instant.
    """
    by_directory: dict[str, list[tuple[str, Node]]] = {}
    for path, node in nodes:
        by_directory.setdefault(os.path.dirname(path), []).append((path, node))
    former: list[OldDirectory] = []
    try:
        # Files come first: a site may need them, and they cannot change together with the links.
        for directory, items in sorted(by_directory.items(), key=lambda pair: _only_links(pair[1])):
            former += _put_into(directory, items)
    except OSError:
        discard_old(former)
        raise
    return former


def _put_into(directory: str, items: t.Sequence[tuple[str, Node]]) -> list[OldDirectory]:
    os.makedirs(directory, mode=0o755, exist_ok=True)
    links = {os.path.basename(path): node.target or None for path, node in items}
    former = swap_links(directory, links) if len(items) > 1 and _only_links(items) else None
    if former is not None:
        return [former]
    for path, node in items:
        write_node(path, node)
        if node.kind == "file":
            _sync_file(path)
    sync_directory(directory)
    return []


def _only_links(items: t.Sequence[tuple[str, Node]]) -> bool:
    return all(node.kind in ("link", "absent") for _path, node in items)


def apply_swaps(swaps: t.Sequence[Swap]) -> list[OldDirectory]:
    """Make the changes of a plan visible to nginx; return the old directories to remove."""
    return write_nodes([(item.path, item.after) for item in swaps])


def remove_versions(paths: t.Sequence[str]) -> None:
    """Remove versions."""
    for path in paths:
        remove_file(path, sync=False)
    for directory in dict.fromkeys(os.path.dirname(path) for path in paths):
        sync_directory(directory)


def keep_linked(layout: NginxLayout, plan: NginxPlan) -> None:
    """Take from the removals of a plan the versions to which links of others lead: nginx would not start without."""
    own = {swap.path for swap in plan.swaps}
    paths = [os.path.join(layout.enabled, base) for base in sorted(list_directory(layout.enabled))]
    links = {os.path.realpath(path): path for path in paths if path not in own and os.path.islink(path)}
    kept = [path for path in plan.removals if os.path.realpath(path) in links]
    plan.removals = [path for path in plan.removals if path not in kept]
    plan.warnings += [
        f"{path} stays: {links[os.path.realpath(path)]} leads to it, by a link of others" for path in kept
    ]


def unused_answers(prefix: str, sites: t.Sequence[WantedSite], gone: t.Collection[str], purge: bool) -> list[str]:
    """Return the directories with answers that nginx has kept of sites which keep none any more, or are gone.

    C(prefix) is their path up to the name of the site; C(purge) is for those of sites that are not known any more.
    """
    directory, begin = os.path.dirname(prefix), f"{os.path.basename(prefix)}-"
    found = [base for base in list_directory(directory) if base.startswith(begin)]
    if not found:
        return []
    known = {site.name: site for site in sites}
    paths = [os.path.join(directory, base) for base in sorted(found)]
    return [path for path in paths if os.path.isdir(path) and _is_unused(path, prefix, known, gone, purge)]


def _is_unused(path: str, prefix: str, known: t.Mapping[str, WantedSite], gone: t.Collection[str], purge: bool) -> bool:
    # Behind an '@' is the path of an application that is mounted there.
    name = path[len(prefix) + 1 :].partition("@")[0]
    site = known.get(name)
    if site is None:
        return purge or name in gone
    if site.state != ENABLED:
        return True
    # Of a site whose text is not given, nothing is known.
    return site.content is not None and not site.version and f'"{path}"'.encode() not in site.content


def remove_leftovers(directories: t.Iterable[str]) -> None:
    """Remove leftovers of a killed run; the caller holds the lock."""
    for directory in directories:
        for base in list_directory(directory):
            if base.startswith(TEMPORARY):
                path = os.path.join(directory, base)
                if os.path.isdir(path) and not os.path.islink(path):
                    shutil.rmtree(path)
                else:
                    remove_file(path)


def touched_directories(layout: NginxLayout, plan: NginxPlan) -> list[str]:
    """Return the directories in which a run with this plan writes."""
    places = [layout.available, layout.enabled, os.path.dirname(os.path.realpath(layout.enabled))]
    return list(dict.fromkeys([*places, *(os.path.dirname(item.path) for item in plan.swaps)]))
