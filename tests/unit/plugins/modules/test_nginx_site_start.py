# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess
import sys

UTILITIES = "ansible_collections.flaskops.stack.plugins.module_utils._nginx."
# Ansible compiles them in each task; a run that finds everything in place does without.
ONLY_FOR_CHANGES = {
    "binary",
    "build_options",
    "certificate",
    "apply",
    "checks",
    "conf",
    "staged_tree",
    "holders",
    "loaded",
    "options",
    "server",
    "sockets",
    "stage",
    "start",
}
SCRIPT = """
import sys
sys.path[:] = {path!r}
import ansible_collections.flaskops.stack.plugins.module_utils._entrypoints.nginx_site
print(*sys.modules)
"""


def test_a_run_that_changes_nothing_loads_only_what_it_needs() -> None:
    script = SCRIPT.format(path=sys.path)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = {name[len(UTILITIES) :] for name in done.stdout.split() if name.startswith(UTILITIES)}
    assert "plan" in loaded
    assert not loaded & ONLY_FOR_CHANGES
