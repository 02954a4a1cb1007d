# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep static files of the previous release reachable for a while, for open pages. Private to flaskops.stack.

nginx looks for a file that the current release lacks below a link to the previous one. A systemd timer removes
the link. Both lie in C(/run), so that a restart of the host ends them together.
"""

from __future__ import annotations

import contextlib
import os

from .._system.command import CommandError
from .._system.files import STALE_SECONDS, read_link, remove_file, remove_stale_temp_files, replace_link
from .._system.host import Host
from .._system.paths import PREVIOUS
from .model import Layout

# Seconds that are added to a grace, a hundredth of it: how long an application may take to start without another timer
# just before the switch.
_LEAST_MARGIN, _MOST_MARGIN = 3, 30


def link_path(layout: Layout) -> str:
    """Return the link to the previous release of an application."""
    return os.path.join(PREVIOUS, layout.name)


def kept_assets(layout: Layout) -> str:
    """Return the id of the release whose files are reachable beside those of the current one, or an empty text."""
    return os.path.basename(read_link(link_path(layout)) or "")


def schedule_asset_expiry(host: Host, layout: Layout, release: str, seconds: int) -> float:
    """Start the timer that removes the link of C(keep_assets); return when it fires (C(time.time)), or 0."""
    if not (release and seconds):
        return 0.0
    with contextlib.suppress(CommandError, OSError):
        command = ["find", link_path(layout), "-lname", layout.release(release), "-delete"]
        margin = min(max(seconds // 100, _LEAST_MARGIN), _MOST_MARGIN)
        return _arm(host, f"flaskops-assets-{layout.name}-{release}", seconds + margin, command)
    return 0.0


def keep_assets(host: Host, layout: Layout, release: str, seconds: int, end: float = 0.0) -> None:
    """Keep the files of this release reachable for C(seconds), and of no other; a failure has no other effect.

    C(end) is when a timer fires that is armed already; one that fires too early is armed anew.
    """
    with contextlib.suppress(CommandError, OSError):
        # The timer comes first: a link without one would stay.
        if end < host.clock.time() + seconds:
            end = schedule_asset_expiry(host, layout, release, seconds)
        if not end:
            remove_asset_link(layout)
            return
        os.makedirs(PREVIOUS, mode=0o755, exist_ok=True)
        replace_link(layout.release(release), link_path(layout), sync=False)


def remove_asset_link(layout: Layout) -> None:
    """Make the files of all but the current release unreachable."""
    if os.path.isdir(PREVIOUS):
        remove_file(link_path(layout), sync=False)


def remove_stale_asset_links() -> None:
    """Remove stale temporary links of killed runs; fresh ones may belong to another run."""
    remove_stale_temp_files(PREVIOUS, STALE_SECONDS)


def _arm(host: Host, unit: str, seconds: int, command: list[str]) -> float:
    # A time of day: systemd counts seconds from anew when it is reloaded, which each deploy does.
    end = int(host.clock.time()) + seconds
    when = [f"--on-calendar=@{end}", "--timer-property=AccuracySec=1s"]
    argv = ["systemd-run", "--quiet", f"--unit={unit}", *when, *command]
    if host.commands.run(argv).rc:
        # The same release was the previous one before, not long ago.
        host.commands.run(["systemctl", "stop", f"{unit}.timer"])
        host.commands.run_checked(argv)
    return float(end)
