# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What certbot runs after a renewal, and systemd after each run of certbot.service. Private to flaskops.stack."""

from __future__ import annotations

import os
import sys
import syslog
import typing as t

from .._acme.after_renewal import load_renewed, settle, sites_of
from .._acme.certbot import IN_RUN
from .._acme.publish import nginx_request
from .._acme.site import AcmeHost
from .._input.printable import printable
from .._system.host import Host

# For journalctl --identifier.
IDENTIFIER = "flaskops-certificates"
# Seconds for which certbot, which holds its own lock meanwhile, waits for a run of Ansible, which may wait for certbot.
PATIENCE = 10.0


def main(arguments: t.Sequence[str], where: AcmeHost | None = None, environ: t.Mapping[str, str] | None = None) -> int:
    """Load what was renewed; return 1, with the reason in the journal, when nginx does not accept it."""
    # The run of Ansible that has called certbot does it itself, for all sites at once.
    given = os.environ if environ is None else environ
    if IN_RUN in given:
        return 0
    os.umask(0o022)
    syslog.openlog(IDENTIFIER, 0, syslog.LOG_DAEMON)
    # Nothing of the caller decides where nginx and its tools are found.
    os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    host = where or AcmeHost(Host(), nginx_request())
    try:
        # What is not loaded now is loaded after certbot has ended.
        with host.lock() if "--after" in arguments else host.lock(PATIENCE):
            if "--after" in arguments:
                return 0 if settle(host, _say) else 1
            name = os.path.basename(given.get("RENEWED_LINEAGE", ""))
            return 0 if load_renewed(host, [one for one in sites_of(host) if one == name], _say) else 1
    except (OSError, ValueError, RuntimeError) as exc:
        _say(f"renewed certificates were not loaded: {exc}")
        return 1


def _say(text: str) -> None:
    line = printable(text)
    syslog.syslog(syslog.LOG_INFO, line.replace("\n", " "))
    sys.stderr.write(f"{line}\n")
