# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker: it takes jobs from the shared directory."""

import time
from pathlib import Path

SPOOL = Path(__file__).parent / "spool"

while True:
    for job in SPOOL.glob("*.job"):
        seen = Path("/tmp", job.stem).exists()
        job.with_suffix(".done").write_text(f"done, in /tmp: {seen}", encoding="utf-8")
        job.unlink()
    time.sleep(0.2)
