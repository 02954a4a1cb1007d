# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validation policy and result types. Private to flaskops.stack, and light: every run loads it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

if t.TYPE_CHECKING:
    from .conf import Configuration

NAMESPACE, SHADOW, NONE = "namespace", "shadow", "none"
CLASH, IN_USE = "socket_clash", "socket_in_use"
CHAIN, PAIR, KEY_MODE = "certificate_chain", "certificate_pair", "key_permissions"
MIXED_PROXY = "mixed_proxy_protocol"
LOST = "https_lost"
KINDS = (
    "duplicate_server_name",
    "duplicate_default_server",
    "mixed_tls",
    "certificate_expired",
    "certificate_names",
    CLASH,
    IN_USE,
    MIXED_PROXY,
    CHAIN,
    PAIR,
    KEY_MODE,
    LOST,
)


@dataclass(frozen=True)
class Policy:
    """The validation policy: problems that are only warnings, and the template names by path, for errors."""

    tolerate: frozenset[str] = frozenset()
    strict: bool = False
    origins: t.Mapping[str, str] = field(default_factory=dict)


class ValidationResult(t.NamedTuple):
    """The result of nginx -t: C(method) tells how it was run, C(reason) why not in a mount namespace."""

    ok: bool
    method: str
    seconds: float
    output: str
    warnings: tuple[str, ...] = ()
    reason: str = ""
    config: Configuration | None = None


class RunningNginx(t.NamedTuple):
    """The running nginx: its master process, and files that have changed since it loaded them."""

    master: int = 0
    unloaded: tuple[str, ...] = ()


NOTHING_CHANGES = ValidationResult(True, NONE, 0.0, "", (), "nothing changes")


class ReloadError(RuntimeError):
    """A reload after which nginx does not run the new configuration."""


class ReloadResult(t.NamedTuple):
    """The result of a reload."""

    performed: bool
    proved: bool
    reason: str = ""
    old_workers: tuple[int, ...] = ()
    new_workers: tuple[int, ...] = ()
    output: str = ""

    def result(self) -> dict[str, t.Any]:
        """Return it as the module reports it."""
        return {
            "performed": self.performed,
            "proved": self.proved,
            "reason": self.reason,
            "old_workers": list(self.old_workers),
            "new_workers": list(self.new_workers),
        }
