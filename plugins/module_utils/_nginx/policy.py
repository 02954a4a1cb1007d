# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is accepted, and what becomes of a validation and of a reload. Private, and light: every run loads it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

if t.TYPE_CHECKING:
    from .conf import Configuration

NAMESPACE, SHADOW, NONE = "namespace", "shadow", "none"
CLASH, IN_USE = "socket_clash", "socket_in_use"
KINDS = (
    "duplicate_server_name",
    "duplicate_default_server",
    "mixed_tls",
    "certificate_expired",
    "certificate_names",
    CLASH,
    IN_USE,
)


@dataclass(frozen=True)
class Policy:
    """What is let pass: kinds of problems that are only warned of; and names of templates by path."""

    tolerate: frozenset[str] = frozenset()
    strict: bool = False
    origins: t.Mapping[str, str] = field(default_factory=dict)


class ValidationResult(t.NamedTuple):
    """What nginx said of a configuration: C(method) tells how it was asked, C(reason) why not in the better way."""

    ok: bool
    method: str
    seconds: float
    output: str
    warnings: tuple[str, ...] = ()
    reason: str = ""
    config: Configuration | None = None


class RunningNginx(t.NamedTuple):
    """What is known of the nginx that runs: its master process, and files that have changed since it loaded them."""

    master: int = 0
    unloaded: tuple[str, ...] = ()


NOTHING_CHANGES = ValidationResult(True, NONE, 0.0, "", (), "nothing changes")


class ReloadError(RuntimeError):
    """A reload that did not take."""


class ReloadResult(t.NamedTuple):
    """What became of a reload."""

    performed: bool
    proved: bool
    reason: str = ""
    old_workers: tuple[int, ...] = ()
    new_workers: tuple[int, ...] = ()
    output: str = ""

    def result(self) -> dict[str, t.Any]:
        """Return what the module reports."""
        return {
            "performed": self.performed,
            "proved": self.proved,
            "reason": self.reason,
            "old_workers": list(self.old_workers),
            "new_workers": list(self.new_workers),
        }
