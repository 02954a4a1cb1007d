# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way to an application of ours through a site of nginx. Private to flaskops.stack."""

from __future__ import annotations

import re

from .forwarded import Chain
from .model import Site

# An upstream of ours; what it leads to is the release that serves.
_UPSTREAM = re.compile(r"unix:(/.+/current)/run/\d+\.sock")


def chain_of(site: Site) -> Chain | None:
    """Return the way to the application that a site publishes; None when there is none of ours, or no name for it."""
    found = next(filter(None, (_UPSTREAM.fullmatch(server.address) for server in site.upstream)), None)
    host = site.domains[0] if site.domains else ""
    if found is None or not re.fullmatch(r"[A-Za-z0-9.-]+", host) or site.state != "enabled":
        return None
    port = site.https_port if site.tls else site.http_port
    return Chain(found.group(1), host, port, bool(site.tls), site.from_proxy, bool(site.trusted_proxies))
