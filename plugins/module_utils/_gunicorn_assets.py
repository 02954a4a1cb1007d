# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Static files of the previous release stay reachable for a while: open pages ask for them. Private to flaskops.stack.

nginx looks for a file that the current release has not below a link to the previous one. A timer of systemd's removes
the link. Both lie in C(/run), so that a restart of the host ends them together.
"""

from __future__ import annotations

import contextlib
import os
import time

from ._command import CommandError, run, run_checked
from ._files import STALE_SECONDS, read_link, remove_file, replace_link, sweep
from ._release import Layout

DIRECTORY = "/run/flaskops/previous"


def link_path(layout: Layout) -> str:
    """Return the link to the previous release of an application."""
    return os.path.join(DIRECTORY, layout.name)


def kept_assets(layout: Layout) -> str:
    """Return the id of the release whose files are reachable beside those of the current one, or an empty text."""
    return os.path.basename(read_link(link_path(layout)) or "")


def keep_assets(layout: Layout, release: str, seconds: int) -> None:
    """Make the files of a release reachable for so long, and those of no other; a failure costs nothing else."""
    with contextlib.suppress(CommandError, OSError):
        path, target = link_path(layout), layout.release(release)
        if not (release and seconds):
            forget_assets(layout)
            return
        os.makedirs(DIRECTORY, mode=0o755, exist_ok=True)
        # The timer comes first: a link without one would stay.
        _arm(f"flaskops-assets-{layout.name}-{release}", seconds, ["find", path, "-lname", target, "-delete"])
        replace_link(target, path, sync=False)


def forget_assets(layout: Layout) -> None:
    """Make the files of all but the current release unreachable."""
    if os.path.isdir(DIRECTORY):
        remove_file(link_path(layout), sync=False)


def sweep_assets() -> None:
    """Remove what a run that was killed left under a temporary name; others may be at work there."""
    sweep(DIRECTORY, STALE_SECONDS)


def _arm(unit: str, seconds: int, command: list[str]) -> None:
    # A time of day: systemd counts seconds from anew when it is reloaded, which each deploy does.
    when = [f"--on-calendar=@{int(time.time()) + seconds}", "--timer-property=AccuracySec=1s"]
    argv = ["systemd-run", "--quiet", f"--unit={unit}", *when, *command]
    if run(argv).rc:
        # The same release was the previous one before, not long ago.
        run(["systemctl", "stop", f"{unit}.timer"])
        run_checked(argv)
