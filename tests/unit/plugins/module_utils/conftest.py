# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several tests of module_utils need."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# What systemd-run(1) does, without a unit: what it was told is kept, and what it starts is its last words.
_SYSTEMD_RUN = """#!/bin/sh
printf '%s\\n' "$@" >> "$0.told"
test -e "$0.refuses" && . "$0.refuses"
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""


@pytest.fixture
def systemd_run(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put programs in the place of systemd's, and return that of systemd-run(1)."""
    place = tmp_path_factory.mktemp("systemd")
    for name, text in {"systemd-run": _SYSTEMD_RUN, "systemctl": '#!/bin/sh\necho "$@" >> "$0.told"\n'}.items():
        (place / name).write_text(text)
        (place / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    return place / "systemd-run"


@pytest.fixture
def no_systemd(systemd_run: Path) -> None:
    """Run what is to be run in a unit without one."""
