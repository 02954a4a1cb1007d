# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who runs Ansible. Private to flaskops.stack."""

from __future__ import annotations

import getpass
import hashlib
import os

from ansible import constants


def operator() -> str:
    """Return user and host name of the controller, for people who find an application locked or read its history."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container may run with a number that has no name.
        user = str(os.getuid())
    return f"{user}@{os.uname().nodename}"


def run_id() -> str:
    """Return what tells this run of Ansible from all others, equal for all its hosts."""
    # Ansible has made this directory for the run alone, under a name that is random.
    unique = f"{os.uname().nodename} {constants.DEFAULT_LOCAL_TMP}"
    return hashlib.sha256(unique.encode()).hexdigest()[:12]
