# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe the sites, the binary and the processes of an nginx. Private to flaskops.stack."""

from __future__ import annotations

import os
import typing as t

from .._system.paths import NGINX_STATE
from .binary import Nginx
from .journal import Journal
from .loaded import find_unloaded
from .loaded_state import LoadedState
from .model import NginxLayout, split_version
from .server import find_master
from .tree import list_directory, read_node


def kept_versions(layout: NginxLayout) -> dict[str, list[str]]:
    """Return the kept versions of each site, the one that was activated last first."""
    found: dict[str, list[tuple[int, str]]] = {}
    for base in list_directory(layout.available):
        kept = split_version(base)
        if kept is not None:
            activated = os.lstat(os.path.join(layout.available, base)).st_mtime_ns
            found.setdefault(kept[0], []).append((activated, kept[1]))
    return {name: [version for _time, version in sorted(items, reverse=True)] for name, items in found.items()}


def _entry(layout: NginxLayout, base: str, kept: t.Mapping[str, list[str]]) -> dict[str, t.Any]:
    path = os.path.join(layout.enabled, base)
    node = read_node(path, content=False)
    name = base[: len(base) - len(layout.suffix)] if base.endswith(layout.suffix) else base
    version = layout.version_of(name, node.target) if path == layout.link(name) else None
    state = "enabled" if version else "foreign"
    if node.kind == "link" and not os.path.exists(path):
        state = "dangling"
    versions = kept.get(name, []) if version else []
    return {
        "name": name if version else base,
        "state": state,
        "path": path,
        "target": node.target or None,
        "version": version,
        "versions": versions,
    }


def list_sites(layout: NginxLayout) -> list[dict[str, t.Any]]:
    """Return all entries that nginx may read, and our sites that are not linked."""
    kept = kept_versions(layout)
    entries = [_entry(layout, base, kept) for base in sorted(list_directory(layout.enabled)) if base[0] != "."]
    linked = {entry["name"] for entry in entries if entry["version"]}
    return entries + [
        {"name": name, "state": "disabled", "path": None, "target": None, "version": None, "versions": versions}
        for name, versions in sorted(kept.items())
        if name not in linked
    ]


def describe_nginx(layout: NginxLayout, nginx: Nginx, service: str, state: str = NGINX_STATE) -> dict[str, t.Any]:
    """Return everything that nginx_site_info reports."""
    build = nginx.build if nginx.present else None
    master = find_master(nginx.host, nginx.config, build, service) if build else None
    return {
        "sites": list_sites(layout),
        "pending": [step.path for step in Journal(nginx.config, layout.keep, state).read()],
        "unloaded": find_unloaded(nginx, LoadedState(nginx.config, state), layout, service, (), (), remember=False),
        "nginx": {
            "installed": build is not None,
            "version": build.version if build else "",
            "options": list(build.options) if build else [],
        },
        "running": {
            "master": master.pid if master else 0,
            "workers": sorted(master.workers()) if master else [],
            "leaving": sorted(master.workers(leaving=True)) if master else [],
        },
    }
