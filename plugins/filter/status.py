# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that show how applications are."""

from __future__ import annotations

import typing as t

from ..plugin_utils._status_table import by_host, render_status


class FilterModule:
    """The filters of this file by their names."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return them."""
        return {"status_by_host": by_host, "status_table": render_status}
