# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the fixtures give to the tests."""

from __future__ import annotations

import dataclasses
import json
import typing as t


@dataclasses.dataclass(frozen=True)
class Reply:
    """What a visitor got: a response, or the error that came instead of one."""

    status: int = 0
    headers: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    text: str = ""
    size: int = 0
    sha256: str = ""
    seconds: float = 0
    error: str = ""

    def header(self, name: str) -> str:
        """Return the values of a header, joined by commas; empty when it was not sent."""
        return ", ".join(value for key, value in self.headers if key == name.lower())

    @property
    def json(self) -> t.Any:  # a document's shape is known to the test that asks for it
        """Return the body as JSON."""
        return json.loads(self.text)


class Visit(t.Protocol):
    """A visitor's request, described in as much detail as a test needs."""

    def __call__(self, name: str, target: str = "/", *, headers: t.Mapping[str, str] = ..., **wanted: t.Any) -> Reply:
        """Ask the site C(name) for C(target)."""


class ShellError(AssertionError):
    """A command of a test failed on the host."""


Shell = t.Callable[[str], str]
ReleaseOf = t.Callable[[str], str]
Eventually = t.Callable[[t.Callable[[], object], float], None]
