# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Close an application to visitors and open it again: a file that nginx looks for. Private to flaskops.stack."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from .._deploy.observe import UnitDirectory
from .._deploy.plan import is_process
from .._input.values import check_name
from .._release.model import Layout
from .._release.release import current_id
from .._release.releases import describe_others
from .._system.files import check_directories, read_file, remove_file, write_file
from .._system.host import Host
from .._system.paths import UNITS

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

# In the name of a variable that sites have which say it in the visitor's language.
_TEXTS = "_closed_title"


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


def maintain(host: Host, request: MaintenanceRequest, check: bool) -> dict[str, t.Any]:
    """Make it so and return the module's result."""
    check_name(request.layout.name)
    if not os.path.isdir(request.layout.releases):
        root, name = request.layout.root, request.layout.name
        raise MaintenanceError(f"there is no application '{name}' below {root}; {describe_others(root, name)}")
    check_directories([request.layout.maintenance])
    if request.closed:
        _check_page(request)
        _check_site(request)
    page, hidden = _new_page(request), _is_in_the_way(request)
    units = _units(host, request)
    moved = os.path.exists(request.flag) != request.closed
    if not check:
        if hidden:
            remove_file(request.page_path)
        _apply(host, request, page, units, moved)
    return {
        "changed": moved or hidden or page is not None or bool(units),
        "closed": request.closed,
        "units": units,
        "page": request.page_path,
    }


def _check_page(request: MaintenanceRequest) -> None:
    """Raise MaintenanceError for a page that browsers would show in the wrong encoding."""
    try:
        (request.page or "").encode()
    except UnicodeEncodeError as exc:
        raise MaintenanceError(
            f"page has bytes that are no UTF-8, at character {exc.start + 1}: save the file in UTF-8, as which nginx"
            " sends it"
        ) from exc


def _check_site(request: MaintenanceRequest) -> None:
    """Raise MaintenanceError when nginx would not notice."""
    text = _text(request.site)
    if request.flag not in text and not _is_mounted(request):
        what = "does not look for" if text else "does not exist, so nginx does not look for"
        raise MaintenanceError(
            f"the site {request.site} {what} {request.flag}: visitors would not notice. Run site.yml once, which "
            "publishes it; a site with content, template or maintenance of its own has to look for that file itself"
        )


def _text(path: str) -> str:
    return (read_file(path) or b"").decode("utf-8", "replace")


def _is_mounted(request: MaintenanceRequest) -> bool:
    """Tell whether the site of another application looks for the flag: this one may be below a path of it."""
    return any(request.flag in text for text in _neighbours(request))


def _neighbours(request: MaintenanceRequest) -> list[str]:
    directory = os.path.dirname(request.site)
    names = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
    paths = [os.path.join(directory, name) for name in names]
    return [_text(path) for path in paths if os.path.isfile(path)]


def _new_page(request: MaintenanceRequest) -> str | None:
    """Return the page if it has to be written: a chosen one that is another, or the usual one where there is none."""
    there = read_file(request.page_path)
    wanted = request.page
    if wanted is None and there is None and not _has_texts(request):
        wanted = PAGE
    return wanted if request.closed and wanted is not None and wanted.encode() != there else None


def _is_in_the_way(request: MaintenanceRequest) -> bool:
    """Tell whether the usual page, which is in English, would hide the texts of the site in the visitor's language."""
    if not request.closed or request.page is not None or read_file(request.page_path) != PAGE.encode():
        return False
    return _has_texts(request)


def _has_texts(request: MaintenanceRequest) -> bool:
    """Tell whether the site has texts of its own for maintenance, which nginx shows where there is no page."""
    found = [text for text in (_text(request.site), *_neighbours(request)) if request.flag in text]
    return bool(found) and _TEXTS in found[0]


def _units(host: Host, request: MaintenanceRequest) -> list[str]:
    """Return the workers and timers that have to be stopped, or started again.

    While the file is there none starts, neither at boot nor by a deploy.
    """
    if request.closed and request.pause:
        states = host.systemd.show_matching(unit_patterns(request.layout.name, "*"), ["ActiveState"])
        return sorted(name for name, unit in states.items() if unit.get("ActiveState") in ("active", "activating"))
    if not request.closed and os.path.exists(request.paused):
        current = current_id(request.layout) or ""
        stopped = (read_file(request.paused) or b"").decode().split()
        # A deploy meanwhile has put others in their place, which start at boot.
        wanted = {*stopped, *filter(is_process, UnitDirectory(host, UNITS).names()["enabled"])}
        return sorted(name for name in wanted if name.startswith(f"{request.layout.name}@{current}."))
    return []


def unit_patterns(name: str, release: str) -> list[str]:
    """Return what matches the workers and timers of a release, and the jobs that timers have started."""
    return [
        f"{name}@{release}.worker-*.service",
        f"{name}@{release}.timer-*.timer",
        f"{name}@{release}.timer-*.service",
    ]


def _apply(host: Host, request: MaintenanceRequest, page: str | None, units: t.Sequence[str], moved: bool) -> None:
    os.makedirs(request.layout.maintenance, mode=0o755, exist_ok=True)
    if page is not None:
        write_file(request.page_path, page.encode())
    if request.closed:
        if moved:
            write_file(request.flag, b"")
        _stop(host, request, units)
        return
    # A job that a timer had started begins again when its time comes.
    remove_file(request.paused)
    host.systemd.systemctl("start", [name for name in units if ".timer-" not in name or name.endswith(".timer")])
    remove_file(request.flag)


def _stop(host: Host, request: MaintenanceRequest, units: t.Sequence[str]) -> None:
    if not request.pause or (not units and os.path.exists(request.paused)):
        return
    before = (read_file(request.paused) or b"").decode().split()
    write_file(request.paused, "".join(f"{name}\n" for name in sorted({*before, *units})).encode())
    # Timers first, so that none starts a job meanwhile; then each ends what it has begun.
    host.systemd.systemctl("stop", [name for name in units if name.endswith(".timer")])
    host.systemd.systemctl("stop", [name for name in units if not name.endswith(".timer")], timeout=3600)
