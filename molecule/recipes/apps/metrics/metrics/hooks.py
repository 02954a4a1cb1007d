# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hooks of gunicorn."""

from typing import Any

from prometheus_client import multiprocess


def post_fork(server: Any, worker: Any) -> None:
    """Say that a hook was called."""
    server.log.info("metrics.hooks: worker %s has started", worker.pid)


def child_exit(_server: Any, worker: Any) -> None:
    """Forget the gauges of a worker that has ended."""
    multiprocess.mark_process_dead(worker.pid)
