# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The unit files of a release: one socket and one service per instance. Private to flaskops.stack."""

from __future__ import annotations

import hashlib
import re
import typing as t
from dataclasses import dataclass

from .._input.defaults import Settings
from .._release.model import Layout, Manifest
from .idle import RESTART
from .sandbox import sandbox_lines

# The first line of each unit file of ours; a file without it was not written by the collection.
MARK = "# Written by flaskops.stack: a unit belongs to its release; change the settings and deploy a new one."

_UNIT = re.compile(
    r"(?P<app>[a-z][a-z0-9-]*)@(?:(?P<release>[0-9a-f]{7}-[0-9a-f]{8})"
    r"(?:\.(?P<role>worker|timer)-(?P<process>[a-z][a-z0-9-]*))?(?:\.(?P<instance>[0-9]+))?|tcp-(?P<address>[0-9a-f.:]+))"
    r"\.(?P<kind>socket|service|timer)"
)

_KINDS = {"": ("socket", "service"), "worker": ("service",), "timer": ("timer", "service")}

# gunicorn kills its own workers after graceful_timeout; systemd waits a little longer for the master.
_STOP_MARGIN = 10
# READY comes after the import when the application is preloaded.
_START_LEAST = 90


@dataclass(frozen=True)
class UnitName:
    """The parsed name of a unit of the collection; C(release) is empty for the units of a TCP address."""

    app: str
    release: str
    instance: int
    address: str
    kind: str
    # "worker" or "timer", and its name; both are empty for the web service and its socket.
    role: str = ""
    process: str = ""

    @property
    def is_job(self) -> bool:
        """Tell whether it is the job of a timer."""
        return self.role == "timer" and self.kind == "service"


def parse_unit_name(file: str) -> UnitName | None:
    """Return the parsed name of a unit, or None when it is not of the collection's form."""
    found = _UNIT.fullmatch(file)
    if not found:
        return None
    release, instance = found["release"] or "", int(found["instance"] or 0)
    role, process = found["role"] or "", found["process"] or ""
    if found["kind"] not in _KINDS[role]:
        return None
    return UnitName(found["app"], release, instance, found["address"] or "", found["kind"], role, process)


def instance_name(app: str, release: str, instance: int) -> str:
    """Return the name, without suffix, of the units of one instance; instance 0 has none in its name."""
    return f"{app}@{release}" + (f".{instance}" if instance else "")


def address_name(app: str, address: str) -> str:
    """Return the name, without suffix, of the units that listen on a TCP address."""
    return f"{app}@tcp-{address.replace('[', '').replace(']', '')}"


def stop_seconds(settings: Settings) -> int:
    """Return how long systemd gives a service to end."""
    return settings.graceful_timeout + _STOP_MARGIN


def release_units(layout: Layout, manifest: Manifest, home_is_used: bool = False) -> dict[str, str]:
    """Return the unit files of a release, by name; all sockets first."""
    instances = range(manifest.settings.instances)
    sockets = {_name(manifest, number, "socket"): _socket(layout, manifest, number) for number in instances}
    services = {
        _name(manifest, number, "service"): _service(layout, manifest, number, home_is_used) for number in instances
    }
    return {**sockets, **services}


def address_units(layout: Layout, manifest: Manifest) -> dict[str, str]:
    """Return the unit files that forward TCP connections to the current release, by name; all sockets first.

    A listening TCP socket cannot be had by two releases without traffic for the one that is not healthy yet, so it
    belongs to neither: a forwarder connects each connection to the socket that C(current) leads to at that moment,
    as nginx does.
    """
    names = {address_name(manifest.name, address): address for address in manifest.settings.bind}
    sockets = {f"{name}.socket": _address_socket(layout, address) for name, address in names.items()}
    services = {f"{name}.service": _address_service(layout, manifest, address) for name, address in names.items()}
    return {**sockets, **services}


def address_links(manifest: Manifest) -> dict[str, str]:
    """Return the links in a release's C(run/), by name: which of its instances an address leads to.

    That is the release's own business, and a forwarder which had it in its unit would have to be started again, and
    cut its clients, whenever it changes.
    """
    settings = manifest.settings
    return {
        _address_link(address): f"{number % settings.instances}.sock" for number, address in enumerate(settings.bind)
    }


def _address_link(address: str) -> str:
    # Short, because a socket's path is.
    return f"tcp-{hashlib.sha256(address.encode()).hexdigest()[:8]}.sock"


def _name(manifest: Manifest, number: int, kind: str) -> str:
    return f"{instance_name(manifest.name, manifest.id, number)}.{kind}"


def unit_text(sections: t.Mapping[str, t.Sequence[str]]) -> str:
    """Return the text of a unit file from its sections."""
    parts = [f"[{name}]\n" + "".join(f"{line}\n" for line in lines) for name, lines in sections.items()]
    return MARK + "\n" + "\n".join(parts)


def _socket(layout: Layout, manifest: Manifest, number: int) -> str:
    return unit_text(
        {
            "Unit": [f"Description=Socket of {manifest.name}, release {manifest.id}, instance {number}"],
            "Socket": [
                f"ListenStream={layout.socket(manifest.id, number)}",
                f"SocketUser={manifest.user}",
                f"SocketGroup={manifest.settings.socket_group}",
                "SocketMode=0660",
                "DirectoryMode=0755",
                "Backlog=2048",
                "RemoveOnStop=yes",
                # The service is restarted without limit, so its socket must not give up either.
                "TriggerLimitIntervalSec=0",
            ],
            "Install": ["WantedBy=sockets.target"],
        }
    )


def _service(layout: Layout, manifest: Manifest, number: int, home_is_used: bool) -> str:
    settings = manifest.settings
    socket = f"{instance_name(manifest.name, manifest.id, number)}.socket"
    after = ["network.target", *settings.after]
    return unit_text(
        {
            "Unit": [
                f"Description=gunicorn of {manifest.name}, release {manifest.id}, instance {number}",
                f"Requires={socket}",
                f"After={' '.join([socket, *after])}",
                *(f"Wants={unit}" for unit in settings.after),
                "StartLimitIntervalSec=0",
            ],
            "Service": _process(layout, manifest, home_is_used),
            "Install": ["WantedBy=multi-user.target"],
        }
    )


def _process(layout: Layout, manifest: Manifest, home_is_used: bool) -> list[str]:
    release = layout.release(manifest.id)
    settings = manifest.settings
    return [
        "Type=notify",
        "NotifyAccess=main",
        *process_lines(layout, manifest, home_is_used),
        f"ExecStart={release}/venv/bin/python -m gunicorn --config {release}/gunicorn.conf.py",
        f"SyslogIdentifier={manifest.name}",
        RESTART if settings.idle else "Restart=always",
        "RestartSec=1",
        "KillMode=mixed",
        f"TimeoutStartSec={max(_START_LEAST, settings.health.timeout + 30)}",
        f"TimeoutStopSec={stop_seconds(settings)}",
        *_limits(settings),
    ]


def process_lines(layout: Layout, manifest: Manifest, home_is_used: bool = False) -> list[str]:
    """Return the directives that any process of a release has: its user, environment and sandbox."""
    release = layout.release(manifest.id)
    settings = manifest.settings
    return [
        f"User={manifest.user}",
        f"Group={manifest.group}",
        f"WorkingDirectory={release}/app",
        f"Environment=PATH={release}/venv/bin:/usr/local/bin:/usr/bin:/bin VIRTUAL_ENV={release}/venv",
        "Environment=PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1",
        f"EnvironmentFile={release}/env",
        "UMask=0027",
        f"LimitNOFILE={settings.open_files}",
        *sandbox_lines(settings.sandbox, [f"-{layout.shared}", *settings.sandbox_paths], home_is_used),
    ]


def _limits(settings: Settings) -> list[str]:
    # A worker that is killed for its memory is replaced by the master: the others go on serving.
    lines = ["OOMPolicy=continue"]
    directives: dict[str, object] = {
        "MemoryMax": settings.memory_max,
        "MemoryHigh": settings.memory_high,
        "CPUQuota": settings.cpu_quota,
        "TasksMax": settings.tasks_max,
    }
    return lines + [f"{name}={value}" for name, value in directives.items() if value]


def _address_socket(layout: Layout, address: str) -> str:
    return unit_text(
        {
            "Unit": [f"Description={address} of {layout.name}"],
            "Socket": [
                f"ListenStream={address}",
                "Backlog=2048",
                "NoDelay=yes",
                "FreeBind=yes",
                "TriggerLimitIntervalSec=0",
            ],
            "Install": ["WantedBy=sockets.target"],
        }
    )


def _address_service(layout: Layout, manifest: Manifest, address: str) -> str:
    socket = f"{address_name(manifest.name, address)}.socket"
    program = "/lib/systemd/systemd-socket-proxyd --connections-max=2048"
    return unit_text(
        {
            "Unit": [
                f"Description=Forward {address} to {manifest.name}",
                f"Requires={socket}",
                f"After={socket} network.target",
                "StartLimitIntervalSec=0",
            ],
            "Service": [
                # The forwarder says READY from systemd 256 on only.
                "Type=exec",
                f"User={manifest.user}",
                f"Group={manifest.group}",
                f"ExecStart={program} {layout.current}/run/{_address_link(address)}",
                "Restart=always",
                "RestartSec=1",
                "LimitNOFILE=8192",
                *sandbox_lines(True, [], False),
            ],
        }
    )
