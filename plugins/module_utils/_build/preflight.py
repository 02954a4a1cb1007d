# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check on the host that workers and timers can run. Private to flaskops.stack."""

from __future__ import annotations

import os
import shutil
import typing as t

from .._input.values import InputError
from .._system.command import CommandError, run

Processes = t.Sequence[t.Mapping[str, t.Any]]

# As the PATH of the units has it, behind the virtualenv.
_PLACES = ("/usr/local/bin", "/usr/bin", "/bin")


def check_schedules(timers: Processes) -> None:
    """Raise InputError for a schedule that systemd does not understand: it would never start the job."""
    for timer in timers:
        schedule = timer["schedule"]
        try:
            result = run(["systemd-analyze", "calendar", "--", schedule])
        except CommandError:
            # A host without the program; systemd says it then when the unit is verified.
            return
        if result.rc != 0:
            said = next(iter(result.err.strip().splitlines()), "nothing")
            raise InputError(
                f"timers '{timer['name']}': schedule '{schedule}' is no calendar event of systemd.time(7), such as "
                f"'daily', 'Mon..Fri 06:30' or '*:0/15': {said} (try: systemd-analyze calendar '{schedule}')"
            )


def check_programs(workers: Processes, timers: Processes, release: str, path: str = "") -> None:
    """Raise InputError when a program is not where it is looked for; C(path) is the PATH of the environment, if any."""
    for key, processes in (("workers", workers), ("timers", timers)):
        for process in processes:
            _check_program(f"{key} '{process['name']}'", process["command"][0], release, path)


def _check_program(where: str, program: str, release: str, path: str) -> None:
    if "=" in program:
        raise InputError(f"{where}: the command begins with '{program}': a variable belongs into environment")
    if "/" in program:
        file = os.path.join(release, "app", program)
        if not (os.path.isfile(file) and os.access(file, os.X_OK)):
            raise InputError(f"{where}: {file.replace(release, '<release>')} does not exist or is not executable")
        return
    places = path.split(os.pathsep) if path else [os.path.join(release, "venv", "bin"), *_PLACES]
    # The process starts in the code, and so do places that are relative.
    if shutil.which(program, path=os.pathsep.join(os.path.join(release, "app", place) for place in places)):
        return
    if path:
        raise InputError(
            f"{where}: there is no program '{program}' in the PATH that environment or secrets set in place of the "
            f"usual one: leave that out, or begin it with those, as in '{{venv}}/bin:{os.pathsep.join(_PLACES)}:...'"
        )
    raise InputError(
        f"{where}: there is no program '{program}' in the virtualenv of the release, nor in {', '.join(_PLACES)}: "
        "correct the command, or add the package that brings it to the requirements, or to system_packages when it is "
        "one of the distribution"
    )
