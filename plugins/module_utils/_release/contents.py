# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The token of the forwarded-header check of a release. Private to flaskops.stack."""

from __future__ import annotations

import json
import os
import secrets

from .._system.files import read_file, write_file

FILE = "probe.json"


def write_token(release: str, hops: int, gid: int) -> None:
    """Write the token that lets the probe read the client address, scheme and host that the application sees."""
    data = json.dumps({"token": secrets.token_hex(32), "hops": hops}) + "\n"
    write_file(os.path.join(release, FILE), data.encode(), 0o640, 0, gid)


def read_token(release: str) -> tuple[str, int] | None:
    """Return a release's token and how many proxies it trusts; None when it was built before there was such a token."""
    try:
        known = json.loads(read_file(os.path.join(release, FILE)) or b"{}")
        return str(known["token"]), int(known["hops"])
    except (ValueError, KeyError, TypeError, RecursionError, OSError):
        return None
