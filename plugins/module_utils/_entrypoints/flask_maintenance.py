# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Close an application to visitors and open it again: a file that nginx looks for. Private to flaskops.stack."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from .._deploy.observe import UNITS, UnitDirectory
from .._deploy.plan import is_process
from .._input.values import check_name
from .._release.model import Layout
from .._release.release import current_id
from .._release.releases import find_applications
from .._system.files import read_file, remove_file, write_file
from .._system.systemd import show_matching, systemctl

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Down for maintenance</title>
<style>
body { margin: 20vh auto; max-width: 30em; padding: 0 1em; font: 1.1em/1.5 system-ui, sans-serif }
body { color: #333; background: #fff }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #222 } }
</style>
</head>
<body>
<h1>Down for maintenance</h1>
<p>This site is being worked on. Please come back in a few minutes.</p>
</body>
</html>
"""


class MaintenanceError(ValueError):
    """An application that cannot be closed."""


@dataclass(frozen=True)
class MaintenanceRequest:
    """The requested maintenance state: closed or open, the page, and whether workers and timers are paused."""

    layout: Layout
    closed: bool
    page: str | None = None
    pause: bool = False
    site: str = ""

    @property
    def flag(self) -> str:
        """Return the file that nginx looks for."""
        return os.path.join(self.layout.maintenance, "on")

    @property
    def paused(self) -> str:
        """Return the file that says that workers and timers were stopped, so that they are started again."""
        return os.path.join(self.layout.maintenance, "paused")

    @property
    def page_path(self) -> str:
        """Return the page that visitors see."""
        return os.path.join(self.layout.maintenance, "page.html")


def maintain(wish: MaintenanceRequest, check: bool) -> dict[str, t.Any]:
    """Make it so and return the module's result."""
    check_name(wish.layout.name)
    if not os.path.isdir(wish.layout.releases):
        others = ", ".join(found.name for found in find_applications(wish.layout.root)) or "none"
        raise MaintenanceError(
            f"there is no application '{wish.layout.name}' below {wish.layout.root}; there are: {others}"
        )
    if wish.closed:
        _check_site(wish)
    pages = _new_page(wish)
    units = _units(wish)
    moved = os.path.exists(wish.flag) != wish.closed
    if not check:
        _apply(wish, pages, units, moved)
    return {
        "changed": moved or pages is not None or bool(units),
        "closed": wish.closed,
        "units": units,
        "page": wish.page_path,
    }


def _check_site(wish: MaintenanceRequest) -> None:
    """Raise MaintenanceError when nginx would not notice."""
    text = (read_file(wish.site) or b"").decode("utf-8", "replace")
    if wish.flag not in text:
        what = "does not look for" if text else "does not exist, so nobody looks for"
        raise MaintenanceError(
            f"the site {wish.site} {what} {wish.flag}: visitors would not notice. Run site.yml once, which publishes "
            "it; a site with content, template or maintenance of its own has to look for that file itself"
        )


def _new_page(wish: MaintenanceRequest) -> str | None:
    """Return the page if it has to be written: a chosen one that is another, or the usual one where there is none."""
    there = read_file(wish.page_path)
    wanted = wish.page if wish.page is not None else PAGE if there is None else None
    return wanted if wish.closed and wanted is not None and wanted.encode() != there else None


def _units(wish: MaintenanceRequest) -> list[str]:
    """Return the workers and timers that have to be stopped, or started again.

    While the file is there none starts, neither at boot nor by a deploy.
    """
    if wish.closed and wish.pause:
        states = show_matching(unit_patterns(wish.layout.name, "*"), ["ActiveState"])
        return sorted(name for name, unit in states.items() if unit.get("ActiveState") in ("active", "activating"))
    if not wish.closed and os.path.exists(wish.paused):
        current = current_id(wish.layout) or ""
        stopped = (read_file(wish.paused) or b"").decode().split()
        # A deploy meanwhile has put others in their place, which start at boot.
        wanted = {*stopped, *filter(is_process, UnitDirectory(UNITS).names()["enabled"])}
        return sorted(name for name in wanted if name.startswith(f"{wish.layout.name}@{current}."))
    return []


def unit_patterns(name: str, release: str) -> list[str]:
    """Return what matches the workers and timers of a release, and the jobs that timers have started."""
    return [
        f"{name}@{release}.worker-*.service",
        f"{name}@{release}.timer-*.timer",
        f"{name}@{release}.timer-*.service",
    ]


def _apply(wish: MaintenanceRequest, page: str | None, units: t.Sequence[str], moved: bool) -> None:
    os.makedirs(wish.layout.maintenance, mode=0o755, exist_ok=True)
    if page is not None:
        write_file(wish.page_path, page.encode())
    if wish.closed:
        if moved:
            write_file(wish.flag, b"")
        _stop(wish, units)
        return
    # A job that a timer had started begins again when its time comes.
    remove_file(wish.paused)
    systemctl("start", [name for name in units if ".timer-" not in name or name.endswith(".timer")])
    remove_file(wish.flag)


def _stop(wish: MaintenanceRequest, units: t.Sequence[str]) -> None:
    if not wish.pause or (not units and os.path.exists(wish.paused)):
        return
    before = (read_file(wish.paused) or b"").decode().split()
    write_file(wish.paused, "".join(f"{name}\n" for name in sorted({*before, *units})).encode())
    # Timers first, so that none starts a job meanwhile; then each ends what it has begun.
    systemctl("stop", [name for name in units if name.endswith(".timer")])
    systemctl("stop", [name for name in units if not name.endswith(".timer")], timeout=3600)
