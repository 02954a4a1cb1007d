# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write how long each task of a play takes, as one JSON line each, to the file that FLASKOPS_SECONDS names."""

from __future__ import annotations

import json
import os
import time
import typing as t
from pathlib import Path

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: flaskops_seconds
type: aggregate
short_description: Write how long each task takes
description:
  - Writes name and seconds of each task that succeeds, from its start on a host to its result.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Measure tasks."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "flaskops_seconds"

    def __init__(self) -> None:
        super().__init__()
        self._path = Path(os.environ["FLASKOPS_SECONDS"])
        self._started = 0.0

    def v2_runner_on_start(self, _host: t.Any, _task: t.Any) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def v2_runner_on_ok(self, result: t.Any) -> None:
        """Stop it."""
        seconds = time.perf_counter() - self._started
        task = getattr(result, "task", None) or result._task
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps([task.get_name(), seconds]) + "\n")
