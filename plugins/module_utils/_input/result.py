# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Join the results of a build and of a deploy; used by the action plugin, too. Private to flaskops.stack."""

from __future__ import annotations

import typing as t


def join(built: t.Mapping[str, t.Any], served: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return one result from that of the build and that of the deploy."""
    errors = [str(part.get("msg", "")) for part in (built, served) if part.get("failed")]
    warnings = [*built.get("warnings", []), *served.get("warnings", [])]
    return {
        **built,
        **served,
        "changed": bool(built["changed"] or served.get("changed")),
        "diff": [*built["diff"], *served.get("diff", [])],
        **({"warnings": warnings} if warnings else {}),
        **({"failed": True, "msg": "\n".join(errors)} if errors else {}),
    }
