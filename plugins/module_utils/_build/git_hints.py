# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do about what git says when it fails. Private to flaskops.stack."""

from __future__ import annotations

import re

_HINTS = (
    (r"error in libcrypto|invalid format", "'deploy_key' is no private key that ssh can read (it has the whole file)"),
    (r"Host key verification failed", "the server's host key is not the one in 'known_hosts' (see ssh-keyscan)"),
    (
        r"Permission denied \(|could not read Username|Authentication failed|Access denied|error: 40[13]",
        "the server refuses the credentials: set 'deploy_key' (ssh), or user and token in the address (https)",
    ),
    (r"Could not resolve host", "the name of the server cannot be resolved on this host: check the address and DNS"),
    (r"certificate|SSL", "the server's certificate is not trusted on this host: set 'ca_bundle'"),
    (
        r"Connection refused|timed out|unreachable|Failed to connect",
        "the server cannot be reached from this host: check address, proxy, firewall",
    ),
    (
        r"not found|does not (?:exist|appear)|No such file",
        "there is no such repository, or the credentials do not show it",
    ),
)


def hint_at(said: str) -> str:
    """Return what the end of git's output means, and the way out."""
    return next((hint for pattern, hint in _HINTS if re.search(pattern, said, re.IGNORECASE)), "see what git says")
