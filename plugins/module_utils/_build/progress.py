# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Report the current step of a build, which the controller shows when it takes long. Private to flaskops.stack.

A module says nothing before it ends. So it keeps the step in a file that anybody may read: nothing of it is secret.
"""

from __future__ import annotations

import os
import typing as t
from contextlib import contextmanager, suppress

from .._system.paths import PROGRESS


def report_progress(app: str, step: str) -> None:
    """Report the current step; a failure to write it is ignored."""
    with suppress(OSError):
        os.makedirs(PROGRESS, mode=0o755, exist_ok=True)
        path = os.path.join(PROGRESS, app)
        with open(f"{path}.new", "w", encoding="utf-8") as stream:
            stream.write(f"{app}: {step}\n")
        os.rename(f"{path}.new", path)


@contextmanager
def building(app: str) -> t.Iterator[None]:
    """Remove the report when the build has ended."""
    try:
        yield
    finally:
        with suppress(OSError):
            os.unlink(os.path.join(PROGRESS, app))
