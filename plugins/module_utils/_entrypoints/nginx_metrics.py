# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set up or remove the collection of metrics, for module nginx_site. Private to flaskops.stack."""

from __future__ import annotations

import os
import re
import shutil
import sys
import typing as t

from .._nginx.model import NginxLayout, NginxSiteError
from .._system.command import CommandError
from .._system.files import read_file, remove_file, write_file
from .._system.host import Host
from .._system.paths import METRICS_STATE, UNITS
from .metrics import FILE, Places, state_file_of

SERVICE, TIMER = "flaskops-metrics.service", "flaskops-metrics.timer"
_WANTS = f"timers.target.wants/{TIMER}"
_UNCOUNTED = re.compile(r'^flaskops_site_requests_counted\{site="([^"]+)"\} 0$', re.MULTILINE)
# The distribution's, which an upgrade replaces in its place.
_PYTHON = "/usr/bin/python3"

# The code that runs now is the code that collects: the directory of its package, and the name of that.
_CODE, _PACKAGE = os.path.abspath(__file__).rsplit(os.sep, 3)[:2]
_PROGRAM = f"import sys; sys.path.insert(0, sys.argv.pop(1)); from {_PACKAGE}._entrypoints.metrics import main; main()"
_SERVICE_TEXT = """\
# Managed by flaskops.stack (nginx_metrics): changes made here are lost with the next run.
[Unit]
Description=Metrics of sites and applications

[Service]
Type=oneshot
ExecStart={python} -I -c "{program}" {arguments}
TimeoutStartSec=120
Nice=10
MemoryMax=512M
# It would say twice a minute that it has begun and ended.
LogLevelMax=notice
SyslogLevel=notice
NoNewPrivileges=yes
CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH
ProtectSystem=strict
ReadWritePaths={writable}
ProtectHome=read-only
PrivateDevices=yes
PrivateTmp=yes
ProtectControlGroups=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
"""
_TIMER_TEXT = """\
# Managed by flaskops.stack (nginx_metrics): changes made here are lost with the next run.
[Unit]
Description=Metrics of sites and applications

[Timer]
OnBootSec=20
OnUnitInactiveSec=30
AccuracySec=1

[Install]
WantedBy=timers.target
"""


class Metrics:
    """The units that collect metrics, as they are and as they shall be."""

    def __init__(self, host: Host, units: str = UNITS, state: str = METRICS_STATE) -> None:
        """Take the host and the places."""
        self._host = host
        self._units = units
        self._state = state

    def wanted(self, layout: NginxLayout, directory: str, root: str) -> dict[str, str]:
        """Return the texts of the units by name; raise NginxSiteError for a path that a unit cannot have."""
        for path in (directory, root):
            if not os.path.isabs(path):
                raise NginxSiteError(f"metrics: the path {path!r} is not absolute: begin it with '/'")
        places = Places(directory, root, layout.available, layout.enabled, layout.suffix, self._state)
        arguments = [f"--code={_CODE}", *(f"--{name}={value}" for name, value in places._asdict().items())]
        for text in arguments:
            if any(char in text for char in "\"'\\%$ \t\r\n"):
                raise NginxSiteError(
                    f"metrics: the path {text.partition('=')[2]!r} has a blank, a quote, '%' or '$' in it"
                )
        service = _SERVICE_TEXT.format(
            python=_PYTHON if os.path.exists(_PYTHON) else sys.executable,
            program=_PROGRAM,
            arguments=" ".join([_CODE, *arguments]),
            writable=f"{self._state} {directory} {_CODE}",
        )
        return {SERVICE: service, TIMER: _TIMER_TEXT}

    def differing(self, wanted: t.Mapping[str, str], directory: str) -> dict[str, tuple[str, str]]:
        """Return what differs from the wanted units, by name: the text as it is and as it shall be."""
        found = {}
        for name in (SERVICE, TIMER):
            before = (read_file(os.path.join(self._units, name)) or b"").decode("utf-8", "replace")
            if before != wanted.get(name, ""):
                found[name] = before, wanted.get(name, "")
        if wanted and not found and not os.path.lexists(os.path.join(self._units, _WANTS)):
            found[TIMER] = "", wanted[TIMER]
        # systemd starts no service one of whose ReadWritePaths is gone, such as that of a package which was purged.
        if wanted and not found and not (os.path.isdir(directory) and os.path.isdir(self._state)):
            found[SERVICE] = "", wanted[SERVICE]
        return found

    def set_up(self, wanted: t.Mapping[str, str], directory: str) -> None:
        """Write and start the units; raise CommandError when the first collection fails, and leave none then."""
        for path in (directory, self._state):
            os.makedirs(path, mode=0o755, exist_ok=True)
        for name, text in wanted.items():
            write_file(os.path.join(self._units, name), text.encode())
        try:
            self._host.systemd.daemon_reload()
            self._host.systemd.systemctl("start", [SERVICE])
            self._host.systemd.systemctl("enable", [TIMER])
            self._host.systemd.systemctl("restart", [TIMER])
        except CommandError as exc:
            log = self._host.systemd.journal_tail(SERVICE, 10)
            self._remove_units()
            raise CommandError(f"the collection of metrics (nginx_metrics) failed: {exc}\n{log}".strip()) from exc

    def remove(self) -> None:
        """Stop and remove the units, the metrics and what was counted."""
        self._host.systemd.systemctl("disable", [TIMER], ["--now"])
        self._host.systemd.systemctl("stop", [SERVICE])
        self._remove_units()
        path = state_file_of(self._state)
        if os.path.basename(path) == FILE:
            remove_file(path)
        shutil.rmtree(self._state, ignore_errors=True)

    def _remove_units(self) -> None:
        for name in (_WANTS, TIMER, SERVICE):
            remove_file(os.path.join(self._units, name))
        self._host.systemd.reset_failed([SERVICE, TIMER])


def uncounted(text: bytes) -> list[str]:
    """Return a warning of the sites whose requests are not in the metrics, if there are any."""
    names = _UNCOUNTED.findall(text.decode("utf-8", "replace"))
    if not names:
        return []
    remedy = "that needs access_log: json, in the site or in nginx_site_defaults"
    return [f"requests to {', '.join(names)} are not counted (nginx_metrics): {remedy}"]


def check_metrics(params: t.Mapping[str, t.Any], layout: NginxLayout) -> None:
    """Raise NginxSiteError for a path that the units cannot have."""
    Metrics(Host()).wanted(layout, *_directories(params))


def _directories(params: t.Mapping[str, t.Any]) -> tuple[str, str]:
    return os.path.normpath(params["metrics_directory"]), os.path.normpath(params["metrics_root"])


def apply_metrics(params: t.Mapping[str, t.Any], layout: NginxLayout, check: bool, diff: bool) -> dict[str, t.Any]:
    """Bring the collection of metrics into the wanted state; return C(changed), C(diff) and C(warnings)."""
    metrics = Metrics(Host())
    on = params["metrics"] == "textfile"
    directory, root = _directories(params)
    wanted = metrics.wanted(layout, directory, root) if on else {}
    differing = metrics.differing(wanted, directory)
    warnings = []
    if on and differing and not os.path.isdir(_CODE):
        # Nothing is done, in this run and in the next.
        differing = {}
        warnings = ["no metrics are collected: the code for that could not be kept on the host, see nginx_metrics"]
    elif differing and not check:
        if on:
            metrics.set_up(wanted, directory)
            warnings = uncounted(read_file(os.path.join(directory, FILE)) or b"")
        else:
            metrics.remove()
    shown = [
        {"before_header": name, "after_header": name, "before": before, "after": after}
        for name, (before, after) in differing.items()
    ]
    return {"changed": bool(differing), "diff": shown if diff else [], "warnings": warnings}
