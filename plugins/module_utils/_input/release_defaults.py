# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What belongs to a release when nobody says otherwise: hooks, workers, timers. Private to flaskops.stack.

Alone in a file, because Ansible sends it with the interface of a module in each run, and the host compiles it anew.
"""

from __future__ import annotations

# When hooks run, and how many seconds each command may take.
STAGES = ("build", "migrate", "before_switch", "after_switch")
HOOK_TIMEOUT = 900

WORKER_DEFAULTS: dict[str, object] = {"count": 1, "stop_timeout": 60, "memory_max": "", "cpu_quota": ""}
TIMER_DEFAULTS: dict[str, object] = {"persistent": True, "random_delay": 0, "timeout": 3600}
