# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of gunicorn that the application brings."""

import os
from typing import Any

# The release has the same number.
workers = 2


def post_fork(_server: Any, _worker: Any) -> None:
    """Prepare a worker."""
    os.environ["PREPARED_BY"] = "hook of gunicorn.conf.py"
