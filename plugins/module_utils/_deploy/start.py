# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write and start the units of new releases beside the live ones. Private to flaskops.stack."""

from __future__ import annotations

import errno
import os
import socket
import typing as t

from .._release.assets import schedule_asset_expiry
from .._service.units import address_name
from .._system.command import CommandError
from .._system.host import Host
from .._system.systemd_defaults import default_stop_seconds
from .deployment import Deployment
from .edited_units import record_units
from .observe import UnitDirectory
from .room import limit_workers, switching

Step = t.Callable[[Deployment], None]


class Starter:
    """The step that writes the units and starts them."""

    def __init__(
        self,
        host: Host,
        directory: UnitDirectory,
        attempt: t.Callable[[Deployment, Step], None],
        abort: t.Callable[[Deployment, str], None],
    ) -> None:
        """Take the host, its unit directory, and the functions that run a step for one service and abort it."""
        self._host = host
        self._directory = directory
        self._attempt = attempt
        self._abort = abort

    def start(self, deployments: t.Sequence[Deployment]) -> None:
        """Start the releases without waiting for their health."""
        together = switching(deployments)
        for deployment in deployments:
            self._attempt(deployment, lambda one: self._write(one, together))
        faults = self._directory.verify([name for deployment in deployments for name in deployment.unverified_units])
        for deployment in deployments:
            found = [line for name in deployment.plan.write for line in faults.get(name, [])]
            if found and not deployment.error:
                self._abort(deployment, "systemd does not understand: " + "; ".join(found))
        # A daemon-reload takes longer than the start of most applications.
        if any(deployment.needs_daemon_reload for deployment in deployments):
            self._host.systemd.daemon_reload()
        for deployment in deployments:
            self._attempt(deployment, self._start_one)

    def _write(self, deployment: Deployment, together: t.Collection[str]) -> None:
        wanted = deployment.service.wanted
        if deployment.plan.switch:
            record_units(deployment.service.layout, wanted.release, {**wanted.units, **wanted.processes})
            limit_workers(deployment, together)
        self._directory.write({**deployment.plan.write, **deployment.plan.forward_write, **deployment.plan.rewrite})

    def _start_one(self, deployment: Deployment) -> None:
        deployment.started_at, deployment.started = self._host.clock.time(), True
        sockets = [name for name in deployment.plan.start if name.endswith(".socket")]
        # systemd considers them started, and starts no socket while its service runs.
        if deployment.plan.stop:
            self._host.systemd.systemctl("stop", deployment.plan.stop)
        # READY is not health, so there is no need to wait; systemd starts a service after its socket.
        self._begin(deployment.plan.start, ["--no-block"])
        # A port in use has to be detected before the switch.
        try:
            self._begin([*sockets, *deployment.plan.forward_start])
        except CommandError as exc:
            raise CommandError(_explain_addresses(deployment) or str(exc)) from exc

    def _begin(self, units: t.Sequence[str], options: t.Sequence[str] = ()) -> None:
        try:
            self._host.systemd.systemctl("start", units, options)
        except CommandError as exc:
            if "not found" not in str(exc):
                raise
            # systemd read the directory within the same clock tick, and has cached that there was no file.
            self._host.systemd.daemon_reload()
            self._host.systemd.systemctl("start", units, options)

    def prepare_switch(self, deployments: t.Sequence[Deployment]) -> None:
        """Do slow work for later steps while the applications load."""
        for deployment in deployments:
            if deployment.plan.remove:
                default_stop_seconds(self._host.commands)
            if deployment.plan.switch:
                deployment.assets_expire_at = schedule_asset_expiry(
                    self._host, deployment.service.layout, deployment.observed.current or "", deployment.asset_grace
                )


def _explain_addresses(deployment: Deployment) -> str:
    """Return which TCP addresses systemd could not listen on, and why; an empty text when it was another problem."""
    manifest = deployment.service.manifest
    bind = manifest.settings.bind if manifest else ()
    addresses = {f"{address_name(deployment.service.name, address)}.socket": address for address in bind}
    try:
        states = deployment.host.systemd.show(
            [name for name in deployment.plan.forward_start if name in addresses], ["ActiveState"]
        )
        failed = [name for name, state in states.items() if state.get("ActiveState") == "failed"]
        listening = [address for name, address in addresses.items() if name not in failed]
        found = {addresses[name]: _reason(name, addresses[name], listening, deployment) for name in failed}
    except (CommandError, OSError):
        return ""
    reasons = [f"nothing can listen on '{address}' of bind: {why}" for address, why in found.items()]
    way_out = "See who has it with 'ss -ltnp' on the host, and end that or name another address in bind"
    return f"{'; '.join(reasons)}. {way_out}" if reasons else ""


def _reason(name: str, address: str, listening: t.Sequence[str], deployment: Deployment) -> str:
    if _is_taken(address):
        rival = next(
            (f", by '{other}' of bind: list one of the two" for other in listening if _meet(address, other)), ""
        )
        return f"{os.strerror(errno.EADDRINUSE)}{rival}"
    lines = deployment.host.systemd.journal_tail(name, 20, f"@{int(deployment.started_at)}").splitlines()
    said = [line.rsplit(": ", 1)[1] for line in lines if "Failed to" in line and "socket" in line and ": " in line]
    return said[0] if said else f"see 'journalctl -u {name}'"


def _meet(one: str, other: str) -> bool:
    """Tell whether two addresses exclude each other: one is for all, and for IPv4 as well where it is that of IPv6."""
    (host, _colon, port), (host_of_other, _colon, port_of_other) = one.rpartition(":"), other.rpartition(":")
    families = {":" in host, ":" in host_of_other}
    hosts = {host, host_of_other}
    return port == port_of_other and ("[::]" in hosts or ("0.0.0.0" in hosts and families == {False}))


def _is_taken(address: str) -> bool:
    # systemd's own reason reaches the journal only after systemctl has returned.
    host, _colon, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((host, int(port)))
    except OSError as exc:
        return exc.errno == errno.EADDRINUSE
    return False
