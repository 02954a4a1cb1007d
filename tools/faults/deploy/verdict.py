# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is expected of a deploy: honest words, no loss, and the units of a release. Runs inside a test host."""

from __future__ import annotations

import errno
import os
import re
import typing as t
from pathlib import Path

from tools.faults.deploy.stage import NAME, Release
from tools.faults.inject.injector import Ended

LOST = Path("/var/tmp/visitors-lost")
_FAULT = re.compile(r"(error|command)=(\w+) at (\S+)")


def lost() -> str:
    """Return what visitors have lost since they were asked last."""
    text = LOST.read_text().strip() if LOST.exists() else ""
    LOST.unlink(missing_ok=True)
    return f"visitors lost something: {text[:500]}" if text else ""


def dishonest(label: str, ended: Ended, due: t.Sequence[str]) -> str:
    """Return what is wrong with what a run says of itself: it has to say what failed, or what was due to fail."""
    said = str(ended.result.get("msg", ""))
    if ended.rc < 0:
        return ""
    if said.startswith("no result"):
        return f"no clear result: {said}"
    found = _FAULT.match(label)
    if not (ended.failure and found):
        return ""
    kind, what, injected = found.groups()
    # A hook is called by its name.
    named = ["injected for a test", f"'{injected}", "hook "]
    reasons = [*due, *([os.strerror(getattr(errno, what))] if kind == "error" else named)]
    if injected.startswith("clone"):
        # Of a thread that cannot be started Python does not tell the error of the system, of a process it does.
        reasons.append("can't start new thread")
    return "" if any(reason in said for reason in reasons) else f"the reason is not named: {said}"


def expected_units(release: Release | None) -> dict[str, set[str]]:
    """Return the units of a release: files, those that start at boot and run, and those that run now and then."""
    if release is None:
        return {"files": set(), "enabled": set(), "loose": set()}
    unit, params = f"{NAME}@{release.id}", release.params
    workers = {f"{unit}.worker-{one['name']}.0.service" for one in params.get("workers", ())}
    timers = {f"{unit}.timer-{one['name']}.timer" for one in params.get("timers", ())}
    tcp = [f"{NAME}@tcp-{address}" for address in params["gunicorn"].get("bind", ())]
    enabled = {f"{unit}.socket", f"{unit}.service", *(f"{name}.socket" for name in tcp), *workers, *timers}
    jobs = {f"{unit}.timer-{one['name']}.service" for one in params.get("timers", ())}
    loose = {*(f"{name}.service" for name in tcp), *jobs}
    return {"files": enabled | loose, "enabled": enabled, "loose": loose}
