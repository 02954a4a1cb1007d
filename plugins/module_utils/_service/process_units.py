# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The unit files of workers and timers. Private to flaskops.stack.

C(<app>@<release>.worker-<name>.<n>.service) are workers, C(<app>@<release>.timer-<name>.timer) starts the job
C(<app>@<release>.timer-<name>.service).
"""

from __future__ import annotations

import posixpath
import typing as t

from .._input.processes import normalise_timers, normalise_workers
from .._release.model import Layout, Manifest
from .._system.paths import STATE
from .units import process_lines, unit_text

# SIGKILL for a job that does not end when its application is removed, or the host goes down.
_JOB_STOP = 60


def workers_of(manifest: Manifest) -> list[dict[str, t.Any]]:
    """Return the workers of a release, complete also when an earlier version wrote its manifest."""
    return normalise_workers(manifest.extra.get("workers"))


def timers_of(manifest: Manifest) -> list[dict[str, t.Any]]:
    """Return the timers of a release."""
    return normalise_timers(manifest.extra.get("timers"))


def pause_flag(layout: Layout) -> str:
    """Return the file that keeps workers and timers of an application from starting while it exists."""
    return posixpath.join(layout.maintenance, "paused")


def timer_lock(app: str, timer: str) -> str:
    """Return the file whose lock the running job of a timer holds, whichever release it is of."""
    return posixpath.join(STATE, app, f"timer-{timer}.lock")


def process_units(layout: Layout, manifest: Manifest, home_is_used: bool = False) -> dict[str, str]:
    """Return the unit files of a release's workers and timers, by name."""
    units: dict[str, str] = {}
    for worker in workers_of(manifest):
        for number in range(worker["count"]):
            name = f"{manifest.name}@{manifest.id}.worker-{worker['name']}.{number}.service"
            units[name] = _worker(layout, manifest, worker, number, home_is_used)
    for timer in timers_of(manifest):
        name = f"{manifest.name}@{manifest.id}.timer-{timer['name']}"
        units[f"{name}.service"] = _job(layout, manifest, timer, home_is_used)
        units[f"{name}.timer"] = _timer(layout, manifest, timer, f"{name}.service")
    return units


def _worker(layout: Layout, manifest: Manifest, worker: t.Mapping[str, t.Any], number: int, home_is_used: bool) -> str:
    limits = {"memory_max": "MemoryMax", "cpu_quota": "CPUQuota"}
    return unit_text(
        {
            "Unit": [*_head(layout, manifest, f"Worker {worker['name']} {number}"), "StartLimitIntervalSec=0"],
            "Service": [
                "Type=exec",
                *_condition(layout, manifest),
                f"ExecStart=/usr/bin/env -- {_quote(worker['command'])}",
                f"SyslogIdentifier={manifest.name}-{worker['name']}",
                "Restart=always",
                "RestartSec=2",
                # The first process tells its own children to end, as Celery's and RQ's do.
                "KillMode=mixed",
                f"TimeoutStopSec={worker['stop_timeout']}",
                # A process that the kernel kills for its memory is replaced by its master: the others continue.
                "OOMPolicy=continue",
                *(f"{name}={worker[key]}" for key, name in limits.items() if worker[key]),
                _flask_app(manifest),
                *process_lines(layout, manifest, home_is_used),
            ],
            "Install": ["WantedBy=multi-user.target"],
        }
    )


def _job(layout: Layout, manifest: Manifest, timer: t.Mapping[str, t.Any], home_is_used: bool) -> str:
    # The job of one release waits for that of another; the lock is held by the command itself.
    lock = f"/usr/bin/flock --no-fork {timer_lock(manifest.name, timer['name'])}"
    return unit_text(
        {
            "Unit": _head(layout, manifest, f"Job {timer['name']}"),
            "Service": [
                "Type=oneshot",
                *_condition(layout, manifest),
                f"ExecStart={lock} /usr/bin/env -- {_quote(timer['command'])}",
                f"SyslogIdentifier={manifest.name}-{timer['name']}",
                "KillMode=mixed",
                f"TimeoutStartSec={timer['timeout']}",
                f"TimeoutStopSec={_JOB_STOP}",
                _flask_app(manifest),
                *process_lines(layout, manifest, home_is_used),
            ],
        }
    )


def _timer(layout: Layout, manifest: Manifest, timer: t.Mapping[str, t.Any], job: str) -> str:
    return unit_text(
        {
            "Unit": [
                f"Description=Timer {timer['name']} of {manifest.name}, release {manifest.id}",
                f"ConditionPathExists=!{pause_flag(layout)}",
            ],
            "Timer": [
                f"OnCalendar={timer['schedule']}",
                f"Persistent={'yes' if timer['persistent'] else 'no'}",
                f"RandomizedDelaySec={timer['random_delay']}",
                "AccuracySec=1s",
                f"Unit={job}",
            ],
            "Install": ["WantedBy=timers.target"],
        }
    )


def _head(layout: Layout, manifest: Manifest, what: str) -> list[str]:
    after = manifest.settings.after
    return [
        f"Description={what} of {manifest.name}, release {manifest.id}",
        f"After={' '.join(['network.target', *after])}",
        *(f"Wants={unit}" for unit in after),
        f"ConditionPathExists=!{pause_flag(layout)}",
    ]


def _condition(layout: Layout, manifest: Manifest) -> list[str]:
    # The link decides here too: after a reboot in the middle of a deploy both releases are started.
    return [f"ExecCondition=/usr/bin/test {layout.current} -ef {layout.release(manifest.id)}"]


def _flask_app(manifest: Manifest) -> str:
    # Flask's own command line finds the application by it, as in hooks; the application's own environment comes later.
    text = manifest.app.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'Environment="FLASK_APP={text}"'


def _quote(words: t.Sequence[str]) -> str:
    """Return words as systemd.service(5) reads them back: it expands C(%) and C($), and knows C's escapes."""
    quoted = []
    for word in words:
        text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
        quoted.append(f'"{text}"')
    return " ".join(quoted)
