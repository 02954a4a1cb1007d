# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start an nginx that does not run, and report its error output when it fails. Private to flaskops.stack."""

from __future__ import annotations

import typing as t

from .._system.command import CommandError
from .host import NginxHost
from .policy import ReloadResult
from .server import Master

# The end of the unit's log that tells why it did not start.
_LINES = 15
_MASKED = "is masked"


def start(host: NginxHost, service: str, find: t.Callable[[], Master | None]) -> ReloadResult:
    """Start the unit and find its master process; without C(performed) there was nothing to start."""
    if not host.has_systemd():
        return ReloadResult(False, False, "nginx is not running, and systemd, which would start it, is not either")
    # Not rounded: what nginx says within the same second would be left out.
    since = f"@{host.time():.3f}"
    try:
        host.start_unit(service)
    except CommandError as exc:
        if _MASKED in str(exc):
            return ReloadResult(
                True,
                False,
                f"unit {service} is masked: 'systemctl unmask {service}' makes it startable",
                output=str(exc),
            )
        said = host.journal_tail(service, _LINES, since) or str(exc)
        return ReloadResult(True, False, f"nginx does not start (systemctl start {service})", output=said)
    master = find()
    if master is None:
        return ReloadResult(False, False, f"unit {service} was started, but runs another configuration file")
    return ReloadResult(True, True, "", (), tuple(sorted(master.present_workers())))
